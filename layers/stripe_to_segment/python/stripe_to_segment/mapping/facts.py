"""The input and the output of the mapper. A fact is one thing that happened, stated once."""

from __future__ import annotations

from dataclasses import field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen, frozen_with_cache
from stripe_to_segment.mapping.identity import SILENT
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.person import NOBODY, Others
from stripe_to_segment.stripe_side.api_terms import NO_TERMS, ApiTerms
from stripe_to_segment.stripe_side.discount import Remembered
from stripe_to_segment.stripe_side.mrr import Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stripe_to_segment.mapping.identity import Stated
    from stripe_to_segment.mapping.tracking import Event
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.price import Price

__all__ = ["Fact", "Known", "plan_name", "worked_out_once"]


@frozen
class Fact[E: Event = Event]:
    """One future track call: an event of the tracking plan with its properties.

    `key` identifies the fact, also when several Stripe events state it: an object's id and, if the same thing can
    happen more than once, a value that differs each time. `at` is the epoch second at which it happened, None where
    that is the time of the event.
    """

    event: E
    key: str
    at: int | None = None

    @property
    def name(self) -> str:
        """The event's name in the catalog."""
        return self.event.event_name

    @property
    def pays(self) -> bool:
        """Whether it states a payment, which one call of each does; of shipping or tax alone the revenue is 0."""
        revenue, total = (getattr(self.event, name, None) for name in ("revenue", "total"))
        return revenue is not None and bool(revenue or total)


@frozen_with_cache
class Known:
    """The data beside the event that the mapping uses.

    Stored: the customer's record, product names, orders by payment intent, and `coupons` by id, as written. Read from
    the Stripe API, if a key allows it: the Customer, a Checkout Session's line items, the invoices or the session that
    a payment intent paid, the partly paid invoice, the PaymentIntent of an invoice whose payment failed, and in
    `api_terms` the coupons and prices of a subscription. `stated` is what the event states about the person. `others`
    and `group_others` are the other data of the user and the group; `left_user` and `left_group` are the remaining data
    of the user and the group that the record leaves.
    """

    profile: Profile
    product_names: Mapping[str, str] = field(default_factory=dict)
    orders: Mapping[str, str] = field(default_factory=dict)
    customer: shapes.Customer | None = None
    line_items: Sequence[shapes.Line] = ()
    invoice_payments: Sequence[shapes.InvoicePayment] | None = None
    session: shapes.CheckoutSession | None = None
    invoice: shapes.Invoice | None = None
    failed_intent: shapes.PaymentIntent | None = None
    stated: Stated = SILENT
    settings: Settings = Settings()
    coupons: Mapping[str, str] = field(default_factory=dict)
    api_terms: ApiTerms = NO_TERMS
    others: Others = NOBODY
    group_others: Others = NOBODY
    left_user: Others | None = None
    left_group: Others | None = None
    worked_out: dict[Any, tuple[StripeEvent, Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def terms(self) -> Terms:
        """The known discounts and prices in other currencies."""
        profile = self.profile
        terms = self.api_terms
        discounts = profile.discounts if terms is NO_TERMS else {**terms.discounts, **profile.discounts}
        amounts = profile.amounts if terms is NO_TERMS else {**profile.amounts, **terms.amounts}
        own = profile.own_discounts[:1]
        remembered = Remembered(frozenset(discounts.items()), frozenset(self.coupons.items()), own)
        return Terms(
            self.settings.mrr_discounts, remembered, frozenset(amounts.items()), frozenset(terms.tiers.items())
        )


def worked_out_once[T](question: Callable[[StripeEvent, Known], T]) -> Callable[[StripeEvent, Known], T]:
    """Cache a function's result on its Known for the event, because several facts call the same functions."""

    @wraps(question)
    def answer(event: StripeEvent, known: Known) -> T:
        kept = known.worked_out.get(question)
        if kept is None or kept[0] is not event:
            kept = known.worked_out[question] = (event, question(event, known))
        found: T = kept[1]
        return found

    return answer


def plan_name(price: Price, known: Known) -> str | None:
    """The plan's name: the label of the price, here or in its events, the product's stored name, else the price id."""
    names = known.product_names
    return price.label or names.get(price.id or "") or names.get(price.product or "") or price.id
