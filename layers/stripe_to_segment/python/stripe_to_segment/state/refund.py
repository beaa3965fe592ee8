"""A refund and a dispute as the record of their payment keeps them."""

from __future__ import annotations

from copy import replace

from stripe_to_segment.frozen import frozen

__all__ = ["Dispute", "Refund"]


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
