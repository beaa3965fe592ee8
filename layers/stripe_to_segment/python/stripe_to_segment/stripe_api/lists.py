"""Stripe's lists of objects, page by page."""

from __future__ import annotations

import math
from copy import replace
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from stripe_to_segment.stripe_api.requests import NotPermittedError, RefusedError, Requests
from stripe_to_segment.stripe_side.fields import hash_of, integer, listed, text
from stripe_to_segment.stripe_side.objects import OBJECTS, Lookup, StripeObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment.stripe_api.requests import Pace
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["FIRST", "LISTS", "PARTS", "Lists", "Part"]

# 2010: no Stripe account is older.
FIRST = 1_262_304_000

# Parts of invoices come with those that are open and those that were written off: a paid invoice states the whole, and
# Stripe voids none of which a part is paid.
# https://docs.stripe.com/invoicing/partial-payments
PARTS = {
    kind: replace(OBJECTS["invoice"], listing=f"status={status}&{OBJECTS['invoice'].listing}")
    for kind, status in (("invoice_payment", "open"), ("written_off_payment", "uncollectible"))
}
# Without `active`, Stripe lists only active prices; old subscriptions and invoices keep a price that was archived.
# https://docs.stripe.com/api/prices/list
PRICES = {
    kind: replace(OBJECTS["price"], listing=f"active={active}&{OBJECTS['price'].listing}")
    for kind, active in (("price", "true"), ("archived_price", "false"))
}
# The list of each kind.
_LISTED_OTHERWISE = {"price": PRICES, "invoice_payment": PARTS}
LISTS = {kind: one for name, each in OBJECTS.items() for kind, one in _LISTED_OTHERWISE.get(name, {name: each}).items()}
OF_INVOICES = frozenset({"invoice", *PARTS})
# https://docs.stripe.com/api/subscription_items/list; a list of subscriptions expands nothing that is so deep.
ITEMS = StripeObject("subscription_item", "", "Subscriptions", "expand[]=data.discounts.source.coupon")
TERMS = ("tiers", "currency_options")

PAGE = 100
# https://docs.stripe.com/error-codes#resource-missing
NO_SUCH_OBJECT = (400, 404)


@dataclass(slots=True)
class Part:
    """The objects created from `since` on and before `until` (epoch seconds) that come after one in the list's order.

    `reached` is the time at which that one was created, 0 before the first page.
    """

    kind: str
    since: int
    until: int
    after: str = ""
    reached: int = 0

    @property
    def left(self) -> int:
        """The seconds of time that are not listed yet."""
        return max((self.reached or self.until) - self.since, 0)

    def passed(self, page: Sequence[JsonObject]) -> None:
        """Continue after this page."""
        self.after, self.reached = str(page[-1]["id"]), int(page[-1]["created"])

    def begins_again(self, error: RefusedError) -> bool:
        """Continue with the second that was reached, where the object that came last was deleted since.

        The draft of an invoice may be. False where the error is another, or the part would not get on.
        """
        if error.status not in NO_SUCH_OBJECT or not self.after or self.reached + 1 >= self.until:
            return False
        self.until, self.after, self.reached = self.reached + 1, "", 0
        return True


