"""Readers of a refunded Charge.

https://docs.stripe.com/api/charges/object
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import integer, listed, reference, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["invoice_of", "newest_refund", "payment_of", "refunded_amount", "refunded_total", "was_collected"]


def was_collected(charge: shapes.Charge) -> bool:
    """Whether the charge collected money. A released authorisation did not, though Stripe calls its release a refund.

    https://docs.stripe.com/payments/place-a-hold-on-a-payment-method
    """
    # All three are needed, because Stripe's own samples of refunded charges say `captured: false`. Until the
    # change that `_released` names, the amount captured is null where nothing was.
    held = charge.get("captured") is False and charge.get("amount_captured", -1) in {0, None}
    return not (held and charge.get("amount_refunded") == charge.get("amount"))


def refunded_total(charge: shapes.Charge, previous: shapes.Charge) -> int | None:
    """All refunds of this charge so far, in minor units, without the part of the authorisation that was released."""
    total = integer(charge.get("amount_refunded"))
    return None if total is None else total - _released(charge, previous)


def refunded_amount(charge: shapes.Charge, previous: shapes.Charge) -> int | None:
    """The amount of this refund alone, in minor units, because `amount_refunded` is a running total.

    It is the difference to the previous total. Where the event does not state that, it is the amount of the newest
    entry in the `refunds` list (which charges carry until 2022-11-15), else the total itself. It is 0 where the event
    states only what a partial capture released.
    """
    total, before = refunded_total(charge, previous), integer(previous.get("amount_refunded"))
    if total is not None and before is not None:
        return total - max(before - _released(charge, previous), 0)
    newest = newest_refund(charge)
    return total if newest is None or not total else integer(newest.get("amount"))


def _released(charge: shapes.Charge, previous: shapes.Charge) -> int:
    """The part of `amount_refunded` that was never collected.

    After a partial capture Stripe releases the rest of the authorisation. Before 2025-03-31 it counts that as refunded,
    and says so in charge.refunded; no refund.created states it. Until then a charge has its `invoice`, if only as null.
    https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow
    """
    asked, captured = integer(charge.get("amount")), integer(charge.get("amount_captured"))
    if asked is None or not captured or charge.get("captured") is False:
        return 0
    released, total = max(asked - captured, 0), integer(charge.get("amount_refunded")) or 0
    if "invoice" not in charge and total <= captured:
        return 0
    before = integer(previous.get("amount_refunded"))
    # It came before every refund, so a total that was smaller before does not include it.
    includes = total == released or (total > released and (before is None or before >= released))
    return released if includes else 0


def newest_refund(charge: shapes.Charge) -> shapes.Refund | None:
    """The newest entry of the `refunds` list, None where the charge has none."""
    return max(listed(charge.get("refunds")), key=lambda refund: integer(refund.get("created")) or 0, default=None)


def invoice_of(charge: shapes.Charge) -> str | None:
    """The invoice that the charge paid; gone since 2025-03-31, since when the payment intent joins the two."""
    return reference(charge.get("invoice"))


def payment_of(charge: shapes.Charge) -> str | None:
    """The id under which the charge's order is known: the payment intent or, where there is none, the charge itself."""
    return reference(charge.get("payment_intent")) or text(charge.get("id"))
