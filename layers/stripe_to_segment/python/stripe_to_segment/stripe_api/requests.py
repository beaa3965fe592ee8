"""Requests to Stripe by several threads within one rate limit; a 429 slows them down, and loses nothing."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError, StripeUnavailableError
from stripe_to_segment.stripe_api.reader import reason_of, stripe_client
from stripe_to_segment.stripe_side.event import decoded

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["REQUESTS_A_SECOND", "NotPermittedError", "Pace", "RefusedError", "Requests"]

# A page of a hundred invoices with their lines is slow.
TIMEOUT_SECONDS = 60.0
# Stripe allows 100 requests a second with a live key and 25 with a test key, and 25 of one list: others ask too.
# https://docs.stripe.com/rate-limits
REQUESTS_A_SECOND = 20.0
SLOWEST_INTERVAL = 2.0
ATTEMPTS, LONGEST_PAUSE = 6, 60.0
UNAUTHORIZED, FORBIDDEN, TOO_MANY_REQUESTS, INTERNAL = 401, 403, 429, 500


class NotPermittedError(ConfigurationError):
    """The key is valid, and lacks a permission; `named` is Stripe's own name of it, such as rak_coupon_read."""

    def __init__(self, message: str, named: str = "") -> None:
        super().__init__(message)
        self.named = named


class RefusedError(StripeUnavailableError):
    """Stripe does not take this request, however often it is sent; `status` is its answer's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


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


class Requests:
    """Requests with one API key.

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

    def get(self, path: str, permission: str, **query: Any) -> JsonObject:
        """What Stripe has at an address; `permission` is its name for the right to read it.

        Raises
        ------
        NotPermittedError
            if the key may not do that.
        ConfigurationError
            if Stripe refuses the key.
        RefusedError
            if Stripe does not take the request.
        StripeUnavailableError
            if Stripe does not answer, after several attempts.
        """
        return self._send("get", path, f"read {permission}", query)

    def post(self, path: str, permission: str, **fields: Any) -> JsonObject:
        """Change what is there. Raises as `get` does."""
        return self._send("post", path, f"write {permission}", fields)

    def _send(self, method: str, path: str, what: str, given: dict[str, Any]) -> JsonObject:
        attempt = 0
        while True:
            self.pace.wait()
            try:
                answer = self._client.raw_request(method, path, **given)
                body: JsonObject = decoded(answer.body)
            except Exception as error:  # noqa: BLE001 - Stripe's own errors, and whatever a proxy between makes of JSON
                attempt = self._failed(error, what, attempt)
            else:
                self.pace.went_well()
                self.now = _date(answer.headers) or self.now
                return body

    def _failed(self, error: Exception, what: str, attempt: int) -> int:
        """Wait before the next attempt; returns the number of failed attempts, in which a 429 does not count."""
        # Not chained: Stripe's error carries the request's headers, with the key.
        status, reason = getattr(error, "http_status", None), reason_of(error)
        if status == TOO_MANY_REQUESTS:
            self.pace.slower(_retry_after(error))
            return attempt
        if status == UNAUTHORIZED:
            raise ConfigurationError(f"Stripe refuses the API key ({reason}): was it revoked, or cut short?") from None
        if status == FORBIDDEN:
            named = _named_permission(error)
            said = f"{reason}, {named}" if named else reason
            raise NotPermittedError(f"the Stripe API key may not {what} ({said})", named) from None
        if status is not None and status < INTERNAL:
            raise RefusedError(f"Stripe refuses a request to {what}: {reason}", status) from None
        if attempt + 1 >= ATTEMPTS:
            raise StripeUnavailableError(f"Stripe does not answer a request to {what}: {reason}") from None
        self.pace.pause(min(2.0**attempt, LONGEST_PAUSE))
        return attempt + 1


def _named_permission(error: Exception) -> str:
    """The permission that Stripe's answer asks for, empty where it names none; the rest of its text names the key."""
    found = re.search(r"'(rak_\w+)'", str(error))
    return found[1] if found else ""


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
