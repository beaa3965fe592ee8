"""Reading from the Stripe API, for teams that give the stack a restricted key. A failure is a miss, never a delay."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.observability import count, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stripe_to_segment.lookups import Lookup
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["StripeReader"]

PATHS = {
    "customer": "/v1/customers/{id}",
    "line_items": "/v1/checkout/sessions/{id}/line_items?limit=100",
    "product": "/v1/products/{id}",
}
TIMEOUT_SECONDS = 3.0
THREADS = 8
CACHED = 2_000
# A customer may get its metadata a moment after it was asked for; a session's lines never change.
CACHE_SECONDS = {"customer": 10.0, "line_items": 3600.0, "product": 600.0}


class StripeReader:
    """Reads objects by id, several at once, each at most once in its cache time.

    Parameters
    ----------
    key
        Gives the API key, empty where none is configured; a restricted key that may read customers, Checkout Sessions
        and products is enough.
    base
        The API's address.
    clock
        Monotonic seconds.
    """

    def __init__(self, key: Callable[[], str], base: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key
        self._base = base
        self._clock = clock
        self._cache: OrderedDict[Lookup, tuple[float, JsonObject]] = OrderedDict()
        self._pool = ThreadPoolExecutor(max_workers=THREADS)
        self._client: tuple[str, Any] | None = None

    def read(self, wanted: Iterable[Lookup]) -> dict[Lookup, JsonObject]:
        """What could be read of this; what failed is left out, counted and logged."""
        found: dict[Lookup, JsonObject] = {}
        asked: list[Lookup] = []
        for lookup in dict.fromkeys(wanted):
            kept = self._cache.get(lookup)
            if kept is not None and self._clock() - kept[0] < CACHE_SECONDS[lookup.kind]:
                found[lookup] = kept[1]
            else:
                asked.append(lookup)
        return found | self._ask(asked) if asked else found

    def _ask(self, lookups: list[Lookup]) -> dict[Lookup, JsonObject]:
        try:
            key = self._key()
        except ConfigurationError:
            return {}
        # A test key cannot see live objects, nor the other way round.
        seen = [lookup for lookup in lookups if key and lookup.livemode is ("_live_" in key)]
        if not seen:
            return {}
        client = self._connected(key)
        answers = self._pool.map(lambda lookup: _read(client, lookup), seen)
        told = {lookup: body for lookup, body in zip(seen, answers, strict=True) if body is not None}
        for lookup, body in told.items():
            self._cache[lookup] = (self._clock(), body)
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return told

    def _connected(self, key: str) -> Any:
        if self._client is None or self._client[0] != key:
            # Imported only by stacks that have a key: it takes longer to import than all the rest.
            import stripe  # noqa: PLC0415

            client = stripe.StripeClient(
                key,
                max_network_retries=0,
                http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS),
                base_addresses={"api": self._base},
            )
            self._client = (key, client)
        return self._client[1]


def _read(client: Any, lookup: Lookup) -> JsonObject | None:
    options = {"stripe_account": lookup.account} if lookup.account else {}
    try:
        answer = client.raw_request("get", PATHS[lookup.kind].format(id=lookup.id), **options)
        body: JsonObject = json.loads(answer.body)
    except Exception as error:  # noqa: BLE001 - whatever Stripe's client raises, the event goes on without
        count("StripeReadFailed")
        logger.warning("not read from Stripe", extra={"kind": lookup.kind, "reason": type(error).__name__})
        return None
    return body
