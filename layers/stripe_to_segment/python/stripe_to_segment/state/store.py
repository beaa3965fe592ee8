"""What the core sees of what is kept between invocations, and the StateTable's twin in memory."""

from __future__ import annotations

from copy import replace
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stripe_to_segment.errors import StoreConflictError
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.person import MOST_RECORDS, Person
from stripe_to_segment.state.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.stripe_side.fields import JsonObject
    from stripe_to_segment.stripe_side.objects import Lookup

__all__ = ["OPT_OUT", "Learnt", "Memory", "MemoryStore", "Store"]

DAY = 86_400
# The kind of what is learnt of a person: "true" or "false".
OPT_OUT = "opt_out"


@dataclass(slots=True)
class Memory:
    """What a batch needs to know, by full key; missing keys are not known. `read` is what the Stripe API told.

    `orders` say by payment (or invoice) which order it is, itself where no other is known; `owners` the key of the
    record of the customer who paid it. `siblings` are records of the same users that no event is about; nothing is
    written of them. `unreadable` says of items that are there, by kind and key, why they cannot be read. `as_of` says,
    by kind and key, as of which epoch second an order, a product's name or a coupon is true.
    """

    profiles: dict[str, Profile] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    product_names: dict[str, str] = field(default_factory=dict)
    coupons: dict[str, str] = field(default_factory=dict)
    siblings: dict[str, Profile] = field(default_factory=dict)
    read: dict[Lookup, JsonObject] = field(default_factory=dict)
    unreadable: dict[tuple[str, str], str] = field(default_factory=dict)
    as_of: dict[tuple[str, str], int] = field(default_factory=dict)
    circuits: dict[str, Circuit] = field(default_factory=dict)

    def learn(self, fact: Learnt) -> None:
        """What was just learnt serves the next event; an order that is known for another's stays that one's."""
        if fact.kind != "order" or fact.names_another or fact.key not in self.orders:
            self.learnt(fact.kind)[fact.key] = fact.value
        if fact.kind == "order" and fact.owner:
            self.owners[fact.key] = fact.owner

    def learnt(self, kind: str) -> dict[str, str]:
        """What is known of a kind: order, product or coupon."""
        return {"order": self.orders, "product": self.product_names, "coupon": self.coupons}[kind]


@dataclass(frozen=True, slots=True)
class Learnt:
    """A product name, a coupon, a payment's order, a person's opt-out or a bookmark, true as of an epoch second.

    `owner` is the key of the record that must not be written before it, empty where there is none; of an order it is
    the record of the customer who paid it.
    """

    kind: str
    key: str
    value: str
    as_of: int
    owner: str = ""

    @property
    def names_another(self) -> bool:
        """Whether an order is more than the payment itself: then the invoice that it paid is known."""
        return not self.key.endswith(f":{self.value}")

    def over(self, known: Learnt | None) -> Learnt:
        """What is known of an order once both are: an invoice over the payment itself, then the newer.

        An owner stays.
        """
        if known is None:
            return self
        ranks = [(one.names_another, one.as_of) for one in (known, self)]
        better, other = (known, self) if ranks[0] > ranks[1] else (self, known)
        return replace(better, owner=self.owner or known.owner) if better.owner != other.owner else better


