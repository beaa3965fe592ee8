"""Find the numbers that a fact should have, by the tracking plan, and that the payload does not state.

An unknown number is left out of the call, never guessed; its name is logged and counted, so that a new shape of
Stripe's payloads is noticed. An mrr that no webhook states has another name, because its shape is known.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.subscriptions.state import after_of, items_after
from stripe_to_segment.stripe_side.subscription import currency_of, items_complete

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["UNKNOWN_DISCOUNT", "UNKNOWN_PRICE", "unknown_numbers"]

UNKNOWN_DISCOUNT = "discount"
UNKNOWN_PRICE = "price"

# Only these, because a payment or subscription always has them, in every API version.
NUMBERS = ("total", "revenue", "mrr")


def unknown_numbers(facts: Iterable[Fact], event: StripeEvent, known: Known) -> tuple[str, ...]:
    """The names of missing numbers, and of a missing currency beside them, each once and in alphabetical order.

    In place of an mrr that no webhook states is the name of what it lacks: UNKNOWN_DISCOUNT or UNKNOWN_PRICE. Events of
    other objects do not count: that of the subscription did.
    """
    stated = [fact.event for fact in facts]
    missing = {name for one in stated for name in _expected(one.names) if getattr(one, name) is None}
    if "mrr" in missing:
        missing = missing - {"mrr"} | _lacking(event, known)
    return tuple(sorted(missing)) if missing else ()


def _lacking(event: StripeEvent, known: Known) -> set[str]:
    """What an unknown mrr lacks; the mrr itself where its event should state it."""
    if event.about != "customer.subscription":
        return set()
    prices, currency = [item.price for item in items_after(event)], currency_of(event.object)
    foreign = [price for price in prices if price.currency not in {None, currency}]
    if foreign or any(price.tiered for price in prices) or not items_complete(event.object):
        return {UNKNOWN_PRICE}
    return {UNKNOWN_DISCOUNT} if after_of(event, known).value.discount_unknown else {"mrr"}


@cache
def _expected(names: tuple[str, ...]) -> list[str]:
    numbers = [name for name in NUMBERS if name in names]
    return [*numbers, "currency"] if numbers else []
