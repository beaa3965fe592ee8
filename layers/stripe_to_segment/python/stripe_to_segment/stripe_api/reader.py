"""Reading from the Stripe API, for teams that give the stack a restricted key.

For `deliver` a failed lookup only leaves a value unknown, and never delays the event. For `reconcile` a failed list is
an error, because it must not miss any event.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import batched
from typing import TYPE_CHECKING

from stripe_to_segment.errors import ConfigurationError, OutOfRequestsError, StripeUnavailableError
from stripe_to_segment.observability import count, logger
from stripe_to_segment.stripe_side.event import decoded
from stripe_to_segment.stripe_side.objects import OBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from stripe import StripeClient

    from stripe_to_segment.secrets import Keys
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.objects import Lookup

__all__ = ["REFUSED", "Asking", "StripeEvents", "StripeReader", "is_live", "reason_of", "stripe_client", "usable_key"]

EVENTS = OBJECTS["event"]
TIMEOUT_SECONDS = 3.0
# The limit for lookups that are made at once. A hundred calls without an answer, eight at a time, would outlast the
# function; and a batch looks up several times, so each time takes a third of what is left at most.
PATIENCE_SECONDS = 10.0
# A page of a hundred events, each with its whole object, takes longer.
LIST_TIMEOUT_SECONDS = 20.0
PAGE = 100
# https://docs.stripe.com/api/events/list: `types` may name up to twenty.
TYPES_IN_A_CALL = 20
ATTEMPTS = 6
CONFLICT, TOO_MANY_REQUESTS, INTERNAL = 409, 429, 500
# The key is not valid, or lacks a permission: only another key helps. https://docs.stripe.com/api/errors
REFUSED = frozenset({401, 403})
THREADS = 8
CACHED = 2_000


class Asking[Wanted, Found]:
    """Asks the Stripe API for several things at once, and caches the newest answers.

    Parameters
    ----------
    base
        The API's address.
    most
        The number of answers that are cached.
    clock
        Epoch seconds, because the monotonic clock can stand still while Lambda has frozen the environment.
    """

    def __init__(self, base: str, most: int, clock: Callable[[], float]) -> None:
        self._base = base
        self._most = most
        self._clock = clock
        self._cache: OrderedDict[Wanted, tuple[float, Found]] = OrderedDict()
        self._pool = ThreadPoolExecutor(max_workers=THREADS)
        self._client: tuple[str, StripeClient] | None = None
        self.seconds_left: Callable[[], float] = lambda: math.inf

    def cached(
        self, wanted: Iterable[Wanted], seconds: Callable[[Wanted], float]
    ) -> tuple[dict[Wanted, Found], list[Wanted]]:
        """The answers that are no older than so many seconds, and what has to be asked, each once."""
        now = self._clock()
        found: dict[Wanted, Found] = {}
        asked: list[Wanted] = []
        for one in dict.fromkeys(wanted):
            kept = self._cache.get(one)
            if kept is not None and 0 <= now - kept[0] < seconds(one):
                found[one] = kept[1]
            else:
                asked.append(one)
        return found, asked

    def at_once(
        self, key: str, wanted: Iterable[Wanted], ask: Callable[[StripeClient, Wanted], Found]
    ) -> dict[Wanted, Future[Found] | None]:
        """The request of each, None if Stripe was too slow."""
        client = self._connected(key)
        jobs = {one: self._pool.submit(ask, client, one) for one in wanted}
        done, late = wait(jobs.values(), max(min(PATIENCE_SECONDS, self.seconds_left() / 3), 0))
        for job in late:
            job.cancel()
        return {one: job if job in done else None for one, job in jobs.items()}

    def keep(self, answers: Mapping[Wanted, Found]) -> None:
        """Cache these answers."""
        now = self._clock()
        self._cache.update({one: (now, answer) for one, answer in answers.items()})
        while len(self._cache) > self._most:
            self._cache.popitem(last=False)

    def _connected(self, key: str) -> StripeClient:
        if self._client is None or self._client[0] != key:
            self._client = (key, stripe_client(key, self._base, TIMEOUT_SECONDS))
        return self._client[1]


class StripeReader:
    """Reads objects by id, several at once, each at most once in its cache time.

    Parameters
    ----------
    key
        Returns the API key, empty where none is configured; a restricted key is enough (docs/permissions.md).
    base
        The API's address.
    clock
        Epoch seconds, because the monotonic clock can stand still while Lambda has frozen the environment.
    """

    def __init__(self, key: Callable[[], str], base: str, clock: Callable[[], float] = time.time) -> None:
        self._key = key
        self._asking: Asking[Lookup, JsonObject] = Asking(base, CACHED, clock)

    def leave_time(self, seconds_left: Callable[[], float]) -> None:
        """From now on wait for no more than a part of the seconds that the invocation has left."""
        self._asking.seconds_left = seconds_left

    def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, JsonObject]:
        """The objects of these lookups; a lookup that fails is left out, counted and logged."""
        found, asked = self._asking.cached(wanted, lambda lookup: lookup.cache_seconds)
        return found | self._ask(asked) if asked else found

    def _ask(self, lookups: list[Lookup]) -> dict[Lookup, JsonObject]:
        try:
            key = self._key()
        except ConfigurationError as error:
            count("StripeReadFailed")
            logger.warning(f"not read from Stripe: {error}")
            return {}
        # A test key cannot read live objects, and a live key no test objects.
        seen = [lookup for lookup in lookups if key and lookup.livemode is is_live(key)]
        if not seen:
            return {}
        jobs = self._asking.at_once(key, seen, _read)
        if late := sum(job is None for job in jobs.values()):
            count("StripeReadFailed", late)
            logger.warning("Stripe is too slow to be waited for", extra={"left_out": late})
        answers = {lookup: job.result() for lookup, job in jobs.items() if job is not None and not _failed(lookup, job)}
        self._asking.keep(answers)
        return answers


class StripeEvents:
    """Stripe's own list of events, which goes back thirty days. https://docs.stripe.com/api/events/list.

    Parameters
    ----------
    key, base
        The API key, which needs the permission to read Events and decides on live or test mode; the API's address.
    types
        The event types to list.
    undelivered
        List only events that some endpoint has not acknowledged, or not yet.
    most_requests
        How often Stripe may be asked, attempts that fail included.
    pause
        Sleeps for seconds between two attempts.
    """

    def __init__(  # noqa: PLR0913 - the list, and how it is asked for
        self,
        key: str,
        base: str,
        types: Iterable[str],
        *,
        undelivered: bool = False,
        most_requests: float = math.inf,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = stripe_client(key, base, LIST_TIMEOUT_SECONDS)
        self._chunks = list(batched(types, TYPES_IN_A_CALL, strict=False))
        self._filters = {"delivery_success": False} if undelivered else {}
        self._most_requests = most_requests
        self._pause = pause
        self.requests = 0
        """How often Stripe was asked."""

    def between(self, since: int, until: int, most: int | None = None) -> list[JsonObject] | None:
        """The events created from `since` on and before `until`, in epoch seconds; None if more than `most`.

        Raises
        ------
        ConfigurationError
            where Stripe refuses the key.
        OutOfRequestsError
            where Stripe may not be asked again.
        StripeUnavailableError
            where Stripe returns no list, after retries.
        """
        events: list[JsonObject] = []
        for types in self._chunks:
            for page in self._pages({"types": list(types), "created": {"gte": since, "lt": until}, **self._filters}):
                events += page
                if most is not None and len(events) > most:
                    return None
        return events

    def _pages(self, filters: dict[str, object]) -> Iterator[list[JsonObject]]:
        after: dict[str, str] = {}
        while True:
            answer = self._get({**filters, **after, "limit": PAGE})
            page: list[JsonObject] = answer["data"]
            yield page
            if not answer.get("has_more") or not page:
                return
            after = {"starting_after": page[-1]["id"]}

    def _get(self, query: dict[str, object]) -> JsonObject:
        reason = ""
        for attempt in range(ATTEMPTS):
            if self.requests >= self._most_requests:
                raise OutOfRequestsError
            self.requests += 1
            try:
                body: JsonObject = decoded(self._client.raw_request("get", EVENTS.path, **query).body)
            except Exception as error:  # noqa: BLE001 - Stripe's own errors, and whatever a proxy between makes of JSON
                # Not chained: Stripe's error carries the request's headers, the key among them.
                reason = reason_of(error)
                if getattr(error, "http_status", None) in REFUSED:
                    raise ConfigurationError(
                        f"Stripe refuses the API key ({reason}): it needs read access to Events"
                    ) from None
                if not _passes(error):
                    raise StripeUnavailableError(f"Stripe does not list events: {reason}") from None
                logger.warning("asking Stripe again", extra={"reason": reason, "attempt": attempt + 1})
                self._pause(2**attempt / 2)
            else:
                return body
        raise StripeUnavailableError(f"Stripe did not list events in {ATTEMPTS} attempts: {reason}")


def usable_key(keys: Keys, settings: Settings) -> str:
    """The API key, empty where there is none. Raises ConfigurationError where it must not go to the API's address."""
    if keys.stripe_api_key and not settings.sends_api_key:
        raise ConfigurationError(
            "STRIPE_API_BASE is not Stripe's own address, so the API key is not sent there: deploy with "
            "TrustStripeApiBase=true if it may be"
        )
    return keys.stripe_api_key


