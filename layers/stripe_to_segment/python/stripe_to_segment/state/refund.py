"""A refund and a dispute as the record of their payment keeps them."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ANONYMOUS", "Dispute", "Refund", "of_both"]

# The prefix of the key of a refund with an unknown id; the charge's running total distinguishes it from the next.
ANONYMOUS = "total:"


@frozen
class Refund:
    """One refund; amounts are in minor units.

    A refund `stands` until it fails. `revenue` and `tax` are its shares, None where those of the payment are unknown.
    `stated_by` and `undone_by` are the ids of the events that stated the refund and its failure, empty until one did.
    `running_total` is the charge's sum of refunds after this one, 0 until a charge.refunded (`totalled_by`) states it.
    `named` is the payment that the refund names, kept where only amount and time say which order that payment paid;
    `charged_at` is the time of its charge, 0 where the event does not state it. `listed_at` is the epoch second as of
    which an import has listed it, 0 where an event came first.
    """

    amount: int
    stands: bool = True
    revenue: int | None = None
    tax: int | None = None
    stated_by: str = ""
    undone_by: str = ""
    running_total: int = 0
    totalled_by: str = ""
    named: str = ""
    charged_at: int = 0
    listed_at: int = 0

    def may_be(self, nameless: Refund) -> bool:
        """Whether a charge.refunded, which names no refund, may have stated this one.

        What came after an import is another refund.
        """
        same_total = self.running_total in {0, nameless.running_total}
        return self.amount == nameless.amount and same_total and not self.listed_at

    def joined(self, other: Refund) -> Refund:
        """The refund as two records together know it; a refund that has failed stays failed."""
        return replace(
            self,
            stands=self.stands and other.stands,
            revenue=other.revenue if self.revenue is None else self.revenue,
            tax=other.tax if self.tax is None else self.tax,
            stated_by=self.stated_by or other.stated_by,
            undone_by=self.undone_by or other.undone_by,
            running_total=max(self.running_total, other.running_total),
            totalled_by=self.totalled_by or other.totalled_by,
            named=self.named and other.named,
            charged_at=self.charged_at or other.charged_at,
            listed_at=min(self.listed_at, other.listed_at),
        )


def of_both(one: Mapping[str, Refund], other: Mapping[str, Refund]) -> dict[str, Refund]:
    """The refunds of two entries for one payment, each once; one without a name is looked for in the other entry."""
    one, other = _named_by(other, one), _named_by(one, other)
    return {**other, **one} | {key: one[key].joined(other[key]) for key in one.keys() & other.keys()}


def _named_by(names: Mapping[str, Refund], refunds: Mapping[str, Refund]) -> dict[str, Refund]:
    """The refunds, those without a name under the name of the same refund in `names`."""
    named: dict[str, Refund] = {}
    free = {key: one for key, one in names.items() if key not in refunds and not key.startswith(ANONYMOUS)}
    for key, refund in refunds.items():
        nameless = key.startswith(ANONYMOUS) and key not in names
        name = next((name for name, one in free.items() if nameless and one.may_be(refund)), key)
        free.pop(name, None)
        named[name] = refund
    return named


@frozen
class Dispute:
    """One dispute: the amount that Stripe has withdrawn (minor units), as of an epoch second.

    `named` is the payment that the dispute names, as for a refund. `listed_at` is the epoch second as of which an
    import has listed it without sending it, None if an event came first.
    """

    withdrawn: int = 0
    as_of: int = 0
    named: str = ""
    listed_at: int | None = None
