"""Find the numbers that a fact should have, by the tracking plan, and that the payload does not state.

An unknown number is left out of the call, never guessed; its name is logged and counted, so that a new shape of
Stripe's payloads is noticed. The mrr of a tiered price is not such a number, because no webhook has it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.subscriptions.state import after_of, items_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["UNKNOWN_DISCOUNT", "unknown_numbers"]

UNKNOWN_DISCOUNT = "discount"

# Only these, because a payment or subscription always has them, in every API version.
NUMBERS = ("total", "revenue", "mrr")


def unknown_numbers(facts: Iterable[Fact], event: StripeEvent, known: Known) -> tuple[str, ...]:
    """The names of missing numbers, and of a missing currency beside them, each once and in alphabetical order.

    An mrr that misses nothing but the amount of a discount is named UNKNOWN_DISCOUNT: its shape is known.
    """
    stated = [fact.event for fact in facts]
    missing = {name for one in stated for name in _expected(one.names) if getattr(one, name) is None}
    if "mrr" in missing:
        if any(item.price.tiered for item in items_after(event)):
            missing.discard("mrr")
        elif after_of(event, known).value.discount_unknown:
            missing = missing - {"mrr"} | {UNKNOWN_DISCOUNT}
    return tuple(sorted(missing)) if missing else ()


@cache
def _expected(names: tuple[str, ...]) -> list[str]:
    numbers = [name for name in NUMBERS if name in names]
    return [*numbers, "currency"] if numbers else []
