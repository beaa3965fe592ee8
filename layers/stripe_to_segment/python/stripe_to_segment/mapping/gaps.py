"""What a fact should tell and does not: numbers that its plan has and that the payload left open.

An unknown number is left out of a call, never guessed; here it is counted, so that a new shape at Stripe is noticed.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.plan import EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Fact
    from stripe_to_segment.mapping.plan import Name

__all__ = ["gaps"]

# Only these: the payment or subscription that a fact is about always has them, whatever Stripe's API version.
NUMBERS = ("total", "revenue", "mrr")


def gaps(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The names of missing numbers, and of a missing currency beside them, each once and in alphabetical order."""
    return tuple(sorted({name for fact in facts for name in _expected(fact.name) if fact.properties.get(name) is None}))


@cache
def _expected(fact: Name) -> list[str]:
    plan = EVENTS[fact]
    numbers = [name for name in NUMBERS if name in {*plan.required, *plan.optional}]
    return [*numbers, "currency"] if numbers else []
