"""Readers of discounts: those stated with their coupon, those only named by id, and those that lower the MRR.

`discounts` holds ids unless expanded; the coupon moved from `discount.coupon` to `discount.source.coupon` with
2025-09-30, where it may again be an id. https://docs.stripe.com/api/discounts/object
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.fields import dig, hash_of, integer, reference, text
from stripe_to_segment.stripe_side.money import minor_decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from decimal import Decimal

    from stripe_to_segment.stripe_side import shapes

__all__ = [
    "NOTHING",
    "Coupon",
    "Discounts",
    "Remembered",
    "coupon_code",
    "coupon_from",
    "coupons_of",
    "ids_of",
    "named_only",
    "read_coupon",
    "read_discounts",
]


# The durations of coupons that end. https://docs.stripe.com/api/coupons/object#coupon_object-duration
PASSING = frozenset({"once", "repeating"})


class Coupon(NamedTuple):
    """A coupon, which takes off a percentage, or `amount_off` in minor units of `currency`.

    `duration` is forever, once or repeating; `created` is in epoch seconds, None in records of older releases. No
    webhook states the `products` that it is limited to, and the amounts in other currencies (`options`, by currency):
    the API does where `applies_to` and `currency_options` are expanded.
    https://docs.stripe.com/api/coupons/object
    """

    id: str | None
    percent_off: Decimal | None
    amount_off: int | None
    currency: str | None = None
    duration: str | None = None
    products: tuple[str, ...] = ()
    options: tuple[tuple[str, int], ...] = ()
    created: int | None = None

    @property
    def written(self) -> str:
        """The coupon as JSON, for the store."""
        known = {
            "id": self.id,
            "percent_off": None if self.percent_off is None else str(self.percent_off),
            "amount_off": self.amount_off,
            "currency": self.currency,
            "duration": self.duration,
            "applies_to": {"products": self.products} if self.products else None,
            "currency_options": {name: {"amount_off": off} for name, off in self.options} or None,
            "created": self.created,
        }
        return json.dumps({name: value for name, value in known.items() if value is not None}, separators=(",", ":"))

    def covers(self, product: str | None) -> bool:
        """Whether it takes something off this product."""
        return not self.products or product in self.products

    def billed(self, currency: str | None) -> Coupon | None:
        """The coupon in this currency; None where the amount that it takes off in it is unknown."""
        if self.percent_off is not None or None in {self.currency, currency} or self.currency == currency:
            return self
        amount = dict(self.options).get(currency or "")
        return None if amount is None else self._replace(amount_off=amount, currency=currency)

    @property
    def stated(self) -> Coupon:
        """The coupon as a webhook states it."""
        return self._replace(products=(), options=(), created=None)

    def with_more_of(self, known: Coupon) -> Coupon:
        """The coupon with what the API has stated of it."""
        return self._replace(products=self.products or known.products, options=self.options or known.options)


@lru_cache(maxsize=1024)
def coupon_from(written: str) -> Coupon | None:
    """The coupon from the JSON of `Coupon.written`; None where it does not state an amount or a percentage."""
    return read_coupon(json.loads(written))


def read_coupon(coupon: shapes.Coupon) -> Coupon | None:
    """The coupon of a Coupon object; None where it is only an id, or states neither an amount nor a percentage."""
    percent, amount = coupon.get("percent_off"), integer(coupon.get("amount_off"))
    # Through its text, because a Decimal made from a float would not be exact.
    percent_off = None if percent is None else minor_decimal(str(percent))
    if (percent is None and amount is None) or (percent is not None and percent_off is None):
        return None
    products = dig(coupon, "applies_to", "products")
    return Coupon(
        text(coupon.get("id")),
        percent_off,
        amount,
        text(coupon.get("currency")),
        text(coupon.get("duration")),
        tuple(map(str, products)) if isinstance(products, list) else (),
        tuple(
            (name, off)
            for name, option in hash_of(coupon.get("currency_options")).items()
            if (off := integer(dig(option, "amount_off"))) is not None
        ),
        integer(coupon.get("created")),
    )


class Remembered(NamedTuple):
    """Coupons that other payloads have stated, as written, by the id of a discount and by their own id.

    `own` are the ids of the Customer's own discounts, which apply to subscriptions that have none.
    """

    discounts: frozenset[tuple[str, str]] = frozenset()
    coupons: frozenset[tuple[str, str]] = frozenset()
    own: tuple[str, ...] = ()

    def coupon(self, discount: str | None, coupon: str | None, start: int | None) -> Coupon | None:
        """The coupon with the id of a discount that started then, or with an id of its own."""
        found = _named(discount, self.discounts)
        return self._own(coupon, start) if found is None else self.content(discount, found)

    def content(self, discount: str | None, written: str) -> Coupon | None:
        """The coupon of a discount from its JSON, which may be its id alone, or an old release's without duration."""
        stated = coupon_from(written)
        if stated is not None and stated.duration is not None:
            return self.limited(discount, stated)
        named = json.loads(written)
        return self._own(text(named.get("id")), integer(named.get("start"))) or stated

    def limited(self, discount: str | None, coupon: Coupon) -> Coupon:
        """The coupon of a discount with what no webhook states of it, and another payload may have stated."""
        of_discount = _named(discount, self.discounts)
        for known in (self._own(coupon.id), None if of_discount is None else coupon_from(of_discount)):
            # A coupon's id may have belonged to another one, which was deleted.
            if known is not None and known.stated == coupon.stated:
                coupon = coupon.with_more_of(known)
        return coupon

    def _own(self, name: str | None, start: int | None = None) -> Coupon | None:
        written = _named(name, self.coupons)
        found = None if written is None else coupon_from(written)
        if found is None or None in {found.created, start}:
            return found
        # One that was made after the discount began has the id of another, which was deleted.
        return found if (found.created or 0) <= (start or 0) else None


