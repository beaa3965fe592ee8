"""An open invoice or session, and a payment of a part of an invoice, as the record of the payment keeps them."""

from __future__ import annotations

from decimal import Decimal

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.money import rounded

__all__ = ["NOT_SENT", "Bill", "Part"]

# In place of the event that stated a part: an import has listed the part, and no call has been sent for it yet.
NOT_SENT = "?"


@frozen
class Bill:
    """What an open invoice, or a session before its capture, asks for, in minor units.

    `due` is what is to be paid of the total, `net` the total less tax and shipping. `tax` is None for an invoice, which
    states it when it is paid.
    """

    due: int
    total: int
    net: int
    tax: int | None = None

    def revenue(self, collected: int) -> int:
        """The revenue in what was collected of it: its share of the net, half to even."""
        return int(rounded(Decimal(self.net) * collected / self.total)) if self.total > 0 else collected


@frozen
class Part:
    """One of several payments of an invoice, in minor units.

    `revenue` is None if the invoice's tax was unknown. `stated_by` is the id of the event that stated it, or NOT_SENT.
    """

    amount: int
    revenue: int | None = None
    stated_by: str = ""
