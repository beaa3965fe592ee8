"""Discounts: which are stated with their coupon, and which are only named by id.

`discounts` holds ids unless expanded; the coupon moved from `discount.coupon` to `discount.source.coupon` with
2025-09-30, where it may again be an id. https://docs.stripe.com/api/discounts/object
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.fields import JsonObject, dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

__all__ = ["Coupon", "Discounts", "coupon_code", "read_discounts"]


@dataclass(frozen=True, slots=True)
class Coupon:
    """What a coupon takes off: a percentage, or `amount_off` in minor units of `currency`."""

    id: str | None
    percent_off: Decimal | None
    amount_off: int | None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Discounts:
    """The coupons a payload states, and whether it names further discounts without stating them."""

    coupons: tuple[Coupon, ...] = ()
    unstated: bool = False

    def within(self, currency: str | None) -> Discounts:
        """The same for amounts in this currency: what another currency's coupon takes off here is not stated."""
        if not self.coupons:
            return self
        fitting = tuple(
            coupon
            for coupon in self.coupons
            if coupon.percent_off is not None or None in {coupon.currency, currency} or coupon.currency == currency
        )
        return Discounts(fitting, self.unstated or len(fitting) < len(self.coupons))


NONE = Discounts()


def read_discounts(plural: Iterable[object] | None, singular: object = None) -> Discounts:
    """Both fields at once: `discounts`, and the older `discount` that states the same one beside it."""
    entries = list(plural) if isinstance(plural, list | tuple) else []
    if not entries and not isinstance(singular, dict):
        return NONE
    known = {dig(entry, "id"): entry for entry in (*entries, singular) if isinstance(entry, dict)}
    if not entries and isinstance(singular, dict):
        entries = [singular]
    coupons: list[Coupon] = []
    unstated = False
    for entry in entries:
        coupon = _coupon(known.get(reference(entry), entry))
        if coupon is None:
            unstated = True
        else:
            coupons.append(coupon)
    return Discounts(tuple(coupons), unstated)


def _coupon(discount: object) -> Coupon | None:
    coupon = hash_of(dig(discount, "source", "coupon")) or hash_of(dig(discount, "coupon"))
    percent, amount = coupon.get("percent_off"), integer(coupon.get("amount_off"))
    if percent is None and amount is None:
        return None
    # JSON writes it as a number, and a decimal reads it exactly from its text.
    percent_off = None if percent is None else minor_decimal(str(percent))
    if percent is not None and percent_off is None:
        return None
    return Coupon(text(coupon.get("id")), percent_off, amount, text(coupon.get("currency")))


def coupon_code(holder: JsonObject) -> str | None:
    """The id of the first coupon that an invoice, a session or a subscription names, expanded or not."""
    plural = holder.get("discounts")
    entries = [*plural] if isinstance(plural, list) else []
    for entry in (*entries, holder.get("discount")):
        found = reference(dig(entry, "source", "coupon")) or reference(dig(entry, "coupon"))
        if found:
            return found
    return None