def _named(name: str | None, pairs: frozenset[tuple[str, str]]) -> str | None:
    return next((value for key, value in pairs if key == name), None) if pairs else None


@frozen
class Discounts:
    """The known coupons, and whether the payload names a discount with an unknown coupon (`unstated`)."""

    coupons: tuple[Coupon, ...] = ()
    unstated: bool = False

    def counting(self, policy: str, currency: str | None) -> Discounts:
        """The discounts that lower the MRR in this currency.

        By Stripe's rule, coupons with the duration forever lower it, once and repeating do not, and of any other
        duration nothing is known; `policy` is forever, all or none. A fixed amount is unknown in a currency that is
        none of its options.
        https://support.stripe.com/questions/billing-analytics
        """
        if policy == "none":
            return NONE
        if not self.coupons:
            return self
        counted = [one for one in self.coupons if policy == "all" or one.duration not in PASSING]
        fitting = tuple(
            billed
            for one in counted
            if (billed := one.billed(currency)) is not None and (policy == "all" or one.duration == "forever")
        )
        return Discounts(fitting, self.unstated or len(fitting) < len(counted))


NONE = Discounts()
NOTHING = Remembered()


def read_discounts(
    plural: Iterable[object] | None, singular: object = None, remembered: Remembered = NOTHING
) -> Discounts:
    """The discounts of two fields: `discounts`, and the older `discount`, which may repeat one of them."""
    entries = _entries(plural, singular)
    if not entries:
        return NONE
    stated = [(entry, ids_of(entry), _coupon(entry)) for entry in entries]
    coupons = [
        remembered.limited(ids[0], one) if one else remembered.coupon(*ids, integer(dig(entry, "start")))
        for entry, ids, one in stated
    ]
    known = tuple(coupon for coupon in coupons if coupon is not None)
    return Discounts(known, len(known) < len(coupons))


def coupons_of(plural: Iterable[object] | None, singular: object = None) -> dict[str, str]:
    """The coupons of these two fields, as written, by the id of their discount; of one that is only named, its id."""
    found: dict[str, str] = {}
    for entry in _entries(plural, singular):
        (discount, coupon), stated = ids_of(entry), _coupon(entry)
        if discount and stated is not None:
            found[discount] = stated.written
        elif discount and coupon:
            named = {"id": coupon, "start": integer(dig(entry, "start"))}
            found[discount] = json.dumps({name: one for name, one in named.items() if one}, separators=(",", ":"))
    return found


def named_only(coupons: Mapping[str, str]) -> list[str]:
    """Ids of those of these coupons, as written, of which the amount or the duration is unknown."""
    if not coupons:
        return []
    read = [json.loads(written) for written in coupons.values()]
    unknown = [one for one in read if read_coupon(one) is None or not one.get("duration")]
    return [coupon for one in unknown if (coupon := text(one.get("id")))]


def _entries(plural: Iterable[object] | None, singular: object) -> list[object]:
    entries = list(plural) if isinstance(plural, list | tuple) else []
    if not isinstance(singular, dict):
        return entries
    if not entries:
        return [singular]
    # The list names the discount of the older field by its id: put the full one in its place.
    return [singular if reference(entry) == singular.get("id") and not _coupon(entry) else entry for entry in entries]


def ids_of(discount: object) -> tuple[str | None, str | None]:
    """The id of a discount, and the id of its coupon where the discount names it."""
    return reference(discount), reference(dig(discount, "source", "coupon")) or reference(dig(discount, "coupon"))


def _coupon(discount: object) -> Coupon | None:
    return read_coupon(hash_of(dig(discount, "source", "coupon")) or hash_of(dig(discount, "coupon")))


def coupon_code(holder: shapes.Discounted) -> str | None:
    """The id of the first coupon that an invoice, a session or a subscription names, expanded or not."""
    plural = holder.get("discounts")
    entries = [*plural] if isinstance(plural, list) else []
    for entry in (*entries, holder.get("discount")):
        found = reference(dig(entry, "source", "coupon")) or reference(dig(entry, "coupon"))
        if found:
            return found
    return None
