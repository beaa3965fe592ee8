"""The record of one Stripe customer: its user, subscriptions and payments, its ledger and its claims."""

from __future__ import annotations

from copy import replace
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen_with_cache
from stripe_to_segment.state.claim import Claim
from stripe_to_segment.state.failed_attempt import FailedAttempt
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.withheld import newest
from stripe_to_segment.stripe_side.discount import Remembered, coupon_from, named_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Self

    from _typeshed import SupportsRichComparison

    from stripe_to_segment.state.subscription import SubscriptionRecord, Watermark
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["LEDGER_DAYS", "OUTDATED", "PARTLY", "TRACK", "UNSURE", "Profile", "most", "new_profile"]

# Stripe retries for three days and keeps events for thirty, so a backfill is covered with ten days to spare.
LEDGER_DAYS = 40
# In a ledger, added to the day of a track: no later import sends again what was sent once.
TRACK = 1 << 15
# Coupons of a customer's discounts, about 100 bytes each.
DISCOUNTS = 200

# The newest failed attempts that are kept. Up to three events report one attempt, in the same minute, or days apart
# where Stripe has to retry a webhook.
FAILED_ATTEMPTS = 30
# The newest cards that are kept.
CARDS = 20
# In place of a card's expiry: the card was removed; the card was removed, and no earlier event about it was seen.
REMOVED, NEVER_SEEN = -1, 0

# In place of the claim of an event that no batch has tried to send.
UNTRIED = Claim(tries=-1)
# In place of a digest of traits: they were sent, and it is not known whether they arrived.
UNSURE = "?"
# Likewise: they were sent, and the sum of payments has changed since without an event that said so.
OUTDATED = "!"
# Before a digest of traits: an import sent them, and not to every destination.
PARTLY = "~"