class Lists:
    """Stripe's lists of objects.

    Parameters
    ----------
    key, base
        The API key, which decides on live or test mode; the API's address.
    pace
        When requests may go out.
    alone
        Whether objects come without others that belong to them, for a key that may read nothing else.
    """

    def __init__(self, key: str, base: str, pace: Pace | None = None, *, alone: bool = False) -> None:
        self.requests = Requests(key, base, pace)
        self._alone = alone
        self._terms: dict[str, JsonObject] | None = None
        self._tiers: dict[str, JsonObject] = {}
        self._coupons: dict[str, int] | None = None
        self._lock = Lock()

    def page(self, part: Part) -> tuple[list[JsonObject], bool]:
        """The next hundred objects of a part, newest first, and whether there are more.

        Raises
        ------
        ConfigurationError, StripeUnavailableError
            as `Requests.get` does.
        """
        query: dict[str, Any] = {"limit": PAGE, "created": {"gte": part.since, "lt": part.until}}
        if part.after:
            query["starting_after"] = part.after
        answer = self._get(LISTS[part.kind], query)
        page: list[JsonObject] = answer["data"]
        if part.kind in OF_INVOICES:
            page = [self._with_payments(one) for one in page]
        return page, bool(answer.get("has_more"))

    def pages(self, part: Part) -> Iterator[list[JsonObject]]:
        """The rest of a part, also if the object after which it goes on is deleted meanwhile. Raises as `page` does."""
        more = True
        while more:
            try:
                page, more = self.page(part)
            except RefusedError as error:
                if not part.begins_again(error):
                    raise
                continue
            if not page:
                return
            part.passed(page)
            yield page

    def current_subscriptions(self, most: int) -> list[JsonObject]:
        """The newest subscriptions that have not ended, at most so many. Raises as `page` does."""
        return self._all(replace(OBJECTS["subscription"], listing=""), most)[:most]

    def whole(self, subscription: JsonObject) -> JsonObject:
        """A subscription with all its items, their coupons, and the tiers and other currencies of its prices.

        Its list cuts the items of each, and expands nothing that is so deep. Raises as `page` does.
        """
        items: list[JsonObject] = listed(subscription.get("items"))
        discounts = (one for item in items for one in listed(item.get("discounts")))
        if hash_of(subscription.get("items")).get("has_more") or any(map(self._is_of_a_deleted_coupon, discounts)):
            items = self._all(replace(ITEMS, listing=f"subscription={subscription['id']}&{ITEMS.listing}"))
        with self._lock:
            if self._terms is None:
                prices = [price for each in PRICES.values() for price in self._all(each)]
                self._terms = {
                    price["id"]: terms for price in prices if (terms := {k: price[k] for k in TERMS if price.get(k)})
                }
        terms, currency = self._terms, text(subscription.get("currency"))
        items = [self._with_tiers(_with_terms(item, terms), currency) for item in items]
        return {**subscription, "items": {"object": "list", "data": items, "has_more": False}}

    def _is_of_a_deleted_coupon(self, discount: JsonObject) -> bool:
        """Whether a discount only names its coupon, and that is on no list, or has the id of one that is."""
        coupon = hash_of(discount.get("source")).get("coupon")
        if not isinstance(coupon, str):
            return False
        with self._lock:
            if self._coupons is None:
                self._coupons = {one["id"]: integer(one.get("created")) or 0 for one in self._all(OBJECTS["coupon"])}
        made, start = self._coupons.get(coupon), integer(discount.get("start"))
        return made is None or (start is not None and made > start)

    def _with_tiers(self, item: JsonObject, currency: str | None) -> JsonObject:
        """The item with the tiers of its price in the billed currency, which no list expands."""
        price = hash_of(item.get("price"))
        if not price.get("tiers") or currency in {None, price.get("currency")}:
            return item
        lookup = Lookup("currency_tiers", str(price["id"]), livemode=False, account=None, currency=currency or "")
        with self._lock:
            if lookup.path not in self._tiers:
                path, _, query = lookup.path.partition("?")
                try:
                    found = self.requests.get(path, "Prices", expand=[field for _, field in parse_qsl(query)])
                except RefusedError:
                    # The price may be gone by now; then what it costs is unknown.
                    found = {}
                self._tiers[lookup.path] = found
        options = hash_of(self._tiers[lookup.path].get("currency_options"))
        return {**item, "price": {**price, "currency_options": {**hash_of(price.get("currency_options")), **options}}}

    def _with_payments(self, invoice: JsonObject) -> JsonObject:
        """An invoice with all its payments, of which its list shows the first."""
        if not hash_of(invoice.get("payments")).get("has_more"):
            return invoice
        payments = self._all(replace(OBJECTS["invoice_payment"], listing=f"invoice={invoice['id']}"))
        return {**invoice, "payments": {"object": "list", "data": payments, "has_more": False}}

    def _all(self, each: StripeObject, most: float = math.inf) -> list[JsonObject]:
        found: list[JsonObject] = []
        more = True
        while more and len(found) < most:
            answer = self._get(each, {"limit": PAGE, **({"starting_after": found[-1]["id"]} if found else {})})
            found += answer["data"]
            more = bool(answer["data"] and answer.get("has_more"))
        return found

    def unreadable(self, kinds: Iterable[str]) -> list[str]:
        """The permissions that the key lacks for these lists, as Stripe calls them. Raises as `page` does.

        Each has its name in the Dashboard, and behind it the name in Stripe's answer, if the answer has one.
        """
        lacking = []
        for kind in kinds:
            try:
                self._get(LISTS[kind], {"limit": 1})
            except NotPermittedError as error:
                lacking.append(f"{LISTS[kind].permission}{f' ({error.named})' if error.named else ''}")
        return list(dict.fromkeys(lacking))

    def _get(self, each: StripeObject, query: dict[str, Any]) -> JsonObject:
        given: dict[str, Any] = {}
        for name, value in parse_qsl(each.listing or ""):
            if self._alone and name == "expand[]":
                continue
            plain = name.removesuffix("[]")
            given[plain] = [*given.get(plain, []), value] if plain != name else value
        return self.requests.get(each.path, each.permission, **given, **query)


def _with_terms(item: JsonObject, terms: Mapping[str, JsonObject]) -> JsonObject:
    price = hash_of(item.get("price"))
    found = terms.get(str(price.get("id")))
    return item if found is None else {**item, "price": {**price, **found}}
