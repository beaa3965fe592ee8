"""A line of an invoice or of a Checkout Session: description, quantity and price.

https://docs.stripe.com/api/invoice-line-item/object and https://docs.stripe.com/api/checkout/sessions/line_items
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.discount import coupon_code
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal
from stripe_to_segment.stripe_side.price import Price, read_price

if TYPE_CHECKING:
    from decimal import Decimal

    from stripe_to_segment.stripe_side import shapes

__all__ = ["Line", "read_line"]


@frozen
class Line:
    """One line; `amount` is in minor units. Since 2025-03-31 an invoice names its `price` by id only.

    `of_item` says that the line is an invoice item, as a setup fee or a proration is, and not a subscription's period.
    `begins` is the start of its period in epoch seconds, 0 where it states none.
    https://docs.stripe.com/api/invoice-line-item/object#invoice_line_item_object-parent
    """

    description: str | None
    amount: int | None
    quantity: Decimal | int | None
    price: Price
    proration: bool
    of_item: bool
    begins: int
    coupon: str | None


def read_line(line: shapes.Line) -> Line:
    """The line, from any shape that Stripe has given it."""
    details: shapes.PriceDetails = hash_of(dig(line, "pricing", "price_details"))
    price = _price(details.get("price"), line.get("price"))
    if details.get("product"):
        price["product"] = details["product"]
    if price.get("unit_amount") is None and minor_decimal(dig(line, "pricing", "unit_amount_decimal")) is not None:
        price["unit_amount_decimal"] = dig(line, "pricing", "unit_amount_decimal")
    proration = line.get("proration")
    for kind in ("subscription_item_details", "invoice_item_details"):
        proration = proration or dig(line, "parent", kind, "proration")
    amount = integer(line.get("amount"))
    return Line(
        description=text(line.get("description")),
        amount=integer(line.get("amount_subtotal")) if amount is None else amount,
        quantity=_quantity(line),
        price=read_price(price, hash_of(line.get("plan"))),
        proration=proration is True,
        of_item=line.get("type") == "invoiceitem" or bool(dig(line, "parent", "invoice_item_details")),
        begins=integer(dig(line, "period", "start")) or 0,
        coupon=coupon_code(line),
    )


def _quantity(line: shapes.Line) -> Decimal | int | None:
    """The quantity, with decimals where they are stated; `quantity` itself cuts them off, so 0.75 hours would be 0.

    https://docs.stripe.com/api/invoice-line-item/object#invoice_line_item_object-quantity_decimal
    """
    stated = minor_decimal(line.get("quantity_decimal"))
    return integer(line.get("quantity")) if stated is None else stated


def _price(newer: shapes.Reference[shapes.Price], older: shapes.Price | None) -> shapes.Price:
    """The price of a line, which may name it by id, hold the object, or have both in an old and a new field."""
    if reference(newer) not in {None, reference(older)}:
        older = None
    ids: Any = {"id": reference(newer) or reference(older)}
    return {**hash_of(older), **hash_of(newer), **ids}
