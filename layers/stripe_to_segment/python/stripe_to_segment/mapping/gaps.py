"""What a fact should tell and does not: numbers that its plan has and that the payload left open.

An unknown number is left out of a call, never guessed; here it is counted, so that a new shape at Stripe is noticed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Fact
    from stripe_to_segment.mapping.tracking import Event

__all__ = ["gaps"]

# Only these: the payment or subscription that a fact is about always has them, whatever Stripe's API version.
NUMBERS = ("total", "revenue", "mrr")


def gaps(facts: Iterable[Fact]) -> tuple[str, ...]:
    """The names of missing numbers, and of a missing currency beside them, each once and in alphabetical order."""
    told = [fact.event for fact in facts]
    return tuple(sorted({name for one in told for name in _expected(type(one)) if getattr(one, name) is None}))


def _expected(declared: type[Event]) -> list[str]:
    numbers = [name for name in NUMBERS if name in declared.names]
    return [*numbers, "currency"] if numbers else []
