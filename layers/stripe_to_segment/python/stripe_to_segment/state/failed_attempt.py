"""A failed attempt at a payment, as far as events have told of it."""

from __future__ import annotations

from copy import replace
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.failure import UNKNOWN_FAILURE, Failure

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["FailedAttempt"]


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One attempt, which up to three of Stripe's objects state: a Checkout Session, an invoice, a PaymentIntent.

    `told_as` is the key of the fact that tells it, empty while none does; `keys` are those that each statement would
    have by itself, `stated_by` the objects' kinds, `names` the ids by which they know the payment. `at` is in epoch
    seconds, `value` in minor units.
    """

    told_as: str
    keys: tuple[str, ...]
    stated_by: tuple[str, ...]
    names: tuple[str, ...]
    at: int
    value: int | None
    currency: str | None
    why: Failure = UNKNOWN_FAILURE

    def joined(self, other: FailedAttempt) -> FailedAttempt:
        """With what another statement of the same attempt adds."""
        return replace(
            self,
            told_as=self.told_as or other.told_as,
            keys=_both(self.keys, other.keys),
            stated_by=_both(self.stated_by, other.stated_by),
            names=_both(self.names, other.names),
            why=self.why.or_else(other.why),
        )

    def written(self) -> JsonObject:
        """As it stands in a record: JSON, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value and value != UNKNOWN_FAILURE}

    @classmethod
    def read(cls, written: JsonObject) -> FailedAttempt:
        """From a record, also one of another release."""
        known: JsonObject = {field.name: written.get(field.name) for field in fields(cls)}
        known |= {name: tuple(known[name] or ()) for name in ("keys", "stated_by", "names")}
        return cls(
            **known | {"told_as": known["told_as"] or "", "at": known["at"] or 0, "why": Failure(*known["why"] or ())}
        )


def _both(these: tuple[str, ...], those: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*these, *those)))
