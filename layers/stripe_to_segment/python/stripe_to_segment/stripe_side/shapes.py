"""Stripe's objects for the type checker, with exactly the fields that the package reads. Not imported when it runs.

Every field may be absent: each API version has some of them, and payloads are not trusted, so readers check values.
Amounts are in minor units and times in epoch seconds. A reference is an id or, where expanded, the object. A comment
says up to which API version an older field was there. https://docs.stripe.com/api names a page for each object.
"""

from __future__ import annotations

from typing import TypedDict

type Reference[T] = str | T | None


class StripeList[T](TypedDict, total=False):
    """A list object. Stripe cuts the list inside another object at ten."""

    data: list[T]
    has_more: bool


class Address(TypedDict, total=False):
    """A postal address."""

    line1: str | None
    line2: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None


class Contact(TypedDict, total=False):
    """What a Customer and a session's `customer_details` say about the person."""

    email: str | None
    name: str | None
    phone: str | None
    address: Address | None
    business_name: str | None  # Since 2025-10-29.


class Customer(Contact, total=False):
    """https://docs.stripe.com/api/customers/object."""

    id: str
    object: str
    created: int
    discount: Discount | None
    metadata: dict[str, str]


class Owned(TypedDict, total=False):
    """An object of a customer."""

    id: str
    customer: Reference[Customer]
    customer_account: str | None  # Since 2025-10-29; not on charges.


class AppliesTo(TypedDict, total=False):
    """The products to which a coupon is limited."""

    products: list[str]


class CouponOption(TypedDict, total=False):
    """The amount of a coupon in another currency."""

    amount_off: int


class Coupon(TypedDict, total=False):
    """https://docs.stripe.com/api/coupons/object."""

    id: str
    created: int
    percent_off: float | None
    amount_off: int | None
    currency: str | None
    duration: str
    applies_to: AppliesTo  # Only where expanded.
    currency_options: dict[str, CouponOption]  # Only where expanded.


class DiscountSource(TypedDict, total=False):
    """Where the money of a discount comes from."""

    coupon: Reference[Coupon]


class Discount(TypedDict, total=False):
    """https://docs.stripe.com/api/discounts/object; a session's `discounts` hold the reference to a coupon alone."""

    id: str | None  # Since 2020-08-27.
    source: DiscountSource
    coupon: Reference[Coupon]  # Until 2025-09-30; in a session still.
    start: int
    end: int | None
    promotion_code: Reference[dict[str, object]]
    subscription: str | None
    subscription_item: str | None
    invoice: str | None
    invoice_item: str | None
    checkout_session: str | None


class Discounted(TypedDict, total=False):
    """The discounts on an object."""

    discounts: list[str | Discount] | None
    discount: Discount | None  # Until 2025-03-31.


class Product(TypedDict, total=False):
    """https://docs.stripe.com/api/products/object."""

    id: str
    name: str


class Tier(TypedDict, total=False):
    """One tier of a price; `up_to` is null for the last."""

    up_to: int | None
    unit_amount: int | None
    unit_amount_decimal: str | None
    flat_amount: int | None
    flat_amount_decimal: str | None
    amount: int | None  # Until 2018-08-23 the unit_amount.


class TransformQuantity(TypedDict, total=False):
    """How many units are one in the price; `round` is up or down."""

    divide_by: int
    round: str


class CurrencyOption(TypedDict, total=False):
    """The amounts of a price in another currency."""

    unit_amount: int | None
    unit_amount_decimal: str | None
    tiers: list[Tier]  # Only where expanded.


class Recurring(TypedDict, total=False):
    """The billing period of a price."""

    interval: str
    interval_count: int
    usage_type: str


class Priced(TypedDict, total=False):
    """What a Price and the older Plan have in common."""

    id: str
    product: Reference[Product]
    currency: str
    nickname: str | None
    metadata: dict[str, str]
    billing_scheme: str
    tiers_mode: str | None
    tiers: list[Tier]  # Until 2020-08-27; since then only where expanded.


class Price(Priced, total=False):
    """https://docs.stripe.com/api/prices/object."""

    unit_amount: int | None
    unit_amount_decimal: str | None
    lookup_key: str | None
    recurring: Recurring | None
    transform_quantity: TransformQuantity | None
    currency_options: dict[str, CurrencyOption]  # Only where expanded.


