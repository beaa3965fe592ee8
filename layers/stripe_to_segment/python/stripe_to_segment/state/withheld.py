"""The calls about money that were not made, each with the reason, as a customer's record keeps them for the audit.

Settings and opt-outs of today do not show which calls were not made yesterday: an opt-out ends, an unknown user gets an
id, and a setting changes. Most records have no such calls.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from stripe_to_segment.state.sums import OBJECTS, Kind, Worth, worth_in
from stripe_to_segment.stripe_side.fields import dig, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["WITHHELD", "Why", "Withheld", "newest", "withheld_call"]

# The newest that are kept, about 60 bytes each.
WITHHELD = 1_000


class Why(StrEnum):
    """Why a call was not made, or was made and not sent: no write key, or refused by the endpoint for good."""

    OPTED_OUT = "opted_out"
    UNKNOWN_USER = "unknown_user"
    DROPPED = "dropped_by_setting"
    ENRICH = "dropped_by_enrich"
    NO_KEY = "no_key_for_test_mode"
    REFUSED = "refused"


class Withheld(NamedTuple):
    """A call that was not made, what it would have added to the sums, and the id of its object, empty if unknown."""

    why: Why
    worth: Worth
    id: str

    def written(self) -> list[str | int]:
        """As JSON for a record."""
        return [self.why, *self.worth, self.id]

    @classmethod
    def read(cls, written: Sequence[Any]) -> Self:
        """From a record."""
        why, kind, month, currency, amount, about = written
        return cls(Why(why), Worth(Kind(kind), month, currency, amount), about)


def withheld_call(encoded: str, kind: str, why: Why) -> Withheld | None:
    """An encoded call that was not accepted; None where it is not about money."""
    worth = worth_in(encoded, kind)
    if worth is None:
        return None
    return Withheld(why, worth, text(dig(json.loads(encoded), "properties", OBJECTS[worth.kind])) or "")


def newest(entries: Mapping[str, Sequence[Any]]) -> Mapping[str, Sequence[Any]]:
    """At most WITHHELD of the entries, those that were added last."""
    return entries if len(entries) <= WITHHELD else dict([*entries.items()][-WITHHELD:])
