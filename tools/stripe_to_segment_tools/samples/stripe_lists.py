"""What Stripe's lists show after events: the objects as they are once all of them have happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.stripe_side import charge as read_charge
from stripe_to_segment.stripe_side.fields import hash_of, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["objects_after", "with_discounts"]

type Json = dict[str, Any]
# Of other types no list that is read has the object, or its event does not say how it is.
LISTED = ("customer.", "coupon.", "price.", "product.", "invoice.", "checkout.session.", "refund.", "credit_note.")
NOT_LISTED = ("customer.discount.", "invoice.upcoming", "customer.deleted")


def objects_after(events: Iterable[Json]) -> list[Json]:
    """The objects of the lists after these events; those of one second are given in their order."""
    happened = sorted(events, key=lambda event: event["created"])
    named = {event["data"]["object"].get("payment_intent") for event in happened if event["type"].startswith("refund.")}
    objects: dict[str, Json] = {}
    for event in happened:
        one: Json = event["data"]["object"]
        if event["type"] == "charge.refunded":
            # An endpoint without refund.* learns of a refund only by its charge.
            found = None if one.get("payment_intent") in named else _refund(event)
        elif event["type"] == "invoice_payment.paid":
            found = _with_part(objects.get(one["invoice"]), one, event["created"])
        else:
            found = _shown(event, objects.get(str(one.get("id"))))
        if found is not None:
            objects[found["id"]] = found
    told = [event["data"]["object"] for event in happened]
    return with_discounts(objects.values(), (one for one in told if one.get("object") == "discount"))


def with_discounts(objects: Iterable[Json], discounts: Iterable[Json]) -> list[Json]:
    """The objects with the discounts and coupons of subscriptions, which lists expand and events only name."""
    given = [*objects]
    coupons = {one["id"]: one for one in given if one["object"] == "coupon"}
    known = {one["id"]: _with_coupon(one, coupons) for one in discounts}
    return [
        {
            **one,
            "discounts": [
                known.get(each, each) if isinstance(each, str) else each for each in one.get("discounts") or []
            ],
        }
        if one["object"] == "subscription"
        else one
        for one in given
    ]


def _with_coupon(discount: Json, coupons: Mapping[str, Json]) -> Json:
    """A discount with its coupon, of API versions that name it by its source; others have it."""
    named = hash_of(discount.get("source")).get("coupon")
    return {**discount, "source": {**discount["source"], "coupon": coupons[named]}} if named in coupons else discount


def _shown(event: Json, before: Json | None) -> Json | None:
    """The object of an event as a list has it; None where no list does."""
    one, kind, at = event["data"]["object"], event["type"], event["created"]
    made = {"created": (before or {}).get("created") or one.get("created") or at}
    if kind.startswith("charge.dispute."):
        return {**one, **made}
    if kind == "payment_intent.succeeded":
        return {**one, "status": "succeeded"}
    if kind.startswith(NOT_LISTED) or not kind.startswith(LISTED):
        return None
    more: Json = {"payments": before["payments"]} if before and "payments" in before else {}
    if kind == "invoice.paid":
        more |= {"status": "paid", "status_transitions": {**(one.get("status_transitions") or {}), "paid_at": at}}
    return {**one, **made, **more}


def _with_part(invoice: Json | None, part: Json, at: int) -> Json:
    """The invoice with what has paid it; it may come later than its payment."""
    known = invoice or {"id": part["invoice"], "object": "invoice", "status": "open", "created": at}
    paid = {**part, "status": "paid", "status_transitions": {"paid_at": at}}
    return {**known, "payments": {"object": "list", "data": [*listed(known.get("payments")), paid]}}


def _refund(event: Json) -> Json:
    """The refund behind a charge.refunded."""
    charge = event["data"]["object"]
    named = read_charge.newest_refund(charge) or {}
    return {
        "id": named.get("id") or f"re_{charge['id']}_{charge['amount_refunded']}",
        "object": "refund",
        "amount": read_charge.refunded_amount(charge, hash_of(event["data"].get("previous_attributes"))),
        "charge": charge["id"],
        "created": event["created"],
        "currency": charge["currency"],
        "payment_intent": charge.get("payment_intent"),
        "status": "succeeded",
    }
