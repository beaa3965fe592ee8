"""One object of Stripe's to read through its API."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Lookup"]


class Lookup(NamedTuple):
    """One object to read.

    `kind` is customer, failed_payment (by its invoice), invoice_payments (by their intent), line_items or product.
    """

    kind: str
    id: str
    livemode: bool
    account: str | None