class Plan(Priced, Recurring, total=False):
    """https://docs.stripe.com/api/plans/object."""

    amount: int | None
    amount_decimal: str | None
    transform_usage: TransformQuantity | None
    name: str  # Until 2018-02-05; since then the product has it.


class PriceOrPlan(Price, Plan, total=False):
    """A price, with the fields of the plan that it leaves out."""


class CurrentTrial(TypedDict, total=False):
    """A trial offer on one item, since 2026-10-28."""

    start_date: int
    end_date: int | None


class SubscriptionItem(Discounted, total=False):
    """https://docs.stripe.com/api/subscription_items/object."""

    id: str
    price: Reference[Price]
    plan: Reference[Plan]
    quantity: int | None
    deleted: bool  # https://docs.stripe.com/api/subscription_items/delete.
    current_period_start: int  # Since 2025-03-31.
    current_period_end: int  # Since 2025-03-31.
    current_trial: CurrentTrial | None


class CancellationDetails(TypedDict, total=False):
    """Why a subscription ends."""

    reason: str | None
    feedback: str | None
    feedback_option: Reference[dict[str, object]]


class PauseCollection(TypedDict, total=False):
    """How invoices are treated while their collection is paused."""

    behavior: str
    resumes_at: int | None


class PausedBy(TypedDict, total=False):
    """What paused a subscription."""

    type: str


class Paused(TypedDict, total=False):
    """A pause of a subscription."""

    subscription: PausedBy | None


class StatusDetails(TypedDict, total=False):
    """More about a subscription's status, since 2026-10-28."""

    paused: Paused | None


class Subscription(Owned, Discounted, total=False):
    """https://docs.stripe.com/api/subscriptions/object."""

    status: str
    currency: str
    created: int
    start_date: int
    start: int  # Until 2019-10-17.
    ended_at: int | None
    cancel_at: int | None
    cancel_at_period_end: bool
    cancellation_details: CancellationDetails | None
    current_period_start: int  # Until 2025-03-31.
    current_period_end: int  # Until 2025-03-31.
    trial_start: int | None
    trial_end: int | None
    items: StripeList[SubscriptionItem]
    plan: Plan | None  # Of a subscription with one item.
    price: Price | None  # In some payloads, like `plan`; not documented.
    quantity: int | None
    metadata: dict[str, str]
    pause_collection: PauseCollection | None
    status_details: StatusDetails


class AmountEntry(TypedDict, total=False):
    """An entry of a list of taxes or discounts."""

    amount: int


class ShippingCost(TypedDict, total=False):
    """The cost of shipping; `amount_total` includes the tax."""

    amount_total: int
    amount_tax: int


class PriceDetails(TypedDict, total=False):
    """The price of a line by its id."""

    price: Reference[Price]
    product: str


class Pricing(TypedDict, total=False):
    """The price of a line, since 2025-03-31."""

    price_details: PriceDetails
    unit_amount_decimal: str | None


class LineDetails(TypedDict, total=False):
    """What a line of an invoice comes from."""

    subscription: str | None
    proration: bool


class LineParent(TypedDict, total=False):
    """What a line of an invoice comes from, since 2025-03-31."""

    subscription_item_details: LineDetails | None
    invoice_item_details: LineDetails | None


class Line(Discounted, total=False):
    """https://docs.stripe.com/api/invoice-line-item/object and https://docs.stripe.com/api/checkout/sessions/line_items."""

    type: str  # Until 2025-03-31.
    description: str | None
    amount: int
    amount_subtotal: int  # Of a session's line, which has no `amount`.
    quantity: int | None
    quantity_decimal: str | None
    pricing: Pricing | None
    price: Price | None  # Of a session's line; of an invoice's until 2025-03-31.
    plan: Plan | None  # Until 2025-03-31.
    parent: LineParent | None
    subscription: Reference[Subscription]  # Since 2025-03-31 in `parent` too.
    proration: bool  # Until 2025-03-31.
    metadata: dict[str, str]
    period: object


class SubscriptionDetails(TypedDict, total=False):
    """The subscription of an invoice."""

    subscription: Reference[Subscription]
    metadata: dict[str, str] | None


class InvoiceParent(TypedDict, total=False):
    """What an invoice comes from, since 2025-03-31."""

    subscription_details: SubscriptionDetails | None


