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
    """A word or an id."""
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


# --- What things are called ---

ChargeId = Annotated[str | None, text("Stripe's charge")]
CardExpiresAt = Annotated[str | None, moment("end of the month in which the card expires")]
CheckoutId = Annotated[str | None, text("Stripe's Checkout Session")]
CreditNoteId = Annotated[str | None, text("Stripe's credit note")]
DisputeId = Annotated[str | None, text("Stripe's dispute")]
InvoiceId = Annotated[str | None, text("Stripe's invoice")]
InvoicePaymentId = Annotated[str | None, text("Stripe's invoice payment: one of several that pay an invoice")]
OrderId = Annotated[
    str | None, text("the invoice; the payment intent where there is none; a refund names that of its order")
]
PaymentMethodId = Annotated[str | None, text("Stripe's payment method")]
PriceId = Annotated[str | None, text("Stripe's price")]
ProductId = Annotated[str | None, text("Stripe's product")]
RefundId = Annotated[str | None, text("Stripe's refund; absent where only charge.refunded told it")]
SubscriptionId = Annotated[str | None, text("Stripe's subscription")]

# --- Money ---

ApplicationFee = Annotated[
    Decimal | None, money("the platform's fee of a Connect payment; it is not taken off revenue")
]
Amount = Annotated[Decimal | None, money("what one billing period costs, before tax and discounts")]
Currency = Annotated[str | None, Property(Kind.CURRENCY, "currency of every amount beside it", "ISO 4217, upper case")]
Discount = Annotated[Decimal | None, money("what discounts took off")]
Mrr = Annotated[
    Decimal | None, money("the subscription's monthly recurring revenue; absent where the payload cannot tell")
]
MrrChange = Annotated[
    Decimal | None, money("by how much the subscription's mrr changed since it was last told", signed=True)
]
MrrMovement = Annotated[
    str | None,
    text(
        "what mrr_change is in the growth of the MRR, by what the person's subscriptions counted before; opening: "
        "what a subscription counted that is older than the stack; absent where mrr_change is 0",
        values=("new", "expansion", "contraction", "churn", "reactivation", "opening"),
    ),
]
OutOfBand = Annotated[Decimal | None, money("of it given back outside of Stripe, which lowers lifetime_value")]
PreviousMrr = Annotated[Decimal | None, money("mrr before the change")]
RefundedTotal = Annotated[Decimal | None, money("all refunds of the charge so far")]
RevenueRefunded = Annotated[
    Decimal | None,
    money(
        "the revenue in the refund, negative where it failed; absent where the order is not known: if that comes later,"
        " its own event tells it",
        signed=True,
    ),
]
Revenue = Annotated[Decimal | None, money("collected less tax and shipping; on exactly one call for each payment")]
Shipping = Annotated[Decimal | None, money("shipping, without its tax")]
Subtotal = Annotated[Decimal | None, money("before discounts and tax; negative where credits outweigh", signed=True)]
Tax = Annotated[Decimal | None, money("tax", signed=True)]
TaxRefunded = Annotated[
    Decimal | None,
    money("the tax in it, negative where a refund failed; absent where the order is not remembered", signed=True),
]
Total = Annotated[Decimal | None, money("collected; of a refund: given back")]
Value = Annotated[Decimal | None, money("what is at stake; never revenue")]

# --- Discounts ---

AmountOff = Annotated[Decimal | None, money("what a coupon takes off each invoice")]
DiscountEndsAt = Annotated[str | None, moment("when a discount ends by itself")]
DiscountId = Annotated[str | None, text("Stripe's discount: a coupon as one customer or subscription has it")]
Duration = Annotated[str | None, text("for how long, in Stripe's word: forever, once or repeating")]
PercentOff = Annotated[Decimal | None, Property(Kind.MONEY, "what a coupon takes off, as a percentage", "percent")]
PromotionCode = Annotated[str | None, text("Stripe's promotion code, by its id")]

# --- Plans ---

BillingPeriod = Annotated[str | None, text("month, year, week, day, or a number of them: 3 months")]
Changed = Annotated[
    Sequence[str] | None,
    Property(
        Kind.STRINGS,
        "what changed; billing_date: by a trial that moves it; mrr: more is known of it than before",
        values=("plan", "quantity", "billing_period", "items", "discount", "billing_date", "mrr"),
    ),
]
Plan = Annotated[
    str | None, text("the plan's name: metadata `plan`, lookup key, nickname, product name, else the price id")
]
PreviousBillingPeriod = Annotated[str | None, text("billing_period before the change")]
PreviousPlan = Annotated[str | None, text("plan before the change")]
PreviousQuantity = Annotated[Decimal | int | None, decimal("quantity before the change")]
Quantity = Annotated[Decimal | int | None, decimal("seats or units of the plan")]
Status = Annotated[str | None, text("status in Stripe of the subscription, the refund or the dispute")]
TrialEndDate = Annotated[str | None, moment("end of the trial")]
TrialPlanName = Annotated[str | None, text("the plan on trial")]
TrialStartDate = Annotated[str | None, moment("start of the trial")]

