"""The interface of the store between invocations, what a batch reads from it, and what it adds to it."""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from stripe_to_segment.state.circuit import Circuit
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.person import Person
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.objects import Lookup

__all__ = ["OPT_OUT", "Learnt", "Memory", "Store", "each_once"]

DAY = 86_400
# An order is kept for three years from when it was written last: later than this it is written again.
LATELY = 30 * DAY
# The kind of a Learnt about a person, whose value is "true" or "false".
OPT_OUT = "opt_out"


@dataclass(slots=True)
class Memory:
    """The items loaded for a batch, by full key; a missing key is not known.

    `orders` maps a payment (or invoice) to its order, which is the payment itself until an invoice is known; `owners`
    maps it to the record of the customer who paid, `stored_owners` to the one that was read; `asked` are the payments
    of which these were read, stored or not, and `alone` those whose order was stored as the payment itself. `siblings`
    are other records of the same users, read only. `read` holds answers of the Stripe API. `unreadable` is the reason,
    by kind and key, why a stored item cannot be read. `as_of` is the epoch second, by kind and key, as of which an
    order, a product's name or a coupon is true.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    stored_owners: dict[str, str] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    alone: set[str] = field(default_factory=set)
    product_names: dict[str, str] = field(default_factory=dict)
    coupons: dict[str, str] = field(default_factory=dict)
    siblings: dict[str, Profile] = field(default_factory=dict)
    read: dict[Lookup, Any] = field(default_factory=dict)
    unreadable: dict[tuple[str, str], str] = field(default_factory=dict)
    as_of: dict[tuple[str, str], int] = field(default_factory=dict)
    circuits: dict[str, Circuit] = field(default_factory=dict)

    def learn(self, fact: Learnt) -> None:
        """Note a fact for the next events of the batch; an order that is known to be an invoice's stays so."""
        if fact.kind != "order" or fact.names_another or fact.key not in self.orders:
            self.learnt(fact.kind)[fact.key] = fact.value
        if fact.kind == "order" and fact.owner:
            self.owners[fact.key] = fact.owner

    def agreed(self, fact: Learnt) -> Learnt:
        """The fact as it is written after what was read.

        It names the invoice that the payment is known to have paid, and the owner that it may replace.
        """
        if fact.kind != "order":
            return fact
        known = self.orders.get(fact.key)
        if fact.key in self.asked:
            fact = replace(
                fact, instead_of=self.stored_owners.get(fact.key, ""), instead_of_itself=fact.key in self.alone
            )
        if fact.names_another or known is None or known == fact.value:
            return fact
        return replace(fact, value=known, as_of=self.as_of.get((fact.kind, fact.key), fact.as_of))

    def needs(self, fact: Learnt) -> bool:
        """Whether a fact has to be written: not an order that was stored lately and stays as it is."""
        stored = self.as_of.get((fact.kind, fact.key))
        if fact.kind != "order" or stored is None or fact.as_of - stored >= LATELY:
            return True
        known = Learnt("order", fact.key, self.orders[fact.key], stored, self.owners.get(fact.key, ""))
        return replace(fact.over(known), as_of=stored) != known

    def learnt(self, kind: str) -> dict[str, str]:
        """The values of a kind: order, product or coupon."""
        return {"order": self.orders, "product": self.product_names, "coupon": self.coupons}[kind]


@frozen
class Learnt:
    """A product name, a coupon, a payment's order, a person's opt-out or a bookmark, true as of an epoch second.

    `owner` is the key of the record that must not be written before this fact, empty where there is none. For an order
    it is the record of the customer who paid, `instead_of` the owner that was read: only this owner is replaced. None
    if no owner was read; then any owner is replaced. `instead_of_itself` says that the order was read as the payment
    itself: only then an invoice may take its place, because the owner's record may hold the payment as an order.
    """

    kind: str
    key: str
    value: str
    as_of: int
    owner: str = ""
    instead_of: str | None = field(default=None, compare=False)
    instead_of_itself: bool = field(default=False, compare=False)

    @property
    def names_another(self) -> bool:
        """Whether the order is the invoice that the payment paid, and not the payment itself."""
        return self.value != self.itself

    @property
    def itself(self) -> str:
        """The id of the payment."""
        return self.key.rpartition(":")[2]

    @property
    def joins_late(self) -> bool:
        """Whether it names the invoice of a payment that was stored as an order of its own."""
        return self.kind == "order" and self.names_another and self.instead_of_itself

    def missed(self, stored: str) -> bool:
        """Whether another batch has meanwhile stored the invoice that the payment paid, or the payment as an order."""
        if self.instead_of is None:
            return False
        return stored == self.itself and not self.instead_of_itself if self.names_another else stored != self.value

    def may_own_after(self, stored: str) -> bool:
        """Whether its owner may take the place of the stored one: where none is, or the batch knew of it."""
        return not self.owner or self.instead_of is None or stored in {"", self.owner, self.instead_of}

    def over(self, known: Learnt | None) -> Learnt:
        """The better of two statements about an order: an invoice before the payment itself, then the newer one.

        A known owner is kept.
        """
        if known is None:
            return self
        ranks = [(one.names_another, one.as_of) for one in (known, self)]
        better, other = (known, self) if ranks[0] > ranks[1] else (self, known)
        return replace(better, owner=self.owner or known.owner) if better.owner != other.owner else better


def each_once(learnt: Iterable[Learnt]) -> list[Learnt]:
    """The facts of one batch as they are written: the newest of those with one key."""
    newest: dict[tuple[str, str], Learnt] = {}
    for fact in sorted(learnt, key=lambda fact: fact.as_of):
        known = newest.get((fact.kind, fact.key))
        newest[fact.kind, fact.key] = fact.over(known) if fact.kind == "order" else fact
    return [*newest.values()]


class Store(Protocol):
    """The store between invocations."""

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Load the items with these kinds and keys: profile, order, product, coupon or circuit.

        Raises StoreUnavailableError.
        """

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write learnt facts, then records whose version is still the one read; returns the errors by key."""

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """The receipts of these deliveries; one without a receipt is left out. Raises StoreUnavailableError."""

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write the receipt of a delivery. Raises StoreUnavailableError."""

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit if the stored one is still `seen`; returns whether it was. Raises StoreUnavailableError."""

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """The stored persons with these keys. Raises StoreUnavailableError."""

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Add records to their persons, given as pairs of person and record; returns the persons afterwards.

        A person that has MOST_RECORDS records already takes no more. Raises StoreUnavailableError.
        """

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Remove records from their persons. Raises StoreUnavailableError."""

    def claim(self, persons: Mapping[str, Person], delivery: str, lease_until: int) -> dict[str, Exception]:
        """Claim these persons for a delivery, if their version and records are still those read.

        Their payments as a guest are written too. Returns the errors by key.
        """

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person, also those not written yet; returns the new version of each marked one.

        A record that cannot be read is left as it is. Raises StoreUnavailableError.
        """
