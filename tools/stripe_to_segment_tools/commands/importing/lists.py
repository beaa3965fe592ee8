"""Stripe's lists, read by several threads within one rate limit; a 429 slows them down, and loses nothing."""

from __future__ import annotations

import math
import time
from copy import replace
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from stripe_to_segment.errors import ConfigurationError, StripeUnavailableError
from stripe_to_segment.stripe_api import reason_of, stripe_client
from stripe_to_segment.stripe_side.event import decoded
from stripe_to_segment.stripe_side.fields import hash_of, listed
from stripe_to_segment.stripe_side.objects import OBJECTS, StripeObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment_tools.commands.importing.progress import Part

__all__ = ["LISTS", "Lists", "NotPermittedError", "Pace"]

# The list of each kind. Parts of invoices come with the open invoices: all others were paid as a whole.
_OPEN = replace(OBJECTS["invoice"], listing=f"status=open&{OBJECTS['invoice'].listing}")
LISTS = {name: _OPEN if name == "invoice_payment" else each for name, each in OBJECTS.items()}
# https://docs.stripe.com/api/subscription_items/list
ITEMS = StripeObject("subscription_item", "", "Subscriptions", "expand[]=data.discounts")
TERMS = ("tiers", "currency_options")

PAGE = 100
# A page of a hundred invoices with their lines is slow.
TIMEOUT_SECONDS = 60.0
# Stripe allows 100 reads a second with a live key and 25 with a test key, and 25 of one list: others read too.
# https://docs.stripe.com/rate-limits
REQUESTS_A_SECOND = 20.0
SLOWEST_INTERVAL = 2.0
ATTEMPTS, LONGEST_PAUSE = 6, 60.0
UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS, INTERNAL = 401, 403, 429, 500


@dataclass(slots=True)
class Pace:
    """Decides when the next request of any thread may be sent.

    `usual` is the shortest time between two requests, `clock` is monotonic, `pause` sleeps, all in seconds; `refused`
    counts the answers 429.
    """

    usual: float = 1 / REQUESTS_A_SECOND
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    refused: int = 0
    interval: float = 0
    _next: float = 0
    _lock: Lock = field(default_factory=Lock)

    def wait(self) -> None:
        """Wait for a turn."""
        with self._lock:
            now = self.clock()
            turn = max(self._next, now)
            self._next = turn + max(self.interval, self.usual)
        if turn > now:
            self.pause(turn - now)

    def slower(self, seconds: float) -> None:
        """Send no request for these seconds, and fewer afterwards: Stripe answered 429."""
        with self._lock:
            self.refused += 1
            self.interval = min(max(self.interval, self.usual) * 1.5, SLOWEST_INTERVAL)
            self._next = max(self._next, self.clock() + seconds)

    def went_well(self) -> None:
        """Return to the usual pace, little by little."""
        with self._lock:
            self.interval *= 0.99


