"""The types of properties and traits: each one's kind, unit and meaning, in one place.

Every value may be None, because a payload may lack even fields that Stripe always sends. Only values of our own have a
closed list; Stripe's values pass through, and Stripe may add new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, TypedDict

from stripe_to_segment.frozen import frozen

__all__ = [
    "AddressTraits",
    "AttributionProperties",
    "GroupTraits",
    "Kind",
    "Product",
    "Property",
    "UserTraits",
]


class Kind(StrEnum):
    """The kind of a value in a call."""

    STRING = "string"
    MONEY = "money"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    CURRENCY = "currency"
    HASH = "hash"
    STRINGS = "strings"
    PRODUCTS = "products"
    ADDRESS = "address"
    BY_CURRENCY = "by_currency"


@frozen
class Property:
    """One property or trait. `signed` numbers may be negative, `nullable` traits null; `values` is a closed list."""

    kind: Kind
    meaning: str
    unit: str = ""
    signed: bool = False
    nullable: bool = False
    values: tuple[str, ...] = ()


def text(meaning: str, *, nullable: bool = False, values: tuple[str, ...] = ()) -> Property:
    """A string, such as an id."""
    return Property(Kind.STRING, meaning, nullable=nullable, values=values)


def money(meaning: str, *, signed: bool = False, nullable: bool = False) -> Property:
    """An amount."""
    return Property(Kind.MONEY, meaning, "major units", signed=signed, nullable=nullable)


def number(meaning: str, unit: str = "") -> Property:
    """A whole number."""
    return Property(Kind.INTEGER, meaning, unit)


def decimal(meaning: str) -> Property:
    """A number that may have decimals and is not an amount."""
    return Property(Kind.DECIMAL, meaning)


def flag(meaning: str) -> Property:
    """True or false."""
    return Property(Kind.BOOLEAN, meaning)


def moment(meaning: str, *, nullable: bool = False) -> Property:
    """A time."""
    return Property(Kind.TIME, meaning, "ISO 8601, UTC", nullable=nullable)


# --- Ids ---

ChargeId = Annotated[str | None, text("Stripe's charge")]
CardExpiresAt = Annotated[str | None, moment("end of the month in which the card expires")]
CheckoutId = Annotated[str | None, text("Stripe's Checkout Session")]
CreditNoteId = Annotated[str | None, text("Stripe's credit note")]
DisputeId = Annotated[str | None, text("Stripe's dispute")]
InvoiceId = Annotated[str | None, text("Stripe's invoice")]
InvoicePaymentId = Annotated[str | None, text("Stripe's invoice payment, one of several that pay an invoice")]
OrderId = Annotated[
    str | None,
    text("the invoice, or the payment intent if there is no invoice; a refund has the order_id of its order"),
]
PaymentMethodId = Annotated[str | None, text("Stripe's payment method")]
PriceId = Annotated[str | None, text("Stripe's price")]
ProductId = Annotated[str | None, text("Stripe's product")]
RefundId = Annotated[str | None, text("Stripe's refund; absent if only charge.refunded states the refund")]
SubscriptionId = Annotated[str | None, text("Stripe's subscription")]

# --- Money ---

ApplicationFee = Annotated[
    Decimal | None, money("the platform's fee of a Connect payment; it is not deducted from revenue")
]
Amount = Annotated[Decimal | None, money("price of one billing period, before tax and discounts")]
Currency = Annotated[str | None, Property(Kind.CURRENCY, "currency of all amounts of the call", "ISO 4217, upper case")]
Discount = Annotated[Decimal | None, money("sum of the discounts")]
Mrr = Annotated[Decimal | None, money("the subscription's monthly recurring revenue; absent if it is unknown")]
MrrChange = Annotated[
    Decimal | None, money("change of the subscription's mrr since the last call that stated it", signed=True)
]
MrrMovement = Annotated[
    str | None,
    text(
        "the kind of the mrr_change, from the mrr of the person's subscriptions before it; opening: the mrr of a "
        "subscription that is older than the stack; absent if mrr_change is 0",
        values=("new", "expansion", "contraction", "churn", "reactivation", "opening"),
    ),
]
OutOfBand = Annotated[
    Decimal | None, money("part of the credit note paid out outside of Stripe; it lowers lifetime_value")
]
PreviousMrr = Annotated[Decimal | None, money("mrr before the change")]
RefundedTotal = Annotated[Decimal | None, money("all refunds of the charge so far")]
RevenueRefunded = Annotated[
    Decimal | None,
    money(
        "revenue in the refund, negative if the refund failed; absent if the order is unknown: if the order comes"
        " later, its call states the share",
        signed=True,
    ),
]
Revenue = Annotated[
    Decimal | None,
    money(
        "amount collected less tax and shipping; on exactly one call for each payment; negative if credits without tax "
        "are larger than what is taxed",
        signed=True,
    ),
]
Shipping = Annotated[Decimal | None, money("shipping, without its tax")]
Subtotal = Annotated[
    Decimal | None,
    money(
        "amount before discounts and tax; discounts on single lines of an invoice are off already; negative if credits "
        "are larger",
        signed=True,
    ),
]
Tax = Annotated[Decimal | None, money("tax", signed=True)]
TaxRefunded = Annotated[
    Decimal | None,
    money("tax in the refund, negative if the refund failed; absent if the order is unknown", signed=True),
]
Total = Annotated[Decimal | None, money("amount collected, or amount of the refund")]
Value = Annotated[Decimal | None, money("amount at stake; never revenue")]

# --- Discounts ---

AmountOff = Annotated[Decimal | None, money("amount that a coupon takes off each invoice")]
DiscountEndsAt = Annotated[str | None, moment("when the discount ends")]
DiscountId = Annotated[str | None, text("Stripe's discount: a coupon applied to one customer or subscription")]
Duration = Annotated[str | None, text("how long the coupon applies, Stripe's value: forever, once or repeating")]
PercentOff = Annotated[Decimal | None, Property(Kind.MONEY, "percentage that a coupon takes off", "percent")]
PromotionCode = Annotated[str | None, text("id of Stripe's promotion code")]

# --- Plans ---

BillingPeriod = Annotated[str | None, text("month, year, week or day, or several, such as 3 months")]
Changed = Annotated[
    Sequence[str] | None,
    Property(
        Kind.STRINGS,
        "what changed; billing_date: a trial moved it; discount: also the customer's; mrr: it became known, or is late",
        values=("plan", "quantity", "billing_period", "items", "discount", "billing_date", "mrr"),
    ),
]
Plan = Annotated[
    str | None, text("the plan's name: the first of metadata `plan`, lookup key, nickname, product name, price id")
]
PreviousBillingPeriod = Annotated[str | None, text("billing_period before the change")]
PreviousPlan = Annotated[str | None, text("plan before the change")]
PreviousQuantity = Annotated[Decimal | int | None, decimal("quantity before the change")]
Quantity = Annotated[Decimal | int | None, decimal("seats or units of the plan")]
Status = Annotated[str | None, text("Stripe's status of the subscription, the refund or the dispute")]
TrialEndDate = Annotated[str | None, moment("end of the trial")]
TrialPlanName = Annotated[str | None, text("the plan on trial")]
TrialStartDate = Annotated[str | None, moment("start of the trial")]

# --- The end of a subscription ---

CancelledBy = Annotated[
    str | None,
    text("who or what ended the subscription", values=("customer", "payment_failure", "dispute", "retention_policy")),
]
CancelsAt = Annotated[str | None, moment("when the subscription is set to end")]
Converted = Annotated[
    bool | None, flag("false if the subscription ended or paused with the trial; otherwise absent, see Trial Converted")
]
DaysActive = Annotated[int | None, number("time from the subscription's start to its end", "whole days")]
Feedback = Annotated[str | None, text("the customer's choice in the cancellation form, Stripe's value")]
FeedbackOption = Annotated[str | None, text("the option chosen in your own cancellation form")]
Reason = Annotated[
    str | None,
    text(
        "the reason, Stripe's value: cancellation_requested, pause_requested, payment_failed, requested_by_customer, …"
    ),
]

# --- Payments ---

AfterTrial = Annotated[
    bool | None, flag("true for the first payment after a trial whose end is known; otherwise absent")
]
AttemptCount = Annotated[int | None, number("number of attempts to collect the invoice")]
Automatic = Annotated[bool | None, flag("whether the card network updated the card")]
BillingReason = Annotated[
    str | None, text("why the invoice was created, Stripe's value: subscription_create, subscription_cycle, …")
]
CardBrand = Annotated[str | None, text("the card's brand, Stripe's value: visa, mastercard, …")]
CollectionBehavior = Annotated[str | None, text("what happens to invoices while collection is paused, Stripe's value")]
CollectionMethod = Annotated[
    str | None, text("how the invoice is paid, Stripe's value: charge_automatically or send_invoice")
]
Coupon = Annotated[str | None, text("id of the first coupon")]
DaysOverdue = Annotated[int | None, number("time since the invoice was due", "whole days")]
DeclineCode = Annotated[str | None, text("why the bank declined, Stripe's value: insufficient_funds, do_not_honor, …")]
DueDate = Annotated[str | None, moment("when the invoice is due")]
FailureCode = Annotated[str | None, text("what failed, Stripe's value: card_declined, expired_card, …")]
FailureMessage = Annotated[str | None, text("the decline code, or else the failure code, in words: insufficient funds")]
EvidenceDueBy = Annotated[str | None, moment("deadline for the evidence")]
FullyRefunded = Annotated[bool | None, flag("whether the charge is refunded in full")]
Mode = Annotated[str | None, text("purpose of the Checkout Session, Stripe's value: payment, subscription or setup")]
NetworkReasonCode = Annotated[str | None, text("the card network's code for the reason")]
OfKnownPayment = Annotated[
    bool | None,
    flag("whether the payment was counted; false for payments from before the stack, which lifetime_value omits"),
]
NextPaymentAttempt = Annotated[str | None, moment("when Stripe tries to collect again")]
PaymentMethodType = Annotated[str | None, text("type of the payment method, Stripe's value: card, sepa_debit, …")]
PaymentStatus = Annotated[
    str | None, text("status of the payment, Stripe's value: paid, unpaid or no_payment_required")
]
FirstProduct = Annotated[str | None, text("name of the first product")]
LineCount = Annotated[int | None, number("number of lines; absent if the event does not hold all of them")]
ProductIds = Annotated[
    Sequence[str] | None, Property(Kind.STRINGS, "the distinct product_ids, as many as fit a warehouse column")
]
ProductsOmitted = Annotated[
    int | None, number("number of products left out because the call would be too large for Segment")
]
Recoverable = Annotated[bool | None, flag("whether Stripe offers a recovery url")]
RenewsAt = Annotated[str | None, moment("when the next period begins")]
ResumesAt = Annotated[str | None, moment("when collection is set to resume")]


class Product(TypedDict, total=False):
    """One entry of `products`."""

    product_id: Annotated[str, text("Stripe's product, or the price if the product is unknown")]
    name: Annotated[str, text("the line's description, unless LineDescriptions is omit; otherwise the plan's name")]
    price: Annotated[Decimal, money("price of one unit", signed=True)]
    quantity: Annotated[Decimal | int, decimal("number of units, with decimals if Stripe states them")]
    coupon: Annotated[str, text("id of the line's first coupon")]


Products = Annotated[
    list[Product] | None, Property(Kind.PRODUCTS, "the lines: product_id, name, price, quantity, coupon")
]


class AttributionProperties(TypedDict, total=False):
    """Ids of clicks and visits that any event has if they are in the metadata."""

    gclid: Annotated[str, text("Google's click id")]
    gbraid: Annotated[str, text("Google's click id from an app, on iOS")]
    wbraid: Annotated[str, text("Google's click id from the web, on iOS")]
    dclid: Annotated[str, text("Google's click id of a display advertisement")]
    fbc: Annotated[str, text("Meta's click id, from the cookie _fbc")]
    fbp: Annotated[str, text("Meta's browser id, from the cookie _fbp")]
    fbclid: Annotated[str, text("Meta's click id, from the URL")]
    ttclid: Annotated[str, text("TikTok's click id")]
    ttp: Annotated[str, text("TikTok's browser id, from the cookie _ttp")]
    msclkid: Annotated[str, text("Microsoft's click id")]
    li_fat_id: Annotated[str, text("LinkedIn's click id")]
    qclid: Annotated[str, text("Quora's click id")]
    ga_client_id: Annotated[str, text("Google Analytics' client id")]
    ga_session_id: Annotated[str, text("Google Analytics' session id")]


class AddressTraits(TypedDict, total=False):
    """The trait `address`, with Segment's reserved names."""

    street: Annotated[str, text("both lines of the street address")]
    city: Annotated[str, text("city")]
    state: Annotated[str, text("state or province")]
    postalCode: Annotated[str, text("postal code")]
    country: Annotated[str, text("two-letter country code")]


