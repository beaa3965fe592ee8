"""Decide which data an event lacks and the Stripe API can provide. Pure: other code makes the requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.mapping.checkout import is_order, waits_for_its_invoice
from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.mapping.failures import attempt_of, has_invoice
from stripe_to_segment.mapping.intents import pays_no_invoice, waits_to_be_claimed
from stripe_to_segment.mapping.invoice_payments import bill_is_missing, leaves_open
from stripe_to_segment.mapping.invoices import waits_for_its_payments
from stripe_to_segment.mapping.naming import coupons_needed, products_needed
from stripe_to_segment.mapping.orders import payment_named
from stripe_to_segment.mapping.subscriptions.discounts import with_own_of
from stripe_to_segment.mapping.subscriptions.state import after_of, items_after
from stripe_to_segment.stripe_side.api_terms import NO_TERMS, api_terms
from stripe_to_segment.stripe_side.discount import coupon_from, coupons_of, read_coupon
from stripe_to_segment.stripe_side.fields import dig, hash_of, listed, reference, text
from stripe_to_segment.stripe_side.lines import read_line
from stripe_to_segment.stripe_side.objects import Lookup
from stripe_to_segment.stripe_side.payment_intent import session_of
from stripe_to_segment.stripe_side.subscription import currency_of, items_complete

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Memory
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.api_terms import ApiTerms
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "coupons_known",
    "failed_intent",
    "joining",
    "lookups",
    "payer_from_api",
    "payer_lookup",
    "products_read",
    "read_from_stripe",
    "terms_from_api",
]


def lookups(
    event: StripeEvent, profile: Profile, memory: Memory, settings: Settings, *, may_wait: bool = False
) -> list[Lookup]:
    """The lookups for this event that are not answered yet. An answer may make more of them necessary: call again.

    While an intent `may_wait` for a session or an invoice, Stripe is not asked: mostly one of them comes.
    """
    wanted: list[tuple[str, str]] = []
    named: list[str] = []
    tiers: list[Lookup] = []
    # Each Customer is read once, even if the user is known: only its metadata may state an opt-out.
    unread = not profile.customer_read and event.about != "customer"
    if unread and (event.customer or "").startswith("cus_"):
        wanted.append(("customer", event.customer or ""))
    profile = with_own_of(read_from_stripe(event, memory, "customer", event.customer), event, profile)
    object_id = text(event.object.get("id"))
    if object_id and event.type in ORDER_EVENTS and is_order(event):
        wanted.append(("line_items", object_id))
    kind, failed = _failed_payment(event)
    if failed and not attempt_of(event, Known(profile)).why.code:
        wanted.append((kind, failed))
    if (waits := WAITS_TO_BE_JOINED.get(event.type)) is not None and not may_wait:
        kind, about = joining(event)
        if about and waits(event, Known(profile, orders={about: memory.orders.get(f"{event.scope}:{about}", about)})):
            wanted.append((kind, about))
    if leaves_open(event) and bill_is_missing(event, profile):
        wanted.append(("invoice", reference(event.object.get("invoice")) or ""))
    if object_id and event.about == "customer.subscription" and _mrr_is_unknown(event, profile, memory, settings):
        wanted.append(("subscription_terms", object_id))
        named = [*terms_from_api(event, memory).named_coupons, *profile.named_coupons]
        tiers = _foreign_tiers(event)
        if read_from_stripe(event, memory, "subscription_terms", object_id):
            wanted += [("coupon", coupon) for coupon in _without_amount(event, profile)]
    if event.about == "customer.discount" and not event.type.endswith(".deleted"):
        # No event states the products that a coupon is limited to, whether it states the coupon or names it.
        wanted += [("coupon", coupon) for coupon in coupons_needed(event)]
    wanted += [("coupon", coupon) for coupon in named if f"{event.scope}:{coupon}" not in memory.coupons]
    read = [] if settings.sends_line_descriptions else products_read(event, memory)
    products = (*products_needed(event), *read)
    wanted += [("product", product) for product in products if f"{event.scope}:{product}" not in memory.product_names]
    asked = [*(Lookup(kind, key, event.livemode, event.account) for kind, key in wanted), *tiers]
    # Another lookup for the event may have read it already.
    return [lookup for lookup in dict.fromkeys(asked) if lookup not in memory.read]


def _mrr_is_unknown(event: StripeEvent, profile: Profile, memory: Memory, settings: Settings) -> bool:
    """Whether the value of the subscription lacks a coupon, tiers, or an amount in a currency."""
    coupons = coupons_known(event, profile, memory)
    known = Known(profile, coupons=coupons, settings=settings)
    return items_complete(event.object) and after_of(event, known).value.amount is None


def _foreign_tiers(event: StripeEvent) -> list[Lookup]:
    """The lookups for the tiers of prices that are billed in another currency than their own."""
    currency = currency_of(event.object) or ""
    prices = [item.price for item in items_after(event) if item.price.tiered]
    return [
        Lookup("currency_tiers", price.id, event.livemode, event.account, currency)
        for price in prices
        if price.id and price.currency not in {None, currency}
    ]


def _without_amount(event: StripeEvent, profile: Profile) -> list[str]:
    """Ids of the coupons over a fixed amount that is unknown in the currency of the subscription."""
    body, currency = event.object, currency_of(event.object)
    found = {**profile.discounts, **coupons_of(body.get("discounts"), body.get("discount"))}
    for item in items_after(event):
        found |= coupons_of(item.discounts)
    coupons = filter(None, map(coupon_from, found.values()))
    return [coupon.id for coupon in coupons if coupon.id and coupon.billed(currency) is None]


def terms_from_api(event: StripeEvent, memory: Memory) -> ApiTerms:
    """The coupons and prices of the event's subscription, from the Stripe API; an import lists them with it."""
    if event.about != "customer.subscription" or not (memory.read or event.listing is not None):
        return NO_TERMS
    if event.listing is not None:
        return api_terms(event.object)
    prices = [memory.read[lookup] for lookup in _foreign_tiers(event) if lookup in memory.read]
    return api_terms(read_from_stripe(event, memory, "subscription_terms", event.object.get("id")), prices)


