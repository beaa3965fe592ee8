"""The `products` of an order, as Segment's ecommerce spec has them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from stripe_to_segment.mapping.facts import plan_name
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.mapping.properties import FirstProduct, LineCount, Product, ProductIds, Products
    from stripe_to_segment.stripe_side.lines import Line

__all__ = ["Bought", "bought", "products_of"]

# A warehouse keeps so many characters of a text, and makes text of a list.
# https://segment.com/docs/connections/storage/warehouses/schema/#column-sizing
COLUMN_SIZE = 512


class Bought(TypedDict):
    """What was bought, as properties: the lines, and what a warehouse keeps of them."""

    products: Products
    product_ids: ProductIds
    line_count: LineCount
    first_product: FirstProduct


def bought(lines: Iterable[Line], currency: str | None, known: Known, *, more: bool = False) -> Bought:
    """What these lines say was bought; `more` says that there are others, which the event does not show."""
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
    """One product a line, or None where there are no lines to tell of."""
    return [_product(line, currency, known) for line in lines] or None


def _product(line: Line, currency: str | None, known: Known) -> Product:
    product: Product = {}
    if (product_id := line.price.product or line.price.id) is not None:
        product["product_id"] = product_id
    if (name := (line.description if known.describes else None) or plan_name(line.price, known)) is not None:
        product["name"] = name
    if (price := major(_unit_amount(line), currency)) is not None:
        product["price"] = price
    # Where a line has no quantity, its amount is for the one thing that it names.
    product["quantity"] = 1 if line.quantity is None else line.quantity
    if line.coupon is not None:
        product["coupon"] = line.coupon
    return product


def _unit_amount(line: Line) -> Decimal | None:
    """What one costs on this line, in minor units, so that price times quantity is the line's amount.

    That is not the price's own amount for a proration (often a credit), a tier or a package of units.
    """
    stated = line.price.unit_amount
    if line.amount is not None and line.quantity is None:
        return Decimal(line.amount)
    if line.amount is None or not line.quantity:
        return stated
    # Stripe rounds a sub-cent price to a whole amount for the line: there the price knows better.
    if stated is not None and abs(stated * line.quantity - line.amount) < 1:
        return stated
    # As many digits as Stripe itself gives a unit amount.
    return round(Decimal(line.amount) / line.quantity, 12)