# --- The end of a subscription ---

CancelledBy = Annotated[
    str | None,
    text("who or what ended it", values=("customer", "payment_failure", "dispute", "retention_policy")),
]
CancelsAt = Annotated[str | None, moment("when the subscription will end by itself")]
Converted = Annotated[
    bool | None, flag("false where the subscription ended or paused with the trial; else absent: see Trial Converted")
]
DaysActive = Annotated[int | None, number("from the subscription's start to its end", "whole days")]
Feedback = Annotated[str | None, text("the customer's choice in the cancellation form, in Stripe's word")]
FeedbackOption = Annotated[str | None, text("the option of a cancellation form of one's own that was chosen")]
Reason = Annotated[
    str | None,
    text("why, in Stripe's word: cancellation_requested, pause_requested, payment_failed, requested_by_customer, …"),
]

# --- Payments ---

AfterTrial = Annotated[
    bool | None, flag("true for the first payment after a trial, where the trial's end is known; else absent")
]
AttemptCount = Annotated[int | None, number("how often collecting this invoice was tried")]
Automatic = Annotated[bool | None, flag("whether the card's network told of a new card")]
BillingReason = Annotated[
    str | None, text("why the invoice exists, in Stripe's word: subscription_create, subscription_cycle, …")
]
CardBrand = Annotated[str | None, text("the card's brand, in Stripe's word: visa, mastercard, …")]
CollectionBehavior = Annotated[
    str | None, text("what happens to invoices while collection is paused, in Stripe's word")
]
CollectionMethod = Annotated[
    str | None, text("how the invoice is paid, in Stripe's word: charge_automatically or send_invoice")
]
Coupon = Annotated[str | None, text("the first coupon that is named")]
DaysOverdue = Annotated[int | None, number("since the invoice was due", "whole days")]
DeclineCode = Annotated[
    str | None, text("why the bank declined, in Stripe's word: insufficient_funds, do_not_honor, …")
]
DueDate = Annotated[str | None, moment("when the invoice is due")]
FailureCode = Annotated[str | None, text("what failed, in Stripe's word: card_declined, expired_card, …")]
FailureMessage = Annotated[str | None, text("the more exact of both codes in words: insufficient funds")]
EvidenceDueBy = Annotated[str | None, moment("until when evidence can be submitted")]
FullyRefunded = Annotated[bool | None, flag("whether nothing of the charge is left")]
Mode = Annotated[str | None, text("what the Checkout Session is for, in Stripe's word: payment, subscription or setup")]
NetworkReasonCode = Annotated[str | None, text("the card network's own code of the reason")]
OfKnownPayment = Annotated[
    bool | None,
    flag("whether the payment was counted; false for those from before the stack, which lifetime_value leaves alone"),
]
NextPaymentAttempt = Annotated[str | None, moment("when Stripe tries again")]
PaymentMethodType = Annotated[str | None, text("how it was to be paid, in Stripe's word: card, sepa_debit, …")]
PaymentStatus = Annotated[str | None, text("in Stripe's word: paid, unpaid or no_payment_required")]
FirstProduct = Annotated[str | None, text("the name of the first product")]
LineCount = Annotated[int | None, number("how many lines there are; absent where the event shows not all of them")]
ProductIds = Annotated[
    Sequence[str] | None, Property(Kind.STRINGS, "the product_id of each product once, as many as a warehouse keeps")
]
ProductsOmitted = Annotated[
    int | None, number("how many products were left out because the call would be too large for Segment")
]
Recoverable = Annotated[bool | None, flag("whether Stripe offers a recovery url")]
RenewsAt = Annotated[str | None, moment("when the next period begins")]
ResumesAt = Annotated[str | None, moment("when collection resumes by itself")]


class Product(TypedDict, total=False):
    """One entry of `products`."""

    product_id: Annotated[str, text("Stripe's product, else the price")]
    name: Annotated[str, text("the line's description, unless LineDescriptions is omit; else the plan's name")]
    price: Annotated[Decimal, money("of one", signed=True)]
    quantity: Annotated[Decimal | int, decimal("how many, with decimals where Stripe states them")]
    coupon: Annotated[str, text("the first coupon of the line")]