def coupons_known(event: StripeEvent, profile: Profile, memory: Memory) -> dict[str, str]:
    """The coupons that the event or the record names, as written, by id: those stored, and those read from the API."""
    terms = terms_from_api(event, memory)
    named = [*coupons_needed(event), *profile.named_coupons, *terms.named_coupons]
    if event.about == "customer.subscription" and memory.read:
        named += _without_amount(event, profile)
    if not (named or terms.discounts):
        return {}
    stored = {coupon: memory.coupons.get(f"{event.scope}:{coupon}") for coupon in named}
    found = {coupon: written for coupon, written in stored.items() if written is not None}
    for coupon in named:
        read = read_coupon(hash_of(read_from_stripe(event, memory, "coupon", coupon)))
        found |= {} if read is None else {coupon: read.written}
    # The API states more of a coupon than any event.
    stated = filter(None, map(coupon_from, terms.discounts.values()))
    return found | {coupon.id: coupon.written for coupon in stated if coupon.id}


def payer_lookup(event: StripeEvent) -> Lookup | None:
    """The lookup for the customer who paid, for an event that names none; None if no lookup can find it.

    A charge without an intent is older than these, and would need one more permission.
    """
    kind, about = "payment_intent", payment_named(event)
    if event.type == "invoice_payment.paid":
        kind, about = "invoice", reference(event.object.get("invoice"))
    if not about or not about.startswith(("in_", "pi_")):
        return None
    return Lookup(kind, about, event.livemode, event.account)


def payer_from_api(event: StripeEvent, memory: Memory) -> str | None:
    """The customer who paid, from the Stripe API."""
    lookup = payer_lookup(event)
    stated = memory.read.get(lookup) if lookup is not None else None
    return None if stated is None else reference(stated.get("customer")) or reference(stated.get("customer_account"))


def joining(event: StripeEvent) -> tuple[str, str | None]:
    """The lookup for what joins the event's payment with its invoice, or its invoice with all its payments.

    Of an intent that pays no invoice, the session, which states the tax.
    """
    if event.type == "invoice.paid":
        return "invoice_paid_by", text(event.object.get("id"))
    of_a_session = event.type == "payment_intent.succeeded" and (pays_no_invoice(event) or session_of(event.object))
    return "paid_session" if of_a_session else "invoice_payments", payment_named(event)


def products_read(event: StripeEvent, memory: Memory) -> list[str]:
    """Ids of the products whose name is needed for the lines of a session, after these were read."""
    read = read_from_stripe(event, memory, "line_items", event.object.get("id"))
    prices = [read_line(line).price for line in listed(read)]
    return [price.product for price in prices if price.product and not price.label]


def _failed_payment(event: StripeEvent) -> tuple[str, str | None]:
    """The lookup for what failed, of an event that names no cause; of a session with an invoice, that is the invoice's.

    An intent states the cause itself.
    """
    if event.type == "invoice.payment_failed":
        return "failed_payment", text(event.object.get("id"))
    of_a_session = event.type == "checkout.session.async_payment_failed" and not has_invoice(event.object)
    return "payment_intent", payment_named(event) if of_a_session else None


def failed_intent(event: StripeEvent, memory: Memory) -> shapes.PaymentIntent | None:
    """The PaymentIntent of an invoice or a session whose payment failed, from the Stripe API."""
    kind, failed = _failed_payment(event)
    read = read_from_stripe(event, memory, kind, failed) if failed else None
    if kind == "payment_intent":
        return read
    return next((hash_of(dig(payment, "payment", "payment_intent")) for payment in listed(read)), None)


def read_from_stripe(event: StripeEvent, memory: Memory, kind: str, key: object) -> Any:
    """The object as read from the Stripe API, None if it was not read."""
    return memory.read.get(Lookup(kind, str(key), event.livemode, event.account)) if memory.read else None


ORDER_EVENTS = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
# Where nothing that joins the two came in time.
WAITS_TO_BE_JOINED: dict[str, Callable[[StripeEvent, Known], bool]] = {
    "payment_intent.succeeded": waits_to_be_claimed,
    "invoice.paid": waits_for_its_payments,
    **dict.fromkeys(ORDER_EVENTS, waits_for_its_invoice),
}
