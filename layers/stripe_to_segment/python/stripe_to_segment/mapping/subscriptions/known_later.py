"""Facts about a subscription from events of other objects: its first payment, its prices, its coupons."""

from __future__ import annotations

from copy import replace
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import plan_name, worked_out_once
from stripe_to_segment.mapping.subscriptions.plan_changes import corrected_mrr
from stripe_to_segment.mapping.subscriptions.records import valued
from stripe_to_segment.mapping.subscriptions.trials import converts, trial_converted
from stripe_to_segment.state.person import over_all
from stripe_to_segment.stripe_side import invoice as read
from stripe_to_segment.stripe_side.fields import dig, integer, listed, reference, text
from stripe_to_segment.stripe_side.lines import Line, read_line
from stripe_to_segment.stripe_side.money import minor_decimal
from stripe_to_segment.stripe_side.subscription import currency_of, entries_of

if TYPE_CHECKING:
    from decimal import Decimal

    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["by_invoice", "corrected"]


@worked_out_once
def by_invoice(event: StripeEvent[shapes.Invoice], known: Known) -> tuple[Profile, list[Fact]]:
    """The record after a paid invoice, with a name that the plan lacked, and the facts.

    These are a trial's conversion, and an mrr that became known.
    """
    invoice, profile = event.object, known.profile
    subscription, made = read.subscription_of(invoice), integer(invoice.get("created"))
    if subscription is None or made is None:
        return profile, []
    record = profile.subscriptions.get(subscription)
    facts: list[Fact] = []
    if record is not None and record.plan == record.price_id:
        # The event with the name of a new product or price often comes after that of its subscription.
        prices = [line.price for line in read.lines_of(invoice) if line.price.id == record.price_id]
        record = replace(record, plan=next((plan_name(price, known) for price in prices), record.plan))
        profile = profile.with_subscription(subscription, record)
    if record is not None and event.listing is None and record.begins_after_trial(made):
        record = replace(record, trialed=record.trial_end)
        profile = profile.with_subscription(subscription, record)
    # Usage is billed at the end of a period: what is paid for by usage alone may owe nothing yet.
    bills_none = read.bills_no_period(invoice) and (record is None or record.quantity is not None)
    if (record is None or record.awaits_payment) and not (bills_none or read.bills_items_alone(invoice)):
        newest = max(made, profile.invoiced.get(subscription, 0))
        profile = replace(profile, invoiced={**profile.invoiced, subscription: newest})
        # An event states the conversion: that of this payment, or the next one of the subscription.
        if record is not None and event.listing is None and converts(record, newest):
            facts.append(trial_converted(subscription, record))
            profile = profile.converted(subscription)
    # The event with a price, or with the end of a trial, may come after its first invoice.
    known_prices = _prices_of(record.basis) if record is not None and record.mrr is not None and record.basis else set()
    if found := _amounts(invoice, known_prices):
        profile = replace(profile, amounts={**profile.amounts, **found})
    profile, corrections = corrected(event, profile, known)
    return profile, [*facts, *corrections]


def corrected(event: StripeEvent, profile: Profile, known: Known) -> tuple[Profile, list[Fact]]:
    """The record with every mrr that became known or changed, and the facts with these changes.

    That of a subscription that ended while nothing was sent of its person is one of them. A subscription that was only
    listed states no fact: the next event of the subscription includes the change.
    """
    # A discount of the Customer, or a discount's other coupon, changes what is known already.
    again = known.customer is not None or event.about in {"customer", "customer.discount"}
    now = valued(profile, known, again=again)
    facts: list[Fact] = []
    for name, before in profile.subscriptions.items():
        record = now.subscriptions[name]
        if record is before and not before.ended_in_silence:
            continue
        if before.unsent and (event.listing is not None or before.mrr is not None):
            # Its opening balance is still to be sent.
            record = replace(record, mrr_sent=record.mrr)
        elif event.listing is not None or record.mrr is None:
            record = replace(record, mrr_sent=before.counted)
        else:
            record = replace(record, mrr_sent=record.mrr, unsent=False, unopened=False)
            if record.mrr != before.counted:
                person = over_all(now, known.others)
                facts.append(corrected_mrr(person, name, record, before, event.created))
        now = now.with_subscription(name, record)
    return now, facts


def _prices_of(basis: shapes.Subscription) -> set[str | None]:
    """Ids of the prices that state what they cost in the subscription's currency."""
    currency = currency_of(basis)
    holders = [holder for entry in entries_of(basis) for holder in (entry.get("price"), entry.get("plan"))]
    return {reference(holder) for holder in holders if dig(holder, "currency") in {None, currency}}


def _amounts(invoice: shapes.Invoice, known: set[str | None]) -> dict[str, str]:
    """The cost of one unit of each price in the invoice's currency, in minor units, from its lines.

    Without those that are `known`.
    """
    currency = text(invoice.get("currency"))
    found: dict[str, str] = {}
    for entry in listed(invoice.get("lines")):
        named = dig(entry, "pricing", "price_details", "price") or entry.get("price") or entry.get("plan")
        if reference(named) in known:
            continue
        line, stated = read_line(entry), minor_decimal(dig(entry, "pricing", "unit_amount_decimal"))
        if line.of_item:
            continue
        if stated is None:
            stated = line.price.unit_amount if line.price.currency == currency else _share(line)
        # A trial's line is over nothing, whatever the price.
        if line.price.id and line.amount and stated is not None and not line.proration and not line.price.tiered:
            found[f"{line.price.id}:{currency}"] = str(stated)
    return found


def _share(line: Line) -> Decimal | None:
    """One unit's share of a line's amount, where the price is stated and no rounding can be in it."""
    units = line.price.units(line.quantity or 0)
    if not units or line.amount is None or line.price.currency is None or line.amount % units:
        return None
    return line.amount / units
