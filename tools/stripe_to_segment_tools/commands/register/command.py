"""`stripe-to-segment register`: create and update the stack's webhook endpoint in Stripe."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.settings import STRIPE_API
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment_tools.access.options import AsJson, DryRun, StackChoice, StripeApiBase, Yes, on_a_stack
from stripe_to_segment_tools.access.stripe import VARIABLE, check_mode, mode_of, stripe_address, stripe_key
from stripe_to_segment_tools.commands.importing.missing import subscriptions_known
from stripe_to_segment_tools.commands.prime.sources import to_be_primed
from stripe_to_segment_tools.commands.register.signing_secrets import Connections
from stripe_to_segment_tools.commands.register.steps import Action, Registration, Role, plan
from stripe_to_segment_tools.commands.register.thin_destinations import ThinDestinations
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION, EVENT_TYPES, WebhookEndpoints
from stripe_to_segment_tools.terminal.output import say, say_json, stop, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.register.steps import Plan, Step

__all__ = ["register_command"]

DONE = {
    Action.CREATE: ("create", "created"),
    Action.UPDATE: ("update", "updated"),
    Action.REPLACE: ("replace", "replaced"),
    Action.DELETE: ("delete", "deleted"),
    Action.FORGET: ("forget", "forgotten"),
    Action.ASSIGN: ("assign", "assigned"),
}


@dataclass(slots=True)
class Report:
    """The output of a run: lines for a person as it goes, or JSON for a program at the end."""

    mode: str
    url: str
    thin: bool
    dry_run: bool
    as_json: bool
    steps: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def did(self, step: Step, endpoint: str) -> None:
        """Report a step that was done, or would be."""
        said = {"action": str(step.action), "endpoint": endpoint or None, "events_of": str(step.role), "why": step.why}
        if step.action is Action.REPLACE and endpoint != step.endpoint:
            said["replaced"] = step.endpoint
        self.steps.append(said)
        if not self.as_json:
            verb = f"would {DONE[step.action][0]}" if self.dry_run else DONE[step.action][1]
            named = f"{step.endpoint} by {endpoint}" if "replaced" in said else endpoint or "an endpoint"
            say(f"{verb:<9} {named}: {step.why}")

    def note(self, text: str) -> None:
        """Print a note for the user."""
        self.notes.append(text)
        if not self.as_json:
            say(f"note: {text}", err=True)

    def end(self, problems: Sequence[str] = ()) -> None:
        """Finish the output."""
        if self.as_json:
            version = None if self.thin else API_VERSION
            head = {"mode": self.mode, "url": self.url, "api_version": version, "dry_run": self.dry_run}
            say_json(head | {"steps": self.steps, "notes": self.notes, "problems": list(problems)})


@on_a_stack
def register_command(  # noqa: PLR0913 - a command's options
    stack: StackChoice,
    *,
    rotate: Annotated[
        bool,
        typer.Option("--rotate", help="Replace the endpoint by a new one, with a new signing secret."),
    ] = False,
    thin: Annotated[
        bool,
        typer.Option("--thin", help="An endpoint of thin events, which deliver reads with the stripe_api_key."),
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    stripe_api_base: StripeApiBase = "",
    as_json: AsJson = False,
) -> None:
    """Create or update the stack's webhook endpoint in Stripe, and put its signing secret into the SigningSecret.

    The endpoint gets exactly the event types that are mapped, in the API version of this release's tests; with
    ConnectEvents=accept there is a second one, for connected accounts. A second run changes nothing, and finishes a run
    that was interrupted. The signing secret is never shown; the secret's other fields stay.

    With --thin the endpoint posts thin events, which have no API version: deliver reads their snapshots from Stripe
    with the stripe_api_key of the KeysSecret. An endpoint of snapshots beside it is left alone. Without a reason for
    thin events stay with snapshots, which need no key and no request.

    The API key is read from STRIPE_API_KEY in the environment, else from the KeysSecret, else you are asked for it. It
    is a secret key, or a restricted key with the permission 'Webhook Endpoints: Write' (with --thin, write access to
    event destinations). Its mode, live or test, is the mode of the endpoint, and the signing secret signs only events
    of that mode: for both, run it with a key of each.

    Stripe can neither change an endpoint's API version nor show its signing secret again. So if the version differs, or
    with --rotate, the command creates a new endpoint, stores its signing secret, enables it, and only then deletes the
    old one; events that reach both are sent once. The old signing secret stays for a day. You are asked first.

    Exit status: 0 if the endpoint is right now; 1 if steps are left, or you answered no; 2 if it could not start.

    Examples
    --------
      stripe-to-segment register --stack stripe-to-segment --dry-run

      STRIPE_API_KEY=$(cat key) stripe-to-segment register --stack stripe-to-segment

      stripe-to-segment register --stack stripe-to-segment --rotate --yes
    """
    found = stack.find()
    settings = found.settings()
    if found.local and not stripe_api_base and settings.stripe_api_base == STRIPE_API:
        stop(
            "Stripe cannot reach a stack on this machine, so there is nothing to register. Let the Stripe CLI"
            " forward its events: start with STRIPE_SECRET=$(stripe listen --print-secret) make run, then "
            f"stripe listen --forward-to {found.webhook_url}"
        )
    base = stripe_address(settings, stripe_api_base)
    key, whose = stripe_key(found, "the permission 'Webhook Endpoints: Write'")
    check_mode(key, settings)
    report = Report(mode_of(key), found.webhook_url, thin, dry_run, as_json)
    say(f"{report.url}, {report.mode} mode, API key from {whose}", err=True)
    endpoints = ThinDestinations(key, base) if thin else WebhookEndpoints(key, base)
    connections = Connections(found, livemode=is_live(key))
    roles = [Role.ACCOUNT, *([Role.CONNECT] if settings.takes_connect else [])]
    made = plan(endpoints.at(report.url), connections.read(), roles, time.time(), rotate=rotate)
    if made.problems:
        report.end(made.problems)
        stop("\n".join(made.problems), 1)
    if made.replaced and not (dry_run or yes):
        why = ", ".join(step.why for step in made.steps if step.action is Action.REPLACE)
        if not typer.confirm(visible(f"replace {' and '.join(made.replaced)} by a new endpoint ({why})?"), err=True):
            stop("nothing was done", 1)
    if dry_run:
        for step in made.steps:
            report.did(step, step.endpoint)
    else:
        _follow(Registration(endpoints, connections, report.url, f"stripe-to-segment: {found.name}"), made, report)
    if thin:
        _note_of_thin(report, found, WebhookEndpoints(key, base))
    if not dry_run:
        _note_import(report, found, Lists(key, base), made)
    _conclude(made, report, found, settings)


def _note_of_thin(report: Report, stack: Stack, snapshots: WebhookEndpoints) -> None:
    key = stack.keys().stripe_api_key
    if not key or mode_of(key) != report.mode:
        report.note(
            f"thin events wait until the KeysSecret has a stripe_api_key of {report.mode} mode that may read Events: "
            f"{' '.join(['stripe-to-segment', 'secret', 'set', 'stripe_api_key', *stack.options])}"
        )
    # A key that may not list them may register all the same.
    with suppress(StripeToSegmentError):
        for endpoint in (each for each in snapshots.at(report.url) if each.enabled):
            report.note(
                f"{endpoint.id} sends snapshots of the same events to this URL; each is sent once. When thin events "
                f"are delivered, it can be deleted in Stripe"
            )


def _note_import(report: Report, stack: Stack, lists: Lists, made: Plan) -> None:
    """A note if Stripe has subscriptions from before the stack.

    A key for endpoints may not be permitted to list them.
    """
    command = " ".join(["stripe-to-segment", "import", *stack.options])
    try:
        subscriptions = subscriptions_known(lists, stack.store(), livemode=report.mode == "live")
    except StripeToSegmentError:
        if any(step.action is Action.CREATE for step in made.steps):
            report.note(
                f"if the Stripe account has customers already: {command}, which sends nothing unless you say so"
            )
        return
    if subscriptions.known < subscriptions.found:
        report.note(f"{subscriptions.said}: run {command}, which sends nothing unless you say so")


def _follow(registration: Registration, made: Plan, report: Report) -> None:
    try:
        for step, endpoint in registration.follow(made.steps):
            report.did(step, endpoint)
    except StripeToSegmentError as error:
        problem = f"{error}\nrun this again: it continues where it stopped"
        report.end([problem])
        stop(problem, 1)


def _conclude(made: Plan, report: Report, stack: Stack, settings: Settings) -> None:
    if not made.steps and not report.as_json:
        how = "as thin events" if report.thin else f"in API version {API_VERSION}"
        say(f"nothing to do: {' and '.join(made.kept)} sends the {len(EVENT_TYPES)} mapped event types {how}")
    for note in made.notes:
        report.note(note)
    if made.replaced or any(step.action is Action.UPDATE and "disabled" in step.why for step in made.steps):
        repeat = " ".join(["stripe-to-segment", "backfill", "--since", "4d", *stack.options])
        report.note(
            f"Stripe no longer tries what it could not deliver to an endpoint that is gone or was disabled: {repeat}"
        )
    if stack.parameters.get("EventBusName"):
        report.note("events also come through EventBridge (EventBusName); events that come both ways are sent once")
    if to_be_primed(stack, settings, report.mode):
        prime = " ".join(["stripe-to-segment", "prime", *stack.options])
        report.note(f"before the first payment: {prime}, or a warehouse will cut the cents off (--decline without one)")
    other = "test" if report.mode == "live" else "live"
    if settings.accepts(livemode=other == "live"):
        report.note(f"for {other} mode run this with a key of that mode in {VARIABLE}")
    report.end()
