"""The terms of a subscription as the Stripe API returns them: coupons, tiers, and amounts in other currencies."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen
from stripe_to_segment.stripe_side.discount import coupons_of, named_only
from stripe_to_segment.stripe_side.fields import dig, hash_of, listed, text
from stripe_to_segment.stripe_side.money import minor_decimal
from stripe_to_segment.stripe_side.tiers import tiers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stripe_to_segment.stripe_side import shapes

__all__ = ["NO_TERMS", "ApiTerms", "api_terms"]


@frozen
class ApiTerms:
    """Coupons, as written, by the id of their discount; amounts and tiers, as written, by price and currency."""

    discounts: Mapping[str, str] = field(default_factory=dict)
    amounts: Mapping[str, str] = field(default_factory=dict)
    tiers: Mapping[str, str] = field(default_factory=dict)

    @property
    def named_coupons(self) -> list[str]:
        """Ids of coupons that are named and not stated."""
        return named_only(self.discounts)


NO_TERMS = ApiTerms()


def api_terms(subscription: shapes.Subscription | None, more_prices: Iterable[shapes.Price] = ()) -> ApiTerms:
    """The terms in a subscription that was read with its prices and discounts expanded, and in prices of their own."""
    items = listed(hash_of(subscription).get("items"))
    prices = [*(hash_of(item.get("price")) for item in items), *more_prices]
    holders = [hash_of(subscription), *items]
    return ApiTerms(
        coupons_of([entry for holder in holders for entry in listed(holder.get("discounts"))]),
        {
            f"{price.get('id')}:{currency}": str(amount)
            for price in prices
            for currency, option in hash_of(price.get("currency_options")).items()
            if currency != text(price.get("currency")) and (amount := _amount(hash_of(option))) is not None
        },
        {name: tiers for price in prices for name, tiers in _tiers(price)},
    )


def _tiers(price: shapes.Price) -> Iterator[tuple[str, str]]:
    """The price's tiers, as written, by price and currency: its own, and those of its other currencies."""
    # Only the price itself says how its tiers add up.
    mode = price.get("tiers_mode")
    for currency, holder in (*hash_of(price.get("currency_options")).items(), (text(price.get("currency")), price)):
        tiers = tiers_of({"tiers_mode": mode, "tiers": dig(holder, "tiers")})
        if tiers is not None:
            yield f"{price.get('id')}:{currency}", tiers


def _amount(option: shapes.CurrencyOption) -> object:
    found = map(minor_decimal, (option.get("unit_amount_decimal"), option.get("unit_amount")))
    return next((amount for amount in found if amount is not None), None)