class Lists:
    """Stripe's lists of objects.

    Parameters
    ----------
    key, base
        The API key, which decides on live or test mode; the API's address.
    pace
        When requests may go out.
    """

    def __init__(self, key: str, base: str, pace: Pace | None = None) -> None:
        self._client = stripe_client(key, base, TIMEOUT_SECONDS)
        self.pace = pace or Pace()
        self.now = 0
        """Stripe's time at the last answer, in epoch seconds; 0 if it did not state it."""
        self._terms: dict[str, JsonObject] | None = None
        self._lock = Lock()

    def page(self, part: Part) -> tuple[list[JsonObject], bool]:
        """The next hundred objects of a part, newest first, and whether there are more.

        Raises
        ------
        ConfigurationError
            if Stripe refuses the key.
        StripeUnavailableError
            if Stripe does not answer with a list, after several attempts.
        """
        query: dict[str, Any] = {"limit": PAGE, "created": {"gte": part.since, "lt": part.until}}
        if part.after:
            query["starting_after"] = part.after
        answer = self._get(LISTS[part.kind], query)
        return answer["data"], bool(answer.get("has_more"))

    def current_subscriptions(self, most: int) -> list[JsonObject]:
        """The newest subscriptions that have not ended, at most so many. Raises as `page` does."""
        return self._all(replace(OBJECTS["subscription"], listing=""), most)[:most]

    def whole(self, subscription: JsonObject) -> JsonObject:
        """A subscription with all its items, and with the tiers and other currencies of its prices.

        Its list cuts the items of each, and expands nothing that is so deep. Raises as `page` does.
        """
        items: list[JsonObject] = listed(subscription.get("items"))
        if hash_of(subscription.get("items")).get("has_more"):
            items = self._all(replace(ITEMS, listing=f"subscription={subscription['id']}&{ITEMS.listing}"))
        with self._lock:
            if self._terms is None:
                prices = self._all(LISTS["price"])
                self._terms = {
                    price["id"]: terms for price in prices if (terms := {k: price[k] for k in TERMS if price.get(k)})
                }
        items = [_with_terms(item, self._terms) for item in items]
        return {**subscription, "items": {"object": "list", "data": items, "has_more": False}}

    def _all(self, each: StripeObject, most: float = math.inf) -> list[JsonObject]:
        found: list[JsonObject] = []
        more = True
        while more and len(found) < most:
            answer = self._get(each, {"limit": PAGE, **({"starting_after": found[-1]["id"]} if found else {})})
            found += answer["data"]
            more = bool(answer["data"] and answer.get("has_more"))
        return found

    def unreadable(self, kinds: Iterable[str]) -> list[str]:
        """The permissions that the key lacks for these lists, as Stripe calls them. Raises as `page` does."""
        lacking = []
        for kind in kinds:
            try:
                self._get(LISTS[kind], {"limit": 1})
            except NotPermittedError:
                lacking.append(LISTS[kind].permission)
        return list(dict.fromkeys(lacking))

    def _get(self, each: StripeObject, query: dict[str, Any]) -> JsonObject:
        given: dict[str, Any] = {}
        for name, value in parse_qsl(each.listing or ""):
            plain = name.removesuffix("[]")
            given[plain] = [*given.get(plain, []), value] if plain != name else value
        attempt = 0
        while True:
            self.pace.wait()
            try:
                answer = self._client.raw_request("get", each.path, **given, **query)
                body: JsonObject = decoded(answer.body)
            except Exception as error:  # noqa: BLE001 - Stripe's own errors, and whatever a proxy between makes of JSON
                attempt = self._failed(error, each.permission, attempt)
            else:
                self.pace.went_well()
                self.now = _date(answer.headers) or self.now
                return body

    def _failed(self, error: Exception, permission: str, attempt: int) -> int:
        """Wait before the next attempt; returns the number of failed attempts, in which a 429 does not count."""
        # Not chained: Stripe's error carries the request's headers, with the key.
        status, reason = getattr(error, "http_status", None), reason_of(error)
        if status == TOO_MANY_REQUESTS:
            self.pace.slower(_retry_after(error))
            return attempt
        if status == UNAUTHORIZED:
            raise ConfigurationError(f"Stripe refuses the API key ({reason}): was it revoked, or cut short?") from None
        if status == FORBIDDEN:
            raise NotPermittedError(f"the Stripe API key may not read {permission} ({reason})") from None
        if (status is not None and status < INTERNAL) or attempt + 1 >= ATTEMPTS:
            raise StripeUnavailableError(f"Stripe does not list {permission}: {reason}") from None
        self.pace.pause(min(2.0**attempt, LONGEST_PAUSE))
        return attempt + 1


def _with_terms(item: JsonObject, terms: Mapping[str, JsonObject]) -> JsonObject:
    price = hash_of(item.get("price"))
    found = terms.get(str(price.get("id")))
    return item if found is None else {**item, "price": {**price, **found}}


class NotPermittedError(ConfigurationError):
    """The key is valid, and may not read this list."""


def _retry_after(error: Exception) -> float:
    """The seconds that Stripe asks to wait; usually it does not say."""
    headers = {str(name).lower(): value for name, value in dict(getattr(error, "headers", None) or {}).items()}
    try:
        return min(max(float(headers.get("retry-after", 1)), 0.0), LONGEST_PAUSE)
    except ValueError:
        return 1.0


def _date(headers: Any) -> int:
    found = {str(name).lower(): value for name, value in dict(headers or {}).items()}.get("date", "")
    try:
        return int(parsedate_to_datetime(found).timestamp())
    except (TypeError, ValueError):
        return 0