class _SharedTraits(TypedDict, total=False):
    currency: Annotated[str, Property(Kind.CURRENCY, "currency of mrr and lifetime_value", "ISO 4217, upper case")]
    lifetime_value: Annotated[
        Decimal | None,
        money("amount collected less refunds, disputes and credit, each payment counted once", signed=True),
    ]
    lifetime_value_by_currency: Annotated[
        dict[str, Decimal], Property(Kind.BY_CURRENCY, "lifetime_value in each currency", "major units", signed=True)
    ]
    mrr_by_currency: Annotated[
        dict[str, Decimal],
        Property(Kind.BY_CURRENCY, "mrr in each currency, except those whose mrr is unknown", "major units"),
    ]
    plan: Annotated[str | None, text("plan of the largest live subscription, null if there is none", nullable=True)]
    subscription_count: Annotated[int, number("number of live subscriptions")]
    stripe_customer_id: Annotated[str, text("Stripe's customer, prefixed with `acct_…:` for a connected account")]
    subscription_status: Annotated[
        str | None,
        text("status of the largest live subscription, or of the last subscription if none is live", nullable=True),
    ]


class UserTraits(_SharedTraits, total=False):
    """The traits of an identify; None is sent as null, because the customer no longer has the value."""

    address: Annotated[AddressTraits, Property(Kind.ADDRESS, "the customer's address")]
    billing_period: Annotated[
        str | None, text("billing period of the largest live subscription, null if there is none", nullable=True)
    ]
    cancels_at: Annotated[
        str | None, moment("when the largest live subscription is set to end, null if it is not", nullable=True)
    ]
    card_expires_at: Annotated[
        str | None,
        moment("end of the month in which the newest card expires, null if no card is left", nullable=True),
    ]
    createdAt: Annotated[str | None, moment("when the customer was created in Stripe")]
    email: Annotated[str, text("the customer's email")]
    email_sha256: Annotated[
        str, Property(Kind.HASH, "SHA-256 of the lower-case email, sent instead of the email", "64 hex digits")
    ]
    mrr: Annotated[
        Decimal | None,
        money("monthly recurring revenue over all live subscriptions, null when it becomes unknown", nullable=True),
    ]
    name: Annotated[str, text("the customer's name")]
    phone: Annotated[str, text("the customer's phone")]
    plans: Annotated[list[str], Property(Kind.STRINGS, "plans of all live subscriptions")]
    trial_ends_at: Annotated[
        str | None, moment("end of the running trial that ends first, null if there is none", nullable=True)
    ]


class GroupTraits(_SharedTraits, total=False):
    """The traits of a group call; None is sent as null."""

    name: Annotated[str, text("the company's or team's name, from metadata, else the business name in Stripe")]
    mrr: Annotated[
        Decimal | None, money("monthly recurring revenue of the account, null when it becomes unknown", nullable=True)
    ]
    seats: Annotated[int, number("sum of the quantities of all live subscriptions")]
