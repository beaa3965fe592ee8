"""A failed attempt at a payment, put together from the events about it."""

from __future__ import annotations

from copy import replace
from dataclasses import fields
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.failure import UNKNOWN_FAILURE, Failure

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["FailedAttempt"]


@frozen
class FailedAttempt:
    """One failed attempt, reported by up to three of Stripe's objects: a Checkout Session, an invoice, a PaymentIntent.

    `fact_key` is the key of the fact that states it, empty until one does. `keys` are the keys that a fact of each
    object would have alone, `stated_by` the kinds of these objects, `names` the ids under which they know the payment.
    `at` is in epoch seconds, `value` in minor units.
    """

    fact_key: str
    keys: tuple[str, ...]
    stated_by: tuple[str, ...]
    names: tuple[str, ...]
    at: int
    value: int | None
    currency: str | None
    why: Failure = UNKNOWN_FAILURE

    def joined(self, other: FailedAttempt) -> FailedAttempt:
        """The attempt with what another object adds about it."""
        return replace(
            self,
            fact_key=self.fact_key or other.fact_key,
            keys=_both(self.keys, other.keys),
            stated_by=_both(self.stated_by, other.stated_by),
            names=_both(self.names, other.names),
            why=self.why.or_else(other.why),
        )

    def written(self) -> JsonObject:
        """The attempt as JSON for a record, without empty fields."""
        stated = {name: value for name in FIELDS if (value := getattr(self, name)) and value != UNKNOWN_FAILURE}
        # The field was `told_as` once, and is stored under that name.
        return {"told_as" if name == "fact_key" else name: value for name, value in stated.items()}

    @classmethod
    def read(cls, written: JsonObject) -> FailedAttempt:
        """The attempt from a record, also from one of another release."""
        known: JsonObject = {name: written.get(name) for name in FIELDS}
        known |= {name: tuple(known[name] or ()) for name in ("keys", "stated_by", "names")}
        why = (known["why"] or ())[: len(Failure._fields)]
        return cls(**known | {"fact_key": written.get("told_as", ""), "at": known["at"] or 0, "why": Failure(*why)})


FIELDS = [each.name for each in fields(FailedAttempt)]


def _both(these: tuple[str, ...], those: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*these, *those)))