class Store(Protocol):
    """What is kept between invocations."""

    def load(
        self,
        profiles: Iterable[str],
        orders: Iterable[str],
        product_names: Iterable[str],
        circuits: Collection[str] = (),
        coupons: Iterable[str] = (),
    ) -> Memory:
        """Everything known under these keys, and these circuits. Raises StoreUnavailableError."""

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write what was learnt, then records whose version is still the one read; gives the errors by key."""

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """What became of these deliveries, as far as it was written down. Raises StoreUnavailableError."""

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write down what became of a delivery. Raises StoreUnavailableError."""

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit down if it is still as seen; gives whether it was. Raises StoreUnavailableError."""

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """What is remembered of these persons. Raises StoreUnavailableError."""

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Tie records to persons, given as pairs of person and record; gives the persons then known.

        A person with MOST_RECORDS records keeps those it has. Raises StoreUnavailableError.
        """

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Untie records from persons. Raises StoreUnavailableError."""

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:
        """Mark records as sharing their person, those not written yet too; gives the new versions of those marked.

        One that cannot be read is left as it is. Raises StoreUnavailableError.
        """


class MemoryStore:
    """The twin for tests and for `explain`: the same conditions, in a dict."""

    def __init__(self) -> None:
        self.profiles: dict[str, Profile] = {}
        self.learnt: dict[tuple[str, str], Learnt] = {}
        self.last_circuits: dict[str, Circuit] = {}
        self.known_receipts: dict[str, Receipt] = {}
        self.known_persons: dict[str, Person] = {}

    def load(
        self,
        profiles: Iterable[str],
        orders: Iterable[str],
        product_names: Iterable[str],
        circuits: Collection[str] = (),
        coupons: Iterable[str] = (),
    ) -> Memory:
        """Everything known under these keys, and these circuits."""
        kinds = (("order", orders), ("product", product_names), ("coupon", coupons))
        wanted = [(kind, key) for kind, keys in kinds for key in keys]
        known = [self.learnt[entry] for entry in wanted if entry in self.learnt]
        memory = Memory(
            {key: self.profiles[key] for key in profiles if key in self.profiles},
            as_of={(fact.kind, fact.key): fact.as_of for fact in known},
            circuits=self.circuits(circuits),
        )
        for fact in known:
            memory.learnt(fact.kind)[fact.key] = fact.value
            if fact.kind == "order" and fact.owner:
                memory.owners[fact.key] = fact.owner
        return memory

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write records whose version is still the one read."""
        errors: dict[str, Exception] = {}
        for profile in profiles:
            stored = self.profiles.get(profile.key)
            if (stored.version if stored else 0) != profile.version:
                errors[profile.key] = StoreConflictError(profile.key)
            else:
                kept = profile.pruned(int(now) // DAY)
                self.profiles[profile.key] = replace(kept, version=profile.version + 1)
        for fact in learnt:
            if fact.kind == OPT_OUT:
                self._learn_opt_out(fact)
                continue
            known = self.learnt.get((fact.kind, fact.key))
            if fact.kind == "order":
                self.learnt[fact.kind, fact.key] = fact.over(known)
            elif known is None or known.as_of <= fact.as_of:
                self.learnt[fact.kind, fact.key] = fact
        return errors

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """What became of these deliveries, as far as it was written down."""
        return {name: self.known_receipts[name] for name in deliveries if name in self.known_receipts}

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:  # noqa: ARG002 - nothing expires here
        """Write down what became of a delivery."""
        self.known_receipts[delivery] = receipt

    def circuits(self, names: Collection[str]) -> dict[str, Circuit]:
        """These circuits as they were written down last."""
        return {name: self.last_circuits.get(name, Circuit()) for name in names}

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:  # noqa: ARG002 - nothing expires here
        """Write a circuit down if it is still as seen."""
        if self.last_circuits.get(name, Circuit()) != seen:
            return False
        self.last_circuits[name] = circuit
        return True

    def persons(self, keys: Collection[str]) -> dict[str, Person]:
        """What is remembered of these persons."""
        return {key: self.known_persons[key] for key in keys if key in self.known_persons}

    def tie(self, pairs: Collection[tuple[str, str]]) -> dict[str, Person]:
        """Tie records to persons, given as pairs of person and record; gives the persons then known."""
        for key, record in pairs:
            person = self.known_persons.get(key, Person())
            if len(person.records) < MOST_RECORDS:
                self.known_persons[key] = replace(person, records=person.records | {record})
        return {key: self.known_persons[key] for key, _ in pairs}

    def untie(self, pairs: Collection[tuple[str, str]]) -> None:
        """Untie records from persons."""
        for key, record in pairs:
            if (person := self.known_persons.get(key)) is not None:
                left = replace(person, records=person.records - {record}, marked=person.marked - {record})
                self.known_persons[key] = left

    def share(self, person: str, records: Collection[str], now: float) -> dict[str, int]:  # noqa: ARG002 - nothing expires here
        """Mark records as sharing their person, those not written yet too; gives their new versions."""
        for key in records:
            profile = self.profiles.get(key, Profile(key))
            self.profiles[key] = replace(profile, shared=True, version=profile.version + 1)
        known = self.known_persons[person]
        self.known_persons[person] = replace(known, marked=known.marked | {*records})
        return {key: self.profiles[key].version for key in records}

    def _learn_opt_out(self, fact: Learnt) -> None:
        known = self.known_persons.get(fact.key, Person())
        if known.opted_out is None or known.as_of <= fact.as_of:
            self.known_persons[fact.key] = replace(known, opted_out=fact.value == "true", as_of=fact.as_of)

    def bookmark(self, name: str) -> int | None:
        """How far something has come, in epoch seconds, or None before its first time."""
        found = self.learnt.get(("bookmark", name))
        return None if found is None else found.as_of

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Note how far something has come; it never goes back."""
        self.save([], [Learnt("bookmark", name, str(second), second)], now)
