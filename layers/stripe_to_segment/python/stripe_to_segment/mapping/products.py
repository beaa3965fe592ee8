"""The `products` of an order, as Segment's ecommerce spec has them."""

from __future__ import annotations

import json
from decimal import Context, Decimal
from typing import TYPE_CHECKING, TypedDict

from stripe_to_segment.mapping.facts import plan_name
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import FirstProduct, LineCount, Product, ProductIds, Products
    from stripe_to_segment.stripe_side.lines import Line

__all__ = ["Bought", "bought", "products_of"]

# The characters of a text that a warehouse keeps; it stores a list as text.
# https://segment.com/docs/connections/storage/warehouses/schema/#column-sizing
COLUMN_SIZE = 512
# Stripe's amounts have twelve digits, and so have the decimals of its unit amounts and quantities.
UNIT_AMOUNT = Decimal("1e-12")
EXACT = Context(prec=40)


class Bought(TypedDict):
    """The purchase as properties: the lines, and a summary of them that fits a warehouse's columns."""

    products: Products
    product_ids: ProductIds
    line_count: LineCount
    first_product: FirstProduct


def bought(lines: Iterable[Line], currency: str | None, known: Known, *, more: bool = False) -> Bought:
    """The purchase in these lines; `more` says that the event does not hold all lines."""
    products = products_of(lines, currency, known)
    first = products[0] if products else {}
    return {
        "products": products,
        "product_ids": _fitting(product["product_id"] for product in products or () if "product_id" in product),
        "line_count": len(products) if products and not more else None,
        "first_product": first.get("name"),
    }


def _fitting(ids: Iterable[str]) -> list[str] | None:
    """Each id once, as many as fit a column."""
    kept: list[str] = []
    for each in dict.fromkeys(ids):
        if len(json.dumps([*kept, each])) > COLUMN_SIZE:
            break
        kept.append(each)
    return kept or None


def products_of(lines: Iterable[Line], currency: str | None, known: Known) -> list[Product] | None:
    """One product for each line, or None without lines."""
    return [_product(line, currency, known) for line in lines] or None


def _product(line: Line, currency: str | None, known: Known) -> Product:
    product: Product = {}
    if (product_id := line.price.product or line.price.id) is not None:
        product["product_id"] = product_id
    description = line.description if known.settings.sends_line_descriptions else None
    if (name := description or plan_name(line.price, known)) is not None:
        product["name"] = name
    if (price := major(_unit_amount(line), currency)) is not None:
        product["price"] = price
    # A line without a quantity is for one unit.
    product["quantity"] = 1 if line.quantity is None else line.quantity
    if line.coupon is not None:
        product["coupon"] = line.coupon
    return product


def _unit_amount(line: Line) -> Decimal | None:
    """The cost of one unit on this line, in minor units, so that price times quantity is the line's amount.

    For a proration (often a credit), a tier or a package of units it differs from the price's own amount.
    """
    stated = line.price.unit_amount
    if line.amount is not None and line.quantity is None:
        return Decimal(line.amount)
    if line.amount is None or not line.quantity:
        return stated
    # Stripe rounds the line of a sub-cent price to a whole amount: then the price is more exact.
    if stated is not None and abs(stated * line.quantity - line.amount) < 1:
        return stated
    # As many digits as Stripe itself gives a unit amount.
    return EXACT.divide(line.amount, line.quantity).quantize(UNIT_AMOUNT, context=EXACT)
