"""The stack's secret: whether it is filled, and with what looks like it. Nothing of it is shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stripe_to_segment.stripe_api import is_live
from tools.doctor.check import bad, good

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.secrets import Secrets
    from stripe_to_segment.settings import Settings
    from tools.doctor.check import Check

__all__ = ["check_secret"]

SIGNING_SECRET = re.compile(r"whsec_\w{8,}")
API_KEY = re.compile(r"(sk|rk)_(live|test)_\w{8,}")
# Segment's have 32 letters and digits. Others' are of any shape, but none has a space or is one of Stripe's.
SEGMENT_HOSTS = frozenset({"api.segment.io", "api.segment.com", "events.eu1.segmentapis.com"})
SEGMENT_KEY = re.compile(r"[A-Za-z0-9]{32}")
ANY_KEY = re.compile(r"(?!whsec_|sk_|rk_|pk_|sgp_)[!-~]+")
PUT = "docs/operations.md, Rotating the write key, says how to put it in"


def check_secret(secrets: Secrets, settings: Settings, *, by_bus: bool, scheduled: bool, again: str) -> Iterator[Check]:
    """Check each field.

    Parameters
    ----------
    secrets, settings
        The stack's.
    by_bus, scheduled
        Whether events come through EventBridge, and whether the reconcile function is on a schedule.
    again
        The options that name the stack.
    """
    yield _signing(secrets, by_bus=by_bus, again=again)
    for live in (True, False):
        if settings.accepts(livemode=live):
            yield _write_key(secrets, settings, live=live)
    yield _api_key(secrets, scheduled=scheduled)


def _signing(secrets: Secrets, *, by_bus: bool, again: str) -> Check:
    name, register = "signing secrets", f"stripe-to-segment register {again}"
    found = secrets.stripe_signing_secrets
    odd = [secret for secret in found if not SIGNING_SECRET.fullmatch(secret)]
    if not found and by_bus:
        return good(name, "none, and none is needed for what comes through EventBridge")
    if not found:
        return bad(name, "none: every webhook is answered with 503", register)
    if odd:
        said = f"{len(odd)} of {len(found)} is no signing secret: they begin with whsec_"
        return bad(name, said, f"take it out of stripe_signing_secrets, then {register}")
    return good(name, f"{len(found)}")


def _write_key(secrets: Secrets, settings: Settings, *, live: bool) -> Check:
    name = "segment_write_key" if live else "segment_test_write_key"
    key = secrets.write_key(livemode=live)
    if settings.delivery_mode == "log":
        return good(name, "not needed: DeliveryMode is log, nothing is sent")
    if not key and not live and secrets.segment_write_key:
        return good(name, "none: test events are dropped")
    if not key:
        mode, other = ("live", "test") if live else ("test", "live")
        return bad(name, f"none: {mode} events wait in the queue", f"{PUT}; or deploy with StripeMode={other}")
    if key == secrets.write_key(livemode=not live):
        return bad(
            name, "the same as the other mode's: test events reach the live source", f"a source for tests; {PUT}"
        )
    segment = urlsplit(settings.segment_endpoint).hostname in SEGMENT_HOSTS
    flaw = _flaw(key, segment=segment)
    if flaw:
        return bad(name, flaw, f"copy it from the source's Settings → API Keys; {PUT}")
    return good(name, "filled" if segment else f"filled; the shape of {settings.segment_endpoint}'s keys is not known")


def _flaw(key: str, *, segment: bool) -> str:
    """In what a text is no write key; empty where it may be one."""
    if not ANY_KEY.fullmatch(key):
        return "no write key: it is a key of something else, or has a space or a letter that none has"
    if segment and not SEGMENT_KEY.fullmatch(key):
        return f"{len(key)} characters; Segment's have 32 letters and digits, and it answers 200 to a wrong one"
    return ""


def _api_key(secrets: Secrets, *, scheduled: bool) -> Check:
    name, key = "stripe_api_key", secrets.stripe_api_key
    if not key and scheduled:
        said = "none, but ReconcileSchedule is set: nothing is reconciled"
        return bad(name, said, f"a restricted key that may read Events; {PUT}")
    if not key:
        return good(name, "none: it is optional")
    if not API_KEY.fullmatch(key):
        return bad(name, "no secret or restricted key: they begin with rk_live_, rk_test_, sk_live_ or sk_test_", PUT)
    kind = "restricted" if key.startswith("rk_") else "secret: a restricted one that may only read would do"
    return good(name, f"{'live' if is_live(key) else 'test'} mode, {kind}")
