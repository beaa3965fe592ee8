"""Read the whole of thin events from the Stripe API, which is the only place that has it.

The event waits while Stripe does not answer, because no other source states what happened.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from stripe_to_segment.errors import ConfigurationError, MalformedEventError
from stripe_to_segment.observability import count
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_api.reader import REFUSED, Asking, is_live, reason_of
from stripe_to_segment.stripe_side.event import decoded
from stripe_to_segment.stripe_side.fields import text
from stripe_to_segment.stripe_side.thin import Unread, at_the_time, object_path, of_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from stripe import StripeClient

    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.thin import ThinEvent

__all__ = ["ThinEventReader"]

NOT_FOUND = 404
# While Segment is down the same events come again and again; what happened does not change.
CACHED = 500
CACHE_SECONDS = 3600


class ThinEventReader:
    """Reads what thin events are about, several at once.

    Parameters
    ----------
    key
        Returns the API key, empty where none is configured; it needs the permission to read Events.
    base
        The API's address.
    clock
        Epoch seconds, because the monotonic clock can stand still while Lambda has frozen the environment.
    """

    def __init__(self, key: Callable[[], str], base: str, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._asking: Asking[ThinEvent, StripeEvent] = Asking(base, CACHED, clock)

    def leave_time(self, seconds_left: Callable[[], float]) -> None:
        """From now on wait for no more than a part of the seconds that the invocation has left."""
        self._asking.seconds_left = seconds_left

    def read(self, wanted: Iterable[ThinEvent]) -> dict[ThinEvent, StripeEvent | Unread]:
        """The snapshot of each event, or the reason why it could not be read; it never raises."""
        found, asked = self._asking.cached(wanted, lambda _: CACHE_SECONDS)
        return {**found, **self._ask(asked)} if asked else {**found}

    def _ask(self, wanted: list[ThinEvent]) -> dict[ThinEvent, StripeEvent | Unread]:
        try:
            key = self._key()
        except ConfigurationError as error:
            return dict.fromkeys(wanted, _without_key(str(error)))
        if not key:
            return dict.fromkeys(wanted, _without_key("put a stripe_api_key into the KeysSecret: `secret set`"))
        mode = "live" if is_live(key) else "test"
        others = [thin for thin in wanted if thin.livemode is not is_live(key)]
        answers: dict[ThinEvent, StripeEvent | Unread] = {
            thin: _without_key(f"the stripe_api_key in the KeysSecret is of {mode} mode") for thin in others
        }
        jobs = self._asking.at_once(key, (thin for thin in wanted if thin not in answers), _whole)
        answers |= {thin: _answer(job) for thin, job in jobs.items()}
        self._asking.keep({thin: one for thin, one in answers.items() if not isinstance(one, Unread)})
        return answers


def _without_key(detail: str) -> Unread:
    count("StripeKeyRefused")
    return Unread(Reason.NO_STRIPE_API_KEY, f"thin events are read from the Stripe API: {detail}")


def _whole(client: StripeClient, thin: ThinEvent) -> StripeEvent:
    full = _get(client, thin, f"/v2/core/events/{quote(thin.id, safe='')}")
    if snapshot := text(full.get("snapshot_event")):
        return of_account(thin, _get(client, thin, f"/v1/events/{quote(snapshot, safe='')}"))
    return at_the_time(thin, full, _get(client, thin, object_path(thin, full)))


def _get(client: StripeClient, thin: ThinEvent, path: str) -> JsonObject:
    # As Stripe's own client asks. https://github.com/stripe/stripe-python, stripe/v2/core/_event.py
    options = {"stripe_context": thin.context} if thin.context else {}
    # An object or a TypeError: a proxy in between may answer with JSON of its own.
    return {**decoded(client.raw_request("get", path, **options).body)}


def _answer(job: Future[StripeEvent] | None) -> StripeEvent | Unread:
    if job is None:
        count("StripeReadFailed")
        return Unread(Reason.STRIPE_UNAVAILABLE, "Stripe is too slow to be waited for")
    error = job.exception()
    if error is None:
        return job.result()
    count("StripeReadFailed")
    if isinstance(error, MalformedEventError):
        return Unread(error.reason, str(error), hopeless=True)
    status, reason = getattr(error, "http_status", None), reason_of(error)
    if status in REFUSED:
        count("StripeKeyRefused")
        return Unread(Reason.STRIPE_KEY_REFUSED, f"{reason}: the stripe_api_key needs read access to Events")
    if status == NOT_FOUND:
        known = "Stripe keeps events for 30 days, and the stripe_api_key has to be the account's"
        return Unread(Reason.NOT_IN_STRIPE, f"{reason}: {known}", hopeless=True)
    return Unread(Reason.STRIPE_UNAVAILABLE, reason)
