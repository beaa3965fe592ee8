"""Read an object that an import listed as the event that states the most about it.

The record of an import holds one object, the import's level, and the epoch second as of which the object is true:

    {"object": "stripe_to_segment.import", "level": "state", "moment": 1767225600, "livemode": true, "data": {…}}

Its event has the type that says the most of the object, and the time at which that happened, if the object states it.
So a fact of it has the same key, and the same messageId, as that of the live event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeIs

from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.event import Level, Listing, StripeEvent
from stripe_to_segment.stripe_side.fields import JsonObject, dig, hash_of, integer, text
from stripe_to_segment.stripe_side.invoice import UNPAID
from stripe_to_segment.stripe_side.payment_intent import invoice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stripe_to_segment.stripe_side import shapes

__all__ = ["IMPORT", "LISTED", "is_listed", "is_newer", "listed_event", "paid_at", "record_of", "states_something"]

IMPORT = "stripe_to_segment.import"
"""The field `object` of a record of an import."""
# A release that changes the record's form writes a higher `format` into it, for which this one waits.
FORMAT = 1

CREATED = "created"
DISPUTE_ENDS = frozenset({"won", "lost"})
PAID = frozenset({"invoice.paid", "invoice_payment.paid"})


def record_of(listed: Mapping[str, Any], level: Level, moment: int, *, livemode: bool, **more: object) -> JsonObject:
    """The record of one listed object, as it is queued.

    Parameters
    ----------
    listed
        The object, as Stripe's list has it.
    level
        What it is listed for.
    moment
        As of which epoch second it is true; what happened later counts more.
    livemode
        The mode of the list.
    more
        `integrations`, an object, and `enrich`, true where `enrich` is to see the calls.
    """
    return {"object": IMPORT, "level": level, "moment": moment, "livemode": livemode, **more, "data": listed}


def is_listed(data: object) -> TypeIs[JsonObject]:
    """Whether a decoded JSON value is the record of an import."""
    return isinstance(data, dict) and data.get("object") == IMPORT


def is_newer(data: JsonObject) -> bool:
    """Whether a newer release wrote this record of an import, in a form that this one does not know."""
    return (integer(data.get("format")) or FORMAT) > FORMAT


def states_something(listed: Any) -> bool:
    """Whether an object of a list states anything: drafts of invoices, expired sessions and the like do not."""
    name = listed.get("object")
    read = LISTED.get(str(name))
    # The invoice of a payment intent is listed with all its payments.
    return (
        read is not None
        and read(listed, 0) is not None
        and not (name == "payment_intent" and invoice_of(listed) is not None)
    )


def paid_at(listed: Any) -> int | None:
    """The epoch second at which an invoice, or a part of one, was paid; None for what is unpaid or something else."""
    stated = LISTED[listed["object"]](listed, 0) if listed.get("object") in {"invoice", "invoice_payment"} else None
    return stated[1] if stated is not None and stated[0] in PAID else None


def listed_event(data: JsonObject) -> StripeEvent | None:
    """The event that a record of an import stands for; None for an object that says nothing, as an unpaid invoice.

    Raises MalformedEventError where it is no such record.
    """
    listed, moment = hash_of(data.get("data")), integer(data.get("moment"))
    name, listed_id = text(listed.get("object")), text(listed.get("id"))
    levels = {str(level): level for level in Level}
    level = levels.get(text(data.get("level")) or "")
    if name not in LISTED or listed_id is None or moment is None or moment < 0 or level is None:
        raise MalformedEventError(Reason.NOT_AN_EVENT, "the body is no record of an import that this release knows")
    stated = LISTED[name](listed, moment)
    if stated is None:
        return None
    kind, created = stated
    return StripeEvent(
        # The id is the same when the record comes again, and differs for another level and another import.
        id=f"{listed_id}@{moment}:{level}",
        type=kind,
        created=created,
        livemode=data.get("livemode") is True,
        account=None,
        object=listed,
        previous={},
        body=data,
        listing=Listing(level, moment, hash_of(data.get("integrations")), enriched=data.get("enrich") is True),
    )


def _now(kind: str) -> Callable[[Any, int], tuple[str, int]]:
    """Objects that change: what is listed is true as of the import."""
    return lambda _, moment: (kind, moment)


def _once(
    kind: str, field: str = "", value: str = "", at: tuple[str, ...] = (CREATED,)
) -> Callable[..., tuple[str, int] | None]:
    """Objects that say that something happened, where the field has this value."""

    def read(listed: Any, moment: int) -> tuple[str, int] | None:
        if field and listed.get(field) != value:
            return None
        found = integer(dig(listed, *at))
        return kind, (integer(listed.get(CREATED)) or moment) if found is None else found

    return read


def _subscription(listed: shapes.Subscription, moment: int) -> tuple[str, int]:
    ended = integer(listed.get("ended_at")) if listed.get("status") == "canceled" else None
    return ("customer.subscription.updated", moment) if ended is None else ("customer.subscription.deleted", ended)


def _invoice(listed: shapes.Invoice, moment: int) -> tuple[str, int] | None:
    """A paid invoice is a payment. One that is open or written off may become one, and parts of it may be paid.

    https://docs.stripe.com/api/invoices/object#invoice_object-status_transitions
    """
    kinds = {"paid": ("invoice.paid", "paid_at"), **dict.fromkeys(UNPAID, ("invoice.finalized", "finalized_at"))}
    kind, field = kinds.get(text(listed.get("status")) or "", ("", ""))
    at = integer(dig(listed, "status_transitions", field)) or integer(listed.get(CREATED)) or moment
    return (kind, at) if kind else None


def _payment_intent(listed: shapes.PaymentIntent, moment: int) -> tuple[str, int] | None:
    """A payment, or what several captures of one have brought in so far."""
    status = text(listed.get("status"))
    if status == "requires_capture" and integer(listed.get("amount_received")):
        return "payment_intent.amount_capturable_updated", moment
    return ("payment_intent.succeeded", integer(listed.get(CREATED)) or moment) if status == "succeeded" else None


def _dispute(listed: shapes.Dispute, moment: int) -> tuple[str, int]:
    # Nothing says when it was closed.
    closed = text(listed.get("status")) in DISPUTE_ENDS
    return "charge.dispute.closed" if closed else "charge.dispute.created", integer(listed.get(CREATED)) or moment


def _credit_note(listed: shapes.CreditNote, moment: int) -> tuple[str, int]:
    voided = integer(listed.get("voided_at"))
    if voided is not None or listed.get("status") == "void":
        return "credit_note.voided", moment if voided is None else voided
    return "credit_note.created", integer(listed.get(CREATED)) or moment


LISTED: dict[str, Callable[[Any, int], tuple[str, int] | None]] = {
    "product": _now("product.updated"),
    "price": _now("price.updated"),
    "coupon": _now("coupon.updated"),
    "customer": _now("customer.updated"),
    "subscription": _subscription,
    "invoice": _invoice,
    "invoice_payment": _once("invoice_payment.paid", "status", "paid", ("status_transitions", "paid_at")),
    "checkout.session": _once("checkout.session.completed", "status", "complete"),
    "payment_intent": _payment_intent,
    "refund": _once("refund.created"),
    "dispute": _dispute,
    "credit_note": _credit_note,
}
"""By the name of an object the type and the time of the event that it stands for."""