Products = Annotated[
    list[Product] | None, Property(Kind.PRODUCTS, "the lines: product_id, name, price, quantity, coupon")
]


class AttributionProperties(TypedDict, total=False):
    """What any event may have: ids of clicks and visits, where metadata has them."""

    gclid: Annotated[str, text("Google's click id")]
    gbraid: Annotated[str, text("Google's click id from an app, on iOS")]
    wbraid: Annotated[str, text("Google's click id from the web, on iOS")]
    fbc: Annotated[str, text("Meta's click id, as its cookie _fbc has it")]
    fbp: Annotated[str, text("Meta's browser id, as its cookie _fbp has it")]
    fbclid: Annotated[str, text("Meta's click id, as its address has it")]
    ttclid: Annotated[str, text("TikTok's click id")]
    ttp: Annotated[str, text("TikTok's browser id, as its cookie _ttp has it")]
    msclkid: Annotated[str, text("Microsoft's click id")]
    li_fat_id: Annotated[str, text("LinkedIn's click id")]
    ga_client_id: Annotated[str, text("Google Analytics' client id")]
    ga_session_id: Annotated[str, text("Google Analytics' session id")]


class AddressTraits(TypedDict, total=False):
    """The trait `address`, in Segment's reserved names."""

    street: Annotated[str, text("both lines of it")]
    city: Annotated[str, text("city")]
    state: Annotated[str, text("state or province")]
    postalCode: Annotated[str, text("postal code")]
    country: Annotated[str, text("two-letter country code")]


class _SharedTraits(TypedDict, total=False):
    mrr_by_currency: Annotated[
        dict[str, Decimal],
        Property(Kind.BY_CURRENCY, "mrr in every currency, without those that are unknown", "major units"),
    ]
    plan: Annotated[str | None, text("plan of the largest live subscription, null without one", nullable=True)]
    stripe_customer_id: Annotated[str, text("Stripe's customer; of a connected account, with its `acct_…:` in front")]
    subscription_status: Annotated[
        str | None, text("status of the largest live subscription, else of the last one", nullable=True)
    ]


class UserTraits(_SharedTraits, total=False):
    """The traits of an identify; None is sent as null: the customer no longer has it."""

    address: Annotated[AddressTraits, Property(Kind.ADDRESS, "the customer's address")]
    billing_period: Annotated[
        str | None, text("billing period of the largest live subscription, null without one", nullable=True)
    ]
    cancels_at: Annotated[
        str | None, moment("when the largest live subscription will end, null where it goes on", nullable=True)
    ]
    card_expires_at: Annotated[
        str | None,
        moment("end of the month in which the card expires that came last, null once it is removed", nullable=True),
    ]
    createdAt: Annotated[str | None, moment("when the customer was created in Stripe")]
    currency: Annotated[str, Property(Kind.CURRENCY, "currency of mrr and lifetime_value", "ISO 4217, upper case")]
    email: Annotated[str, text("the customer's email")]
    email_sha256: Annotated[str, Property(Kind.HASH, "SHA-256 of the lower-case email, in its place", "64 hex digits")]
    lifetime_value: Annotated[
        Decimal | None,
        money("collected less what went back (refunds, disputes, credit), each payment counted once", signed=True),
    ]
    lifetime_value_by_currency: Annotated[
        dict[str, Decimal], Property(Kind.BY_CURRENCY, "the same in every currency", "major units", signed=True)
    ]
    mrr: Annotated[
        Decimal | None, money("monthly recurring revenue over all live subscriptions, null once unknown", nullable=True)
    ]
    name: Annotated[str, text("the customer's name")]
    phone: Annotated[str, text("the customer's phone")]
    plans: Annotated[list[str], Property(Kind.STRINGS, "plans of all live subscriptions")]
    subscription_count: Annotated[int, number("how many subscriptions are live")]
    trial_ends_at: Annotated[str | None, moment("end of the running trial, null without one", nullable=True)]


class GroupTraits(_SharedTraits, total=False):
    """The traits of a group call; None is sent as null."""

    currency: Annotated[str, Property(Kind.CURRENCY, "currency of mrr", "ISO 4217, upper case")]
    name: Annotated[str, text("the company's or team's name, from metadata, else the business name in Stripe")]
    mrr: Annotated[Decimal | None, money("monthly recurring revenue of the account, null once unknown", nullable=True)]
    seats: Annotated[int, number("quantity over all live subscriptions")]