@frozen_with_cache
class Profile:
    """The record of one customer (or one guest's payment), within one account and mode.

    Who it is: `named_by` is "client_reference_id" where nothing better has named the user, else empty. `customer_read`
    says that the Customer's own metadata has been read, `email` is the short digest of its last address. `tied` says
    that the user's person lists this record (or a guest's payment), `grouped` that the group does, `shared` that one of
    them lists others too. `as_of` holds, for the ids, the opt-out and the consent, the epoch second as of which each is
    true, and when the newest event was created that has waited for its user in vain. `moved_to` is the key of the
    customer's record that has taken over this one, a record of a payment whose customer was unknown. `personal` holds
    the personal traits that later calls show, where the deployer wants them remembered. `fallback_id` is the
    anonymousId that calls carried before the user was known; `joined` says that an identify has joined it to the user.
    `shown` is the digest of the traits last delivered (after PARTLY where only some destinations have them), UNSURE or
    OUTDATED, `shown_group` that of the group's traits.

    Money: `paid` is the amount collected less given back, in minor units by lower-case currency. `payments` lists the
    newest payments by their orders' ids, each as `Payment.written` gives it, and `failed` the newest failed attempts,
    each as `FailedAttempt.written` gives it. `cards` holds the watermark and the expiry of each payment method.
    `discounts` holds the coupons, as written, by the id of their discount; `own_discounts` are the ids of the discounts
    on the Customer itself. `amounts` is the price of one unit in a currency other than the price's base currency, in
    minor units, by price and currency. `invoiced` is the time of a subscription's newest paid invoice, kept while a
    trial of it may still convert. `subscribed` says that the customer has had mrr. `sent` holds the sums of what was
    delivered, for the audit (`sums`), from the day `summed` on: 1 where from the first event on, 0 in a record of a
    release that kept no sums. `withheld` holds the calls about money that were not made, by their deduplication keys,
    each as `Withheld.written` gives it.

    Delivery: `ledger` holds the deduplication keys of delivered or counted facts, each with its day, that of a track
    plus TRACK. `claims` holds, by
    the event's deduplication key, the calls that were claimed and are not known to have arrived. The newest claims
    belong to `delivery`, which ends with its receipt, or without one with its lease, at the epoch second `lease_until`.
    `version` is the store's, for its conditional write.
    """

    key: str
    user_id: str | None = None
    named_by: str = ""
    anonymous_id: str | None = None
    group_id: str | None = None
    group_name: str | None = None
    opted_out: bool = False
    consent: Mapping[str, bool] = field(default_factory=dict)
    customer_read: bool = False
    email: str = ""
    tied: bool = False
    grouped: bool = False
    shared: bool = False
    as_of: Mapping[str, int] = field(default_factory=dict)
    moved_to: str = ""
    customer_created: int | None = None
    fallback_id: str | None = None
    joined: bool = False
    shown: str | None = None
    shown_group: str | None = None
    deleted: bool = False
    subscriptions: Mapping[str, SubscriptionRecord] = field(default_factory=dict)
    paid: Mapping[str, int] = field(default_factory=dict)
    failed: Sequence[JsonObject] = ()
    cards: Mapping[str, Sequence[int]] = field(default_factory=dict)
    payments: Mapping[str, JsonObject] = field(default_factory=dict)
    ledger: Mapping[str, int] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    discounts: Mapping[str, str] = field(default_factory=dict)
    own_discounts: tuple[str, ...] = ()
    amounts: Mapping[str, str] = field(default_factory=dict)
    invoiced: Mapping[str, int] = field(default_factory=dict)
    subscribed: bool = False
    sent: Mapping[str, Sequence[int]] = field(default_factory=dict)
    summed: int = 1
    withheld: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    personal: Mapping[str, Any] = field(default_factory=dict)
    delivery: str = ""
    lease_until: int = 0
    version: int = 0

    def __replace__(self, /, **changes: object) -> Self:
        """Serves `copy.replace`: field by field takes many times as long, and each event changes the record often."""
        copy = object.__new__(type(self))
        copy.__dict__ = {**self.__dict__, **changes}
        if "subscriptions" in changes:
            copy.__dict__.pop("live", None)
        return copy

    def with_subscription(self, subscription_id: str, record: SubscriptionRecord) -> Profile:
        """The record with this state of a subscription."""
        return replace(self, subscriptions={**self.subscriptions, subscription_id: record})

    def payment(self, order: str) -> Payment | None:
        """The payment of an order, None where the record does not list it."""
        written = self.payments.get(order)
        return None if written is None else Payment.read(written)

    def has_counted(self, order: str) -> bool:
        """Whether the record lists a payment of this order that counts."""
        return bool(self.payments.get(order, {}).get("counted", False))

    def listed_payments(self) -> Iterator[tuple[str, Payment]]:
        """Every listed payment with its order's id, oldest first."""
        return ((order, Payment.read(written)) for order, written in self.payments.items())

    def payments_like(
        self, paid: Payment, *, within: int, counted: bool | None = None, stated_by: str = ""
    ) -> Iterator[tuple[str, Payment]]:
        """The listed payments of the same amount, at most so many seconds from it, by the prefix of what stated them.

        Of one that was paid in parts, the amount is what the known parts have not paid. They are compared as they are
        written, and first by what differs most: each event asks this of all of them.
        """
        first, last = paid.paid_at - within, paid.paid_at + within
        for order, written in self.payments.items():
            if (
                counted in {None, written.get("counted", False)}
                and written.get("stated_by", "").startswith(stated_by)
                and first <= written.get("paid_at", 0) <= last
                and _rest_of(written) == paid.total
                and written.get("currency") == paid.currency
            ):
                yield order, Payment.read(written)

    def with_payment(self, order: str, payment: Payment) -> Profile:
        """The record with this payment added or replaced, and `paid` adjusted to it."""
        before = self.payment(order)
        added = payment.left - (0 if before is None else before.left)
        paid = self.paid
        if added or (payment.counted and payment.currency not in paid):
            paid = {**paid, payment.currency: paid.get(payment.currency, 0) + added}
        return replace(self, paid=paid, payments={**self.payments, order: payment.written()})

    def has_payments_in(self, currency: str) -> bool:
        """Whether a payment in this currency is listed, which one of 0 is not."""
        return any(written["currency"] == currency for written in self.payments.values())

    def with_payments_of(self, other: Profile) -> Profile:
        """The record with the payments, the ledger and the claims of another record, which is of the same customer.

        A payment of which the other record knows the order becomes that order's. Claimed calls that may have arrived
        are sent again byte for byte, from either record.
        """
        after = replace(
            self,
            ledger={**other.ledger, **self.ledger},
            claims={**other.claims, **self.claims},
            withheld=newest({**other.withheld, **self.withheld}),
        )
        for order, payment in other.listed_payments():
            listed = after.payment(order)
            after = after.with_payment(order, payment if listed is None else listed.joined(payment))
            surely = payment.paid_by - other._guesses(order) - {order}
            for paid_by in sorted(surely & after.payments.keys()):
                after = after.with_paid(order, by=paid_by)
        return after

    def moved(self, record: str) -> Profile:
        """The record once another has taken over its payments and its claims, which then count there.

        They stay as they are: where the other could not be written, the next batch takes them over again.
        """
        return replace(self, moved_to=record)

    def with_paid(self, order: str, *, by: str) -> Profile:
        """The record once it is known that the payment intent `by` paid this order: their two entries become one."""
        if by == order:
            return self
        paid, stated = self.payment(by), self.payment(order)
        if paid is None:
            # Known from now on, so that no other payment of the same amount and time is taken for it.
            named = self if stated is None else self.with_payment(order, stated.named(by))
            return named.regained(order, by)
        paid = replace(paid, intent=by).as_part(by)
        one = paid if stated is None else stated.named(by).joined(paid)
        return self.without_payment(by).with_payment(order, one).regained(order, by)

    def surely_paid(self, order: str, *, by: str, listed: Payment | None = None) -> Profile:
        """The same where it is certain: what is here of other payments by amount and time alone goes back to them.

        An order that is not listed becomes `listed`, so that no other payment is taken for it once it is.
        """
        after = self.without_guesses(order, by=by).with_paid(order, by=by).sure_of(order, by)
        return after if listed is None or order in after.payments else after.with_payment(order, listed)

    def wholly_paid(self, order: str, *, by: str, amount: int) -> tuple[Profile, list[str]]:
        """The record once it is certain that a payment has paid this order as a whole, and the intents that have not.

        They were taken for what had paid it by their amount and time, and are orders of their own.
        """
        listed = self.payment(order)
        if listed is None or not listed.complete or listed.total != amount:
            return self, []
        others = sorted(name for name in {*listed.parts, *listed.taken} - {by} if name.startswith("pi_"))
        after = self.with_payment(order, listed.paid_by_alone(by)) if others else self
        for intent in others:
            after = after.parted(order, intent, intent)
            stated, gone = listed.of_another(intent), after.payment(intent)
            after = after.with_payment(intent, stated if gone is None else stated.joined(gone))
        return after, others

    def orders_paid_by(self, payment: str) -> list[str]:
        """The other orders that this payment has paid, or parts of them, as far as the record itself knows.

        Guesses by an amount are left out. The store's order of the payment may have been read before another batch
        wrote it, and the record afterwards.
        """
        return [
            order
            for order, written in self.payments.items()
            if (
                written.get("intent") == payment
                or payment in written.get("further_intents", ())
                or payment in written.get("parts", ())
            )
            and order != payment
            and (payment in written.get("parts", ()) or payment not in self._guesses(order))
        ]

    def order_paid_by(self, payment: str) -> str | None:
        """The first of them."""
        return next(iter(self.orders_paid_by(payment)), None)

    def other_paid_by(self, payment: str, order: str) -> str | None:
        """Another order of which this payment has paid a part: one payment may be attached to several invoices."""
        others = (one for one, written in self.payments.items() if payment in written.get("parts", ()))
        return next((one for one in others if one != order), None)

    def order_taken_for(self, payment: str) -> str | None:
        """The order that this payment, or something that went back of it, stands for by its amount and time alone."""
        return next((order for order in self.payments if payment in self._guesses(order)), None)

    def has_taken(self, payment: str) -> bool:
        """Whether this payment itself stands for an order by its amount and time alone."""
        return any(payment in written.get("taken", ()) for written in self.payments.values())

    def with_guess(self, order: str, payment: str) -> Profile:
        """With what went back of a payment under the order that it seems to have paid, by its amount and time."""
        gone = self.payment(payment)
        if gone is None:
            return self
        return self.with_payment(payment, gone.guessed(payment)).with_paid(order, by=payment)

    def with_taken(self, order: str, payment: str) -> Profile:
        """With an order that a payment seems to have paid, by its amount and time, so that it is not counted itself."""
        after = self.with_guess(order, payment).with_paid(order, by=payment)
        listed = after.payment(order)
        if listed is None or payment in listed.taken:
            return after
        return after.with_payment(order, replace(listed, taken=(*listed.taken, payment)))

    def regained(self, order: str, payment: str) -> Profile:
        """With what went back of a payment under the order that it paid, where it was taken for another's before."""
        after = self
        for other in [one for one in self.payments if one != order]:
            if payment in self._guesses(other):
                after = after.parted(other, payment, order)
        return after

    def without_guesses(self, order: str, *, by: str) -> Profile:
        """The record once it is certain that the payment `by` paid this order.

        Refunds and disputes of other payments, which stood under the order by their amount and time alone, stand under
        their own payments again.
        """
        after = self
        for other in sorted(self._guesses(order) - {by}):
            after = after.parted(order, other, other)
        return after

    def sure_of(self, order: str, payment: str) -> Profile:
        """With what went back of a payment as what certainly went back of the order, no longer by amount and time."""
        listed = self.payment(order)
        if listed is None or payment not in {*listed.taken, *listed.taken_for_its_own}:
            return self
        return self.with_payment(order, listed.sure_of(payment))

    def _guesses(self, order: str) -> set[str]:
        """The payments that stand for the order, or of which something does, by amount and time alone."""
        written = self.payments.get(order, {})
        gone = (*written.get("refunds", {}).values(), *written.get("disputes", {}).values())
        guesses = {one["named"] for one in gone if one.get("named")}
        return guesses | {*written["taken"]} if "taken" in written else guesses

    def parted(self, order: str, payment: str, theirs: str) -> Profile:
        """With what went back of a payment no longer under this order, but under `theirs`."""
        listed = self.payment(order)
        if listed is None:
            return self
        left, gone = listed.parted(payment)
        after, there = self.with_payment(order, left), self.payment(theirs)
        return after.with_payment(theirs, gone if there is None else there.joined(gone))

    def without_payment(self, order: str) -> Profile:
        """The record without a payment, and `paid` without its amount."""
        payment = self.payment(order)
        if payment is None:
            return self
        rest = {key: written for key, written in self.payments.items() if key != order}
        currency = payment.currency
        paid = {**self.paid, currency: self.paid.get(currency, 0) - payment.left} if payment.left else self.paid
        return replace(self, paid=paid, payments=rest)

    def unlisted(self, currency: str) -> int:
        """The part of `paid` in a currency that is not from listed payments, in minor units."""
        listed = sum(
            payment.left
            for _, payment in self.listed_payments()
            if payment.currency == currency and payment.total is not None
        )
        return self.paid.get(currency, 0) - listed

    def with_discounts(self, coupons: Mapping[str, str], by_id: Mapping[str, str]) -> Profile:
        """The record with these coupons, as written, by the id of their discount; the newest DISCOUNTS are kept.

        `by_id` are known coupons, as written, with what no webhook states of them.
        """
        if not (coupons or self.discounts):
            return self
        known, found = Remembered(frozenset(self.discounts.items()), frozenset(by_id.items())), dict[str, str]()
        for discount, written in self.discounts.items():
            stated = coupon_from(written)
            if stated is None or stated.id in by_id:
                content = known.content(discount, written)
                if content is not None and content.written != written:
                    found[discount] = content.written
        for discount, written in coupons.items():
            content = known.content(discount, written)
            if content is not None or discount not in self.discounts:
                found[discount] = written if content is None else content.written
        if not found.items() - self.discounts.items():
            return self
        kept = {**{name: one for name, one in self.discounts.items() if name not in found}, **found}
        return replace(self, discounts=dict([*kept.items()][-DISCOUNTS:]))

    @property
    def named_coupons(self) -> list[str]:
        """Ids of coupons that a discount names and of which nothing else is known."""
        return named_only(self.discounts)

    def converted(self, subscription_id: str) -> Profile:
        """The record once the conversion of a subscription's trial has been stated."""
        record = self.subscriptions[subscription_id]
        converted = replace(record, converted=self.invoiced[subscription_id])
        invoiced = {name: made for name, made in self.invoiced.items() if name != subscription_id}
        return replace(self, subscriptions={**self.subscriptions, subscription_id: converted}, invoiced=invoiced)

    def with_card(self, method_id: str, as_of: Watermark, expires: int | None) -> Profile:
        """The record with a card's expiry (None: the card was removed), unless a newer state of the card is known."""
        known = self.cards.get(method_id, (0, 0, NEVER_SEEN))
        if (known[0], known[1]) > as_of:
            return self
        gone = NEVER_SEEN if known[2] == NEVER_SEEN else REMOVED
        cards = {**self.cards, method_id: (*as_of, gone if expires is None else expires)}
        return replace(self, cards=most(cards, CARDS, lambda card: (card[0], card[1])))

    @property
    def knows_cards(self) -> bool:
        """Whether any event has shown a card of the customer."""
        return any(card[2] != NEVER_SEEN for card in self.cards.values())

    @property
    def card_expires_at(self) -> int | None:
        """The expiry of the newest card, in epoch seconds; None where no card is left."""
        left = [tuple(card) for card in self.cards.values() if card[2] > 0]
        return max(left)[2] if left else None

    def failed_attempts(self) -> Iterator[FailedAttempt]:
        """The newest failed attempts at payments."""
        return map(FailedAttempt.read, self.failed)

    def with_failed_attempt(self, attempt: FailedAttempt) -> Profile:
        """The record with this attempt added, or put in place of the one that shares a key with it."""
        others = [one for one in self.failed_attempts() if not {*one.keys} & {*attempt.keys}]
        newest = sorted((*others, attempt), key=lambda one: one.at)[-FAILED_ATTEMPTS:]
        return replace(self, failed=tuple(one.written() for one in newest))

    def with_delivered(self, dedup_keys: Iterable[str], day: int) -> Profile:
        """The record with these deduplication keys in its ledger; a key that is there already keeps its first day."""
        new = dict.fromkeys(dedup_keys, day)
        return replace(self, ledger={**new, **self.ledger}) if new else self

    def with_claim(self, dedup_key: str, claim: Claim, day: int, **delivery: Any) -> Profile:
        """The record with the claim of an event; the claimed tracks of an earlier attempt stay as they were.

        `delivery` and `lease_until` name the delivery that sends them.
        """
        known = self.claims.get(dedup_key, UNTRIED)
        first = known.given_up or not known.tracks
        claim = Claim(
            claim.tracks if first else known.tracks,
            shows=known.shows or claim.shows,
            joins=known.joins or claim.joins,
            groups=known.groups or claim.groups,
            left_user=known.left_user or claim.left_user,
            left_group=known.left_group or claim.left_group,
            kinds=claim.kinds if first else known.kinds,
            day=known.day or day,
            tries=known.tries + 1,
        )
        return replace(self, claims={**self.claims, dedup_key: claim}, summed=self.summed or day, **delivery)

    @cached_property
    def live(self) -> list[SubscriptionRecord]:
        """The live subscriptions, the largest monthly value first, and then by what they are."""
        live = [(key, record) for key, record in self.subscriptions.items() if record.live]
        ordered = sorted(live, key=lambda entry: (entry[1].place, entry[0]))
        return [record for _, record in ordered]

    @property
    def leading(self) -> SubscriptionRecord | None:
        """The subscription whose status stands for the customer: the largest live one, else the newest of all."""
        if not self.subscriptions:
            return None
        return self.live[0] if self.live else max(self.subscriptions.values(), key=lambda record: record.as_of)


# A copy, which takes half the memory of what its fields were set in, and half the time to be copied.
_NEW = replace(Profile(""))


def new_profile(key: str) -> Profile:
    """The record of a customer of whom nothing is known, in a tenth of the time that its fields take one by one."""
    return replace(_NEW, key=key)


def _rest_of(written: JsonObject) -> int | None:
    """What the listed parts of a payment have not paid of it; the whole where there are none."""
    total: int | None = written.get("total")
    paid: int = sum(part["amount"] for part in written.get("parts", {}).values())
    return None if total is None else total - paid


def most[T](entries: Mapping[str, T], number: int, rank: Callable[[T], SupportsRichComparison]) -> dict[str, T]:
    """At most this many of the entries, those of the highest rank first."""
    return dict(sorted(entries.items(), key=lambda entry: rank(entry[1]), reverse=True)[:number])