def is_live(key: str) -> bool:
    """Whether an API key is of live mode, and so reads nothing of test mode."""
    return "_live_" in key


def stripe_client(key: str, base: str, timeout: float, *, retries: int = 0) -> StripeClient:
    """Stripe's own client; `timeout` is in seconds, `base` the API's address."""
    import stripe  # noqa: PLC0415 - only where a stack has a key: importing it takes longer than all the rest

    from stripe_to_segment.http_session import http_session  # noqa: PLC0415

    # The variable STRIPE_LOG makes the library print requests and answers, whatever the loggers' levels.
    # https://github.com/stripe/stripe-python#logging
    stripe._util.STRIPE_LOG = None  # noqa: SLF001 - it has no public name that also takes precedence

    return stripe.StripeClient(
        key,
        max_network_retries=retries,
        http_client=stripe.RequestsClient(timeout=timeout, session=http_session()),
        base_addresses={"api": base},
    )


def _passes(error: Exception) -> bool:
    """Whether a retry may help: no answer, half of one, a lock, too many requests, an error of Stripe's servers."""
    status = getattr(error, "http_status", None)
    return status is None or status in {CONFLICT, TOO_MANY_REQUESTS} or status >= INTERNAL


def reason_of(error: BaseException) -> str:
    """The kind of a Stripe error, safe to log; its text would quote the request."""
    status = getattr(error, "http_status", None)
    return type(error).__name__ if status is None else f"{type(error).__name__}, HTTP {status}"


def _read(client: StripeClient, lookup: Lookup) -> JsonObject:
    options = {"stripe_account": lookup.account} if lookup.account else {}
    answer = client.raw_request("get", lookup.path, **options)
    # An object or a TypeError: a proxy in between may answer with JSON of its own.
    return {**decoded(answer.body)}


def _failed(lookup: Lookup, job: Future[JsonObject]) -> bool:
    """Whether a lookup failed, which is counted and logged; after any error of Stripe's client the event goes on.

    Checked by the batch and not in the thread of the lookup: one that is too late has been counted before it fails.
    """
    error = job.exception()
    if error is None:
        return False
    count("StripeReadFailed")
    if getattr(error, "http_status", None) in REFUSED:
        count("StripeKeyRefused")
    logger.warning("not read from Stripe", extra={"kind": lookup.kind, "reason": type(error).__name__})
    return True