class StatusTransitions(TypedDict, total=False):
    """When an invoice or a payment of it got its status."""

    finalized_at: int | None
    paid_at: int | None


class Paying(TypedDict, total=False):
    """What paid an invoice or a part of it."""

    payment_intent: Reference[PaymentIntent]
    charge: Reference[Charge]
    payment_record: Reference[dict[str, object]]


class InvoicePayment(TypedDict, total=False):
    """https://docs.stripe.com/api/invoice-payment/object."""

    id: str
    status: str
    invoice: Reference[Invoice]
    payment: Paying
    amount_paid: int | None
    amount_requested: int
    currency: str
    is_default: bool
    created: int
    status_transitions: StatusTransitions


class Invoice(Owned, Discounted, total=False):
    """https://docs.stripe.com/api/invoices/object; one that is still to come has no `id`."""

    status: str | None
    paid: bool  # Until 2025-03-31.
    paid_out_of_band: bool  # Until 2025-03-31.
    currency: str
    created: int
    due_date: int | None
    period_end: int
    billing_reason: str | None
    collection_method: str
    attempt_count: int
    next_payment_attempt: int | None
    status_transitions: StatusTransitions
    total: int
    total_excluding_tax: int | None
    subtotal: int
    tax: int | None  # Until 2025-03-31.
    total_tax_amounts: list[AmountEntry]  # Until 2025-03-31.
    total_taxes: list[AmountEntry] | None
    total_discount_amounts: list[AmountEntry] | None
    amount_due: int
    amount_paid: int
    amount_paid_off_stripe: int | None  # Since 2026-05-27, where expanded; in no event.
    amount_overpaid: int
    amount_remaining: int
    amount_shipping: int
    shipping_cost: ShippingCost | None
    lines: StripeList[Line]
    parent: InvoiceParent | None
    subscription: Reference[Subscription]  # Until 2025-03-31.
    subscription_details: SubscriptionDetails | None  # Until 2025-03-31.
    payments: StripeList[InvoicePayment]  # Only where expanded.
    payment_intent: Reference[PaymentIntent]  # Until 2025-03-31.
    charge: Reference[Charge]  # Until 2025-03-31.
    customer_email: str | None
    customer_name: str | None
    customer_phone: str | None
    customer_address: Address | None
    metadata: dict[str, str] | None


class TotalDetails(TypedDict, total=False):
    """The parts of a session's total."""

    amount_discount: int
    amount_shipping: int | None
    amount_tax: int


class InvoiceCreation(TypedDict, total=False):
    """Whether Stripe makes an invoice after the payment."""

    enabled: bool


class Recovery(TypedDict, total=False):
    """A session that can be recovered."""

    url: str | None


class AfterExpiration(TypedDict, total=False):
    """What happens after a session has expired."""

    recovery: Recovery | None


class Consent(TypedDict, total=False):
    """What the customer consented to."""

    promotions: str | None
    terms_of_service: str | None


class ConsentCollection(TypedDict, total=False):
    """What the session asks consent for."""

    terms_of_service: str | None


class CollectedInformation(TypedDict, total=False):
    """What the session collected."""

    business_name: str | None


class CheckoutSession(Owned, Discounted, total=False):
    """https://docs.stripe.com/api/checkout/sessions/object."""

    mode: str
    status: str | None
    payment_status: str
    currency: str | None
    created: int
    amount_total: int | None
    amount_subtotal: int | None
    total_details: TotalDetails | None
    shipping_cost: ShippingCost | None
    invoice: Reference[Invoice]
    invoice_creation: InvoiceCreation | None
    subscription: Reference[Subscription]
    setup_intent: Reference[dict[str, object]]
    payment_intent: Reference[PaymentIntent]
    payment_link: Reference[dict[str, object]]
    payment_method_types: list[str]
    after_expiration: AfterExpiration | None
    consent: Consent | None
    consent_collection: ConsentCollection | None
    client_reference_id: str | None
    customer_details: Contact | None
    customer_email: str | None
    collected_information: CollectedInformation | None
    metadata: dict[str, str] | None


class Outcome(TypedDict, total=False):
    """What the network and Stripe's rules made of a charge."""

    reason: str | None


