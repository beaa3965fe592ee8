"""An open invoice or session, and a payment of a part of an invoice, as the record of the payment keeps them."""

from __future__ import annotations

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.money import Shares, shares_of

__all__ = ["NOT_SENT", "Bill", "Part"]

# In place of the event that stated a part: an import has listed the part, and no call has been sent for it yet.
NOT_SENT = "?"


@frozen
class Bill:
    """What an open invoice, or a session before its capture, asks for, in minor units.

    `due` is what is to be paid of the total, `net` the total less tax and shipping. `tax` is None where it is unknown.
    """

    due: int
    total: int
    net: int
    tax: int | None = None

    def shares(self, collected: int) -> Shares:
        """What of an amount collected of it is revenue, tax and shipping; an unknown tax is in the shipping."""
        tax = self.tax or 0
        return shares_of(collected, self.total, tax, self.total - self.net - tax)


@frozen
class Part:
    """One of several payments of an invoice, in minor units.

    `revenue` is None if the invoice's tax was unknown, `tax` also if no call stated it. `stated_by` is the id of the
    event that stated it, or NOT_SENT; empty for a purchase, which was stated as an order before it was attached to the
    invoice. `beyond` says that it is what such a purchase brought in beside what it has paid of this invoice.
    """

    amount: int
    revenue: int | None = None
    stated_by: str = ""
    tax: int | None = None
    beyond: bool = False
