"""Sign events as Stripe does and post them to a local or deployed endpoint."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.text import Text

from tools.inputs import read_events
from tools.samples import body_of, freshen
from tools.signing import sign
from tools.stack_file import read_stack_file
from tools.terminal import make_console, say, say_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tools.inputs import Input

__all__ = ["Sent", "UnreachableError", "send", "send_command"]

# Stripe gives an endpoint longer than this; an HTTP API answers within 30 seconds or not at all.
TIMEOUT_SECONDS = 35.0
PAUSE_SECONDS = 0.5


class UnreachableError(Exception):
    """Nothing listens at the URL, even after waiting. What was sent before was answered."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one posted event.

    Attributes
    ----------
    id, type
        The event's own; empty if the body is no event.
    status
        The HTTP status, or None when there was no answer.
    body
        The answer's text, or the reason why there is none.
    milliseconds
        From sending to the end of the answer.
    """

    id: str
    type: str
    status: int | None
    body: str
    milliseconds: int

    @property
    def accepted(self) -> bool:
        """Whether Stripe would count the event as delivered: only 2xx does, a redirect does not."""
        return self.status is not None and httpx.codes.is_success(self.status)


def send(
    bodies: Iterable[bytes],
    url: str,
    secret: str | Iterable[str],
    *,
    patience: float = 5.0,
    client: httpx.Client | None = None,
) -> Iterator[Sent]:
    """Post each body, freshly signed, one after the other; yield its result as soon as it is answered.

    Parameters
    ----------
    bodies
        Raw event bodies, sent to the byte.
    url
        The webhook URL.
    secret
        The signing secret, or several while one is being rolled.
    patience
        Seconds to keep trying while nothing listens: an endpoint may still be starting.
    client
        To send with; one is made when left out.

    Raises
    ------
    UnreachableError
        When nothing listens at the URL.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    with client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as session:
        for body in bodies:
            yield _post(session, url, body, secrets, time.monotonic() + patience)


def send_command(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files or folders of events, requests or SQS batches; - reads standard input.", metavar="PATH"
        ),
    ],
    *,
    url: Annotated[
        str, typer.Option(envvar="STRIPE_WEBHOOK_URL", help="Webhook URL.", show_default="the running local stack's")
    ] = "",
    secret: Annotated[
        str,
        typer.Option(
            envvar="STRIPE_SECRET", help="Signing secret (whsec_…).", show_default="the running local stack's"
        ),
    ] = "",
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh/--as-is",
            help="New ids and current times, so that nothing counts as sent before; or exactly what the files say.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per event.")] = False,
) -> None:
    """Sign events and post them to a local or deployed endpoint.

    Exit status: 0 if every event was accepted, 1 if one was refused or could not be read, 2 if nothing could be sent.

    Examples
    --------
      stripe-to-segment send events/customer.subscription.created.trialing.json

      stripe-to-segment send --fresh events/

      stripe-to-segment send event.json --url https://…/webhooks/stripe --secret whsec_…
    """
    stack = read_stack_file()
    url = url or str(stack.get("webhook_url") or "")
    secret = secret or str(stack.get("signing_secret") or "")
    for value, name in ((url, "--url"), (secret, "--secret")):
        if not value:
            say(f"error: no {name} given and no local stack is running: start one with `make run`", err=True)
            raise typer.Exit(2)
    readable, broken = _split(read_events(paths))
    for problem in broken:
        say(f"error: {problem.source}: {problem.error}", err=True)
    try:
        refused = _report(send(_bodies(readable, fresh=fresh), url, secret), as_json=as_json)
    except UnreachableError as error:
        say(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    raise typer.Exit(1 if refused or broken else 0)


def _split(inputs: Iterable[Input]) -> tuple[list[Input], list[Input]]:
    readable: list[Input] = []
    broken: list[Input] = []
    for each in inputs:
        (readable if each.error is None else broken).append(each)
    return readable, broken


def _bodies(inputs: list[Input], *, fresh: bool) -> list[bytes]:
    if not fresh:
        return [each.raw for each in inputs]
    # Together, so that an id that occurs in several events stays one id.
    originals = [each.event for each in inputs if isinstance(each.event, dict)]
    # A seed of its own for each run: within the same second two runs must not give the same ids.
    events = iter(freshen(originals, int(time.time()), seed=os.urandom(8).hex()))
    return [body_of(next(events)) if isinstance(each.event, dict) else each.raw for each in inputs]


def _report(results: Iterable[Sent], *, as_json: bool) -> int:
    counts: Counter[bool] = Counter()
    console = make_console()
    for sent in results:
        counts[sent.accepted] += 1
        if as_json:
            say_json(asdict(sent))
        else:
            status = (f"{sent.status or '---'}", "green" if sent.accepted else "red")
            said = f" {sent.milliseconds:6d} ms  {sent.type or '(no event)'}  {sent.id}  {_one_line(sent.body)}"
            console.print(Text.assemble(status, visible(said)), soft_wrap=True)
    if not as_json:
        say(f"{counts[True]} accepted, {counts[False]} refused", err=True)
    return counts[False]


def _one_line(text: str, length: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1]}…"


def _post(client: httpx.Client, url: str, body: bytes, secrets: list[str], deadline: float) -> Sent:
    event_id, event_type = _names(body)
    while True:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": sign(body, secrets, int(time.time())),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        started = time.perf_counter()
        try:
            answer = client.post(url, content=body, headers=headers)
        except httpx.ConnectError as error:
            if time.monotonic() >= deadline:
                raise UnreachableError(
                    f"nothing listens at {url} ({error}); is the stack up? `make run` starts one"
                ) from error
            time.sleep(PAUSE_SECONDS)
            continue
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Sent(event_id, event_type, None, str(error) or type(error).__name__, _since(started))
        return Sent(event_id, event_type, answer.status_code, answer.text, _since(started))


def _since(started: float) -> int:
    return round((time.perf_counter() - started) * 1000)


def _names(body: bytes) -> tuple[str, str]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(event, dict):
        return "", ""
    return str(event.get("id") or ""), str(event.get("type") or "")