class CardDetails(TypedDict, total=False):
    """The card of a payment method; a dispute has only the network's code."""

    brand: str
    exp_month: int
    exp_year: int
    network_reason_code: str | None


class PaymentMethodDetails(TypedDict, total=False):
    """The payment method of a charge or a dispute as it was then."""

    type: str
    card: CardDetails
    card_present: CardDetails
    interac_present: CardDetails


class PaymentMethod(Owned, total=False):
    """https://docs.stripe.com/api/payment_methods/object."""

    type: str
    card: CardDetails
    card_present: CardDetails
    interac_present: CardDetails


class Refund(Owned, total=False):
    """https://docs.stripe.com/api/refunds/object; `customer` since 2026-10-28."""

    amount: int
    currency: str
    created: int
    charge: Reference[Charge]
    payment_intent: Reference[PaymentIntent]
    reason: str | None
    status: str | None
    failure_reason: str


class Charge(Owned, total=False):
    """https://docs.stripe.com/api/charges/object."""

    amount: int
    amount_captured: int
    amount_refunded: int
    captured: bool
    refunded: bool
    refunds: StripeList[Refund] | None  # Until 2022-11-15; since then only where expanded.
    currency: str
    created: int
    payment_intent: Reference[PaymentIntent]
    invoice: Reference[Invoice]  # Until 2025-03-31.
    failure_code: str | None
    outcome: Outcome | None
    payment_method_details: PaymentMethodDetails | None
    receipt_email: str | None


class Source(TypedDict, total=False):
    """A card, or another source, that was saved before there were payment methods."""

    object: str
    type: str
    brand: str
    card: CardDetails


class PaymentError(TypedDict, total=False):
    """Why a payment failed. https://docs.stripe.com/api/errors."""

    code: str
    decline_code: str
    charge: str
    payment_method: PaymentMethod
    payment_method_type: str
    source: Source


class Amount(TypedDict, total=False):
    """The shipping in `amount_details`."""

    amount: int | None


class TaxAmount(TypedDict, total=False):
    """The tax in `amount_details`."""

    total_tax_amount: int | None


class AmountDetails(TypedDict, total=False):
    """The parts of an intent's amount."""

    tax: TaxAmount | None
    shipping: Amount | None


class PaymentDetails(TypedDict, total=False):
    """What an intent pays."""

    order_reference: str | None


class PaymentMethodOption(TypedDict, total=False):
    """The options of one kind of payment method."""

    capture_method: str


class PaymentIntent(Owned, total=False):
    """https://docs.stripe.com/api/payment_intents/object."""

    status: str
    amount: int
    amount_received: int
    amount_details: AmountDetails | None
    application_fee_amount: int | None
    capture_method: str
    currency: str
    created: int
    invoice: Reference[Invoice]  # Until 2025-03-31.
    latest_charge: Reference[Charge]
    charges: StripeList[Charge]  # Until 2022-11-15.
    last_payment_error: PaymentError | None
    payment_details: PaymentDetails | None
    payment_method_options: dict[str, PaymentMethodOption] | None
    payment_method_types: list[str]
    receipt_email: str | None
    metadata: dict[str, str]


class EvidenceDetails(TypedDict, total=False):
    """Until when evidence can be submitted."""

    due_by: int | None


class BalanceTransaction(TypedDict, total=False):
    """https://docs.stripe.com/api/balance_transactions/object."""

    amount: int
    currency: str
    created: int


class Dispute(TypedDict, total=False):
    """https://docs.stripe.com/api/disputes/object."""

    id: str
    amount: int
    currency: str
    created: int
    charge: Reference[Charge]
    payment_intent: Reference[PaymentIntent]
    reason: str
    status: str
    balance_transactions: list[BalanceTransaction]
    evidence_details: EvidenceDetails
    payment_method_details: PaymentMethodDetails
    network_reason_code: str | None  # Until 2024.


class CreditNoteRefund(TypedDict, total=False):
    """A refund of a credit note: one of Stripe's, or one that was reported to it."""

    type: str | None
    amount_refunded: int


class CreditNote(Owned, total=False):
    """https://docs.stripe.com/api/credit_notes/object."""

    status: str
    currency: str
    created: int
    voided_at: int | None
    invoice: Reference[Invoice]
    total: int
    out_of_band_amount: int | None
    refunds: list[CreditNoteRefund]
    reason: str | None
