"""Check both secrets: their fields are filled, with values of the right form, in the right secret. Shows no value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from stripe_to_segment.secrets import KEY_FIELDS, SIGNING_FIELDS, texts
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment_tools.build.stripe_requests import permissions
from stripe_to_segment_tools.commands.doctor.check import bad, good
from stripe_to_segment_tools.commands.secret.shapes import UNASSIGNED, flaw_of, values_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.secrets import Keys
    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check
    from stripe_to_segment_tools.commands.secret.shapes import Value

__all__ = ["check_secrets"]

# The parameters that need the API key: what is not done without it, and what the key has to read.
SCHEDULES = {"ReconcileSchedule": ("reconciled", "Events"), "AuditSchedule": ("audited", "what docs/audit.md names")}


def check_secrets(stack: Stack, settings: Settings, keys: Keys) -> Iterator[Check]:
    """Check each field of both secrets; the keys are those that `deliver` reads."""
    content = stack.secret("SigningSecret").read().content
    yield from _signing(stack, settings, values_in(content, SIGNING_FIELDS.values(), settings, strict=not stack.local))
    if left := [name for name in KEY_FIELDS if texts(content.get(name))]:
        said = f"{', '.join(left)} still in the SigningSecret, which the function on the internet reads"
        yield bad("keys in their place", said, _command(stack, "secret move"))
    for live in (True, False):
        if settings.accepts(livemode=live):
            yield _write_key(stack, settings, keys, live=live)
    yield _api_key(stack, settings, keys)
    name = "client_reference_key"
    if keys.client_reference_key and (flaw := flaw_of(name, keys.client_reference_key, settings, strict=True)):
        yield bad(name, f"{flaw}; no signed reference counts", _command(stack, f"secret set {name}"))


def _signing(stack: Stack, settings: Settings, values: list[Value]) -> Iterator[Check]:
    usable = {
        mode: {value.fingerprint for value in values if value.field == field and not value.flaw}
        for mode, field in SIGNING_FIELDS.items()
    }
    for mode in ("live", "test"):
        if settings.accepts(livemode=mode == "live"):
            yield _of_mode(stack, mode, len(usable[mode] | usable["unassigned"]))
    if flaws := Counter(value.flaw for value in values if value.flaw):
        said = f"not used: {'; '.join(f'{number} is {flaw}' for flaw, number in flaws.items())}"
        fix = f"{_command(stack, 'secret show-shape')} names it, secret set … --remove takes it out"
        yield bad("signing secrets", said, f"{fix}; then {_command(stack, 'register')}")
    if usable["unassigned"]:
        said = f"{len(usable['unassigned'])} in {UNASSIGNED}, of an unknown mode: they are valid for both"
        fix = f"{_command(stack, 'register')} with a key of each mode; what is left, {_command(stack, 'secret edit')}"
        yield bad("signing secrets without a mode", said, fix)
    if not stack.local and (both := usable["live"] & usable["test"]):
        said = f"{len(both)} in both lists: whoever knows it as a test secret can sign live events"
        yield bad("signing secrets of both modes", said, f"take it out of one: {_command(stack, 'secret edit')}")


def _of_mode(stack: Stack, mode: str, number: int) -> Check:
    name = f"signing secrets, {mode} mode"
    if number:
        return good(name, f"{number}")
    if stack.parameters.get("EventBusName"):
        return good(name, "none, and none is needed for what comes through EventBridge")
    fix = f"{_command(stack, 'register')} with a key of {mode} mode; or deploy with StripeMode={_other(mode)}"
    return bad(name, f"none: every webhook of {mode} mode is refused, and Stripe retries", fix)


def _write_key(stack: Stack, settings: Settings, keys: Keys, *, live: bool) -> Check:
    name, mode = ("segment_write_key", "live") if live else ("segment_test_write_key", "test")
    put = _command(stack, f"secret set {name}")
    key = keys.write_key(livemode=live)
    if settings.delivery_mode == "log":
        return good(name, "not needed: DeliveryMode is log, nothing is sent")
    if not key and not live and keys.segment_write_key:
        return good(name, "none: test events are dropped")
    if not key:
        return bad(name, f"none: {mode} events wait in the queue", f"{put}; or deploy with StripeMode={_other(mode)}")
    if key == keys.write_key(livemode=not live):
        said = "the same as the other mode's: test events reach the live source"
        return bad(name, said, f"make a source for tests, then {put}")
    if flaw := flaw_of(name, key, settings, strict=True):
        return bad(name, flaw, f"copy it from the source's Settings → API Keys, then {put}")
    known = settings.sends_to_segment
    return good(name, "filled" if known else f"filled; the shape of {settings.segment_endpoint}'s keys is not known")


def _api_key(stack: Stack, settings: Settings, keys: Keys) -> Check:
    name, key = "stripe_api_key", keys.stripe_api_key
    put = _command(stack, f"secret set {name}")
    for schedule, (missed, reads) in SCHEDULES.items():
        if not key and stack.parameters.get(schedule):
            said = f"none, but {schedule} is set: nothing is {missed}"
            return bad(name, said, f"make a restricted key that may read {reads}, then {put}")
    if not key:
        return good(name, "none: it is optional")
    if flaw := flaw_of(name, key, settings, strict=True):
        return bad(name, flaw, put)
    if not stack.local and not settings.sends_api_key:
        said = f"not used: StripeApiBase is {settings.stripe_api_base}, and the key goes to Stripe alone"
        return bad(name, said, "deploy with TrustStripeApiBase=true if it may go there, or without StripeApiBase")
    kind = "restricted" if key.startswith("rk_") else f"secret: a restricted one that may read {permissions()} would do"
    return good(name, f"{'live' if is_live(key) else 'test'} mode, {kind}")


def _command(stack: Stack, words: str) -> str:
    return " ".join(["stripe-to-segment", words, *stack.options])


def _other(mode: str) -> str:
    return "test" if mode == "live" else "live"
