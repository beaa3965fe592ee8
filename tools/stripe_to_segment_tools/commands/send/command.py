"""Sign events as Stripe does and post them to a local or deployed endpoint."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.text import Text

from stripe_to_segment.receiving.examine import WRONG_MODE
from stripe_to_segment_tools.access.stack import find_stack, reporting_errors
from stripe_to_segment_tools.commands.secret.asking import NoSecret, SecretFromEnv, given_secret
from stripe_to_segment_tools.commands.send.target import Mode, find_target, in_mode
from stripe_to_segment_tools.samples.files import body_of, freshen
from stripe_to_segment_tools.samples.inputs import read_events
from stripe_to_segment_tools.samples.signing import sign
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment_tools.samples.inputs import Input

__all__ = ["Sent", "UnreachableError", "send", "send_command"]

# Stripe gives an endpoint longer than this; an HTTP API answers within 30 seconds or not at all.
TIMEOUT_SECONDS = 35.0
PAUSE_SECONDS = 0.5


class UnreachableError(Exception):
    """No server listens at the URL, even after waiting. All events sent before were answered."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The result of one posted event.

    Attributes
    ----------
    id, type
        The event's own; empty if the body is not an event.
    status
        The HTTP status, or None when there was no answer.
    body
        The answer's text, or the reason why there was no answer.
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
    """Sign and post the bodies one after the other; yield each result as soon as its answer arrives.

    Parameters
    ----------
    bodies
        Raw event bodies, sent byte for byte.
    url
        The webhook URL.
    secret
        The signing secret, or several while one is being rolled.
    patience
        Seconds to keep trying while no server listens: the endpoint may still be starting.
    client
        The HTTP client; created when left out.

    Raises
    ------
    UnreachableError
        When no server listens at the URL.
    """
    secrets = [secret] if isinstance(secret, str) else list(secret)
    with client or httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as session:
        for body in bodies:
            yield _post(session, url, body, secrets, time.monotonic() + patience)


def send_command(  # noqa: PLR0913 - a command's options
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Files or folders of events, requests or SQS batches; - reads standard input.", metavar="PATH"
        ),
    ],
    *,
    url: Annotated[
        str,
        typer.Option(
            envvar="STRIPE_WEBHOOK_URL", metavar="URL", help="Webhook URL.", show_default="the running local stack's"
        ),
    ] = "",
    secret_from_env: SecretFromEnv = "",
    stack: Annotated[
        # Not from the environment: send events to a deployed stack only if the user names it.
        str,
        typer.Option(metavar="NAME", help="A deployed stack: its URL, and the signing secret of each event's mode."),
    ] = "",
    region: Annotated[str, typer.Option(metavar="REGION", help="AWS region of --stack.")] = "",
    profile: Annotated[str, typer.Option(metavar="PROFILE", help="AWS profile for --stack.")] = "",
    mode: Annotated[
        Mode | None, typer.Option(help="Set `livemode` of the events to this mode.", show_default="as the files say")
    ] = None,
    _: NoSecret = "",
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

    The signing secret is never an argument, which the shell's history and other users would see. With --stack it is
    read from the stack's SigningSecret; otherwise from STRIPE_SIGNING_SECRET, from the variable that --secret-from-env
    names, or from the running local stack; otherwise you are asked for it. A secret signs only events of its mode;
    --mode rewrites `livemode`, for a sample for instance. The endpoint treats a live event as a real one.

    Exit status: 0 if every event was accepted, 1 if one was refused or could not be read, 2 if nothing could be sent.

    Examples
    --------
      stripe-to-segment send events/customer.subscription.created.trialing.json

      stripe-to-segment send --fresh events/

      stripe-to-segment send --fresh events/ --stack stripe-to-segment

      stripe-to-segment send event.json --url https://…/webhooks/stripe --mode live
    """
    readable, broken = _split(read_events(paths))
    for problem in broken:
        say(f"error: {problem.source}: {problem.error}", err=True)
    bodies = [in_mode(body, mode) for body in _bodies(readable, fresh=fresh)]
    with reporting_errors():
        found = find_stack(stack, local=False, region=region, profile=profile) if stack else None
        target = find_target(url, given_secret(secret_from_env), found)
        runs = [(signers, [*some]) for signers, some in groupby(bodies, key=target.signers)]
    try:
        results = (sent for signers, some in runs for sent in send(some, target.url, signers))
        refused = _report(results, as_json=as_json)
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
    # All together, so that an id in several events stays the same id.
    originals = [each.event for each in inputs if isinstance(each.event, dict)]
    # A random seed for each run: two runs in the same second must not create the same ids.
    events = iter(freshen(originals, int(time.time()), seed=os.urandom(8).hex()))
    return [body_of(next(events)) if isinstance(each.event, dict) else each.raw for each in inputs]


def _report(results: Iterable[Sent], *, as_json: bool) -> int:
    counts: Counter[bool] = Counter()
    console = make_console()
    wrong_mode = False
    for sent in results:
        counts[sent.accepted] += 1
        wrong_mode = wrong_mode or any(said in sent.body for said in WRONG_MODE.values())
        if as_json:
            say_json(asdict(sent))
        else:
            status = (f"{sent.status or '---'}", "green" if sent.accepted else "red")
            said = f" {sent.milliseconds:6d} ms  {sent.type or '(no event)'}  {sent.id}  {_one_line(sent.body)}"
            console.print(Text.assemble(status, visible(said)), soft_wrap=True)
    if not as_json:
        say(f"{counts[True]} accepted, {counts[False]} refused", err=True)
    if wrong_mode:
        say("note: a signing secret signs only events of its own mode: --mode live or --mode test", err=True)
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
