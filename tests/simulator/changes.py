"""The ways in which a running contract changes: each takes a contract and gives the changed one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.simulator.market import INTERVALS
from tests.simulator.terms import Item, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulator.market import Market
    from tests.simulator.shapes import Shape
    from tests.simulator.stream import Stream
    from tests.simulator.terms import Coupon, Price

__all__ = ["Changes"]

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Changes:
    """Draws contracts and their changes; `unknown` lets in prices with tiers and lists that Stripe cuts."""

    stream: Stream
    market: Market
    unknown: bool = False

    @property
    def shape(self) -> Shape:
        return self.stream.rendering.shape

    def signed(self, customer: str, at: int) -> Subscription:
        """A new contract over one to four items."""
        flexible = self.shape.coupon_in_source and self._chance(0.7)
        items = [self._item(self.market.price(), at)]
        while self._chance(0.25) and len(items) < 4:
            items.append(self._beside(items[0], at, flexible=flexible))
        coupons = tuple(self._coupon(items) for _ in range(self._stack()) if self._chance(0.25))
        return Subscription(
            id=f"sub_{self.stream.number()}",
            customer=customer,
            currency=self.market.currency,
            items=tuple(items),
            start=at,
            status="active",
            coupons=coupons,
            flexible=flexible,
            cut=self.unknown and len(items) > 1 and self._chance(0.3),
            metadata={"user_id": f"user of {customer}"} if self._chance(0.3) else {},
        )

    def any(self, state: Subscription, at: int) -> Subscription:
        """One change, or seldom two at once."""
        ways = (self.seats, self.seats, self.plan, self.plan, self.interval, self.more, self.fewer, self.discount)
        state = self.stream.rng.choice(ways)(state, at)
        return self.any(state, at) if self._chance(0.15) else state

    def seats(self, state: Subscription, _at: int) -> Subscription:
        """Another quantity of one item."""
        return self._with(state, lambda item: replace(item, quantity=self.market.seats(item.price)))

    def plan(self, state: Subscription, at: int) -> Subscription:
        """Another price of the same interval, on the same item or on a new one in its place."""

        def other(item: Item) -> Item:
            price = self.market.price((item.price.interval, item.price.every), tiered=self._tiers())
            return self._item(price, at) if self._chance(0.3) else replace(item, price=price)

        return self._with(state, other)

    def interval(self, state: Subscription, at: int) -> Subscription:
        """Everything at another rhythm: one item is left, and its period begins anew."""
        price = self.market.price(self.stream.rng.choice(INTERVALS))
        kept = replace(state.items[0], price=price, period=(at, at + price.days * DAY))
        return replace(state, items=(kept,), cut=False)

    def more(self, state: Subscription, at: int) -> Subscription:
        """One more item."""
        item = replace(self._beside(state.items[0], at, flexible=state.flexible), period=state.items[0].period)
        return replace(state, items=(*state.items, item)) if len(state.items) < 5 else state

    def fewer(self, state: Subscription, _at: int) -> Subscription:
        """One item less.

        If Stripe cuts the list, it is an item that the payload shows; otherwise no payload would state the change.
        """
        gone = 0 if state.cut else self.stream.rng.randrange(len(state.items))
        rest = tuple(item for number, item in enumerate(state.items) if number != gone)
        return replace(state, items=rest, cut=state.cut and len(rest) > 1) if rest else state

    def discount(self, state: Subscription, _at: int) -> Subscription:
        """A coupon comes, goes or takes another's place, on the subscription or on an item."""
        if self.shape.many_discounts and self._chance(0.3):
            return self._with(
                state, lambda item: replace(item, coupons=() if item.coupons else (self.market.coupon(),))
            )
        if state.coupons and self._chance(0.6):
            return replace(state, coupons=())
        return replace(state, coupons=tuple(self._coupon(state.items) for _ in range(self._stack())))

    def _with(self, state: Subscription, change: Callable[[Item], Item]) -> Subscription:
        """One licensed item changed, if there is one."""
        numbers = [number for number, item in enumerate(state.items) if not item.price.metered]
        if not numbers:
            return state
        chosen = self.stream.rng.choice(numbers)
        items = tuple(change(item) if number == chosen else item for number, item in enumerate(state.items))
        return replace(state, items=items)

    def _beside(self, first: Item, at: int, *, flexible: bool) -> Item:
        """An item that may stand beside the first: of its interval, or in flexible billing of a multiple of it."""
        interval = (first.price.interval, first.price.every)
        if flexible and interval == ("month", 1) and self._chance(0.5):
            interval = self.stream.rng.choice((("year", 1), ("month", 3)))
        metered = self._chance(0.4)
        return self._item(self.market.metered(interval) if metered else self.market.price(interval), at)

    def _item(self, price: Price, at: int) -> Item:
        item = Item(f"si_{self.stream.number()}", price, self.market.seats(price), (at, at + price.days * DAY))
        own = self.shape.many_discounts and not price.metered and self._chance(0.1)
        return replace(item, coupons=(self.market.coupon(),)) if own else item

    def _coupon(self, items: Sequence[Item]) -> Coupon:
        """A coupon over everything, or over one product alone, which may leave the subscription later."""
        coupon = self.market.coupon()
        if not self._chance(0.3):
            return coupon
        product = self.stream.rng.choice(items).price.product
        return replace(coupon, id=f"{coupon.id}_{product}", product=product)

    def _stack(self) -> int:
        """How many coupons may stand on one subscription: where only one is shown with its worth, no more than one."""
        return 2 if not self.shape.one_discount and self._chance(0.2) else 1

    def _tiers(self) -> bool:
        return self.unknown and self._chance(0.5)

    def _chance(self, probability: float) -> bool:
        return self.stream.rng.random() < probability
