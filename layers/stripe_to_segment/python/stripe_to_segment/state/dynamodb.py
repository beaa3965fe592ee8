"""The store in DynamoDB: customers' records, receipts, circuits, and facts such as product names and orders.

Keys carry account and mode, so no two of them ever mix.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StoreConflictError, UnreadableRecordError
from stripe_to_segment.reasons import Reason
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.claim import Receipt
from stripe_to_segment.state.encoding import (
    circuit_from,
    circuit_item,
    expiry,
    fact_from,
    fact_item,
    kept_from,
    key_of,
    pk,
    profile_from,
    profile_item,
    receipt_from,
    receipt_item,
)
from stripe_to_segment.state.person import Person
from stripe_to_segment.state.prune import pruned
from stripe_to_segment.state.store import DAY, OPT_OUT, Learnt, Memory, each_once
from stripe_to_segment.state.stored_persons import StoredPersons, errors_of
from stripe_to_segment.state.table import NO_NEWER, OURS, ConditionFailedError, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from stripe_to_segment.state.encoding import Attributes, Kept
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.table import Condition

__all__ = ["DynamoStore"]

# The number of receipts that are cached in memory.
RECEIPTS = 500
# The names of products and prices that are cached in memory, and for how many seconds: few change, and most events ask.
NAMES, NAME_SECONDS = 500, 300


class DynamoStore(StoredPersons):
    """The StateTable itself.

    Parameters
    ----------
    client
        A low-level boto3 DynamoDB client.
    table
        The table's name; its key is `pk`, its time-to-live attribute `expires_at`.
    pause, clock
        Wait for some seconds; the time in epoch seconds, by which cached names grow old.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        *,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(Table(client, table, pause=pause))
        self._clock = clock
        self._receipts: dict[str, Receipt] = {}
        # Each with the second as of which it is true, and the one at which it was read.
        self._names: dict[str, tuple[str, int, float]] = {}

    def load(self, keys: Collection[tuple[str, str]]) -> Memory:
        """Load the items with these kinds and keys, with one BatchGetItem for each hundred of them.

        A name that was read less than NAME_SECONDS ago is not read again.
        """
        memory, now = Memory(asked={key for kind, key in keys if kind == "order"}), self._clock()
        memory.circuits |= {name: Circuit() for kind, name in keys if kind == "circuit"}
        wanted = {pk(kind, key) for kind, key in keys if kind != "product" or not self._recall_name(key, memory, now)}
        for item in self._table.get(sorted(wanted)):
            kind, key = key_of(item)
            try:
                if kind == "profile":
                    memory.profiles[key] = profile_from(item)
                elif kind == "circuit":
                    memory.circuits[key] = circuit_from(item)
                else:
                    memory.learnt(kind)[key], memory.as_of[kind, key] = value, as_of = fact_from(item)
                    if kind == "product":
                        _keep(self._names, key, (value, as_of, now), NAMES)
                    if owner := item.get("owner", {}).get("S"):
                        memory.owners[key] = memory.stored_owners[key] = owner
                    if kind == "order" and key.endswith(f":{value}"):
                        memory.alone.add(key)
            except UnreadableRecordError as error:
                # A circuit that cannot be read stays closed: batches go on sending.
                memory.unreadable[kind, key] = error.reason
        return memory

    def _recall_name(self, key: str, memory: Memory, now: float) -> bool:
        """Whether the name of a product or a price was read lately; it then is in the memory."""
        if key not in self._names:
            return False
        name, as_of, read = self._names[key]
        if not read <= now < read + NAME_SECONDS:
            return False
        memory.product_names[key], memory.as_of["product", key] = name, as_of
        return True

    def save(self, profiles: Sequence[Profile], learnt: Sequence[Learnt], now: float) -> dict[str, Exception]:
        """Write each record if its version is still the one read, and each learnt fact unless a newer one is stored."""
        # Learnt facts are written first: once the record counts the event as done, nothing writes them again.
        errors = errors_of((fact.key, self._pool.submit(self._put_learnt, fact, now)) for fact in each_once(learnt))
        if errors:
            errors |= {fact.owner: errors[fact.key] for fact in learnt if fact.owner and fact.key in errors}
        written = [profile for profile in profiles if profile.key not in errors]
        return errors | errors_of((each.key, self._pool.submit(self._put_profile, each, now)) for each in written)

    def everything(self) -> Iterator[Kept]:
        """Every item about a customer. This scans the whole table, so only `audit` and the command line use it.

        Raises StoreUnavailableError.
        """
        yield from filter(None, map(kept_from, self._table.scan()))

    def delete(self, kind: str, key: str) -> None:
        """Delete an item of a kind. Raises StoreUnavailableError."""
        self._table.delete(pk(kind, key))

    def receipts(self, deliveries: Collection[str]) -> dict[str, Receipt]:
        """The receipts of these deliveries; one without a receipt is left out. Raises StoreUnavailableError."""
        found = {name: self._receipts[name] for name in deliveries if name in self._receipts}
        for item in self._table.get(sorted(pk("receipt", name) for name in deliveries if name not in found)):
            _, name = key_of(item)
            try:
                found[name] = receipt_from(item)
                _keep(self._receipts, name, found[name], RECEIPTS)
            except UnreadableRecordError as error:
                # A broken receipt counts as none: the next batch sends the claimed calls again, and Segment drops the
                # repeats. Where a newer release wrote it, the events wait for a release that can read it.
                if error.reason == Reason.NEWER_RECORD:
                    found[name] = Receipt(unreadable=error.reason)
        return found

    def put_receipt(self, delivery: str, receipt: Receipt, now: float) -> None:
        """Write the receipt of a delivery. Raises StoreUnavailableError."""
        # No condition: only the batch that sent the delivery writes its receipt.
        self._table.put(receipt_item(delivery, receipt, now), {})
        # It never changes, and mostly the environment that wrote it reads it.
        _keep(self._receipts, delivery, receipt, RECEIPTS)

    def circuits(self, names: Collection[str]) -> dict[str, Circuit]:
        """The stored state of these circuits. Raises StoreUnavailableError."""
        return self.load([("circuit", name) for name in names]).circuits

    def put_circuit(self, name: str, circuit: Circuit, seen: Circuit, now: float) -> bool:
        """Write a circuit if the stored one is still `seen`; returns whether it was. Raises StoreUnavailableError."""
        item: Attributes = {"pk": {"S": pk("circuit", name)}, **circuit_item(circuit), "expires_at": expiry(now, 1)}
        known = {name: value for name, value in circuit_item(seen).items() if name != "format"}
        same = " AND ".join(f"#{field} = :{field}" for field in known)
        condition: Condition = {
            "ConditionExpression": same if seen.failures else f"attribute_not_exists(pk) OR ({same})",
            "ExpressionAttributeNames": {f"#{field}": field for field in known},
            "ExpressionAttributeValues": {f":{field}": value for field, value in known.items()},
        }
        return self._table.put(item, condition)

    def began(self) -> int:
        """The epoch second at which the table, and so the stack, was created. Raises StoreUnavailableError."""
        return self._table.created()

    def bookmark(self, name: str) -> int | None:
        """The position of a repeated job in epoch seconds, None before its first run.

        Raises StoreUnavailableError, UnreadableRecordError.
        """
        found = next(self._table.get([pk("bookmark", name)]), None)
        return None if found is None else fact_from(found)[1]

    def put_bookmark(self, name: str, second: int, now: float) -> None:
        """Save the position of a repeated job; it never moves back. Raises StoreUnavailableError."""
        self._put_learnt(Learnt("bookmark", name, str(second), second), now)

    def _put_profile(self, profile: Profile, now: float) -> None:
        profile = pruned(profile, int(now) // DAY)
        item = profile_item(profile, now)
        condition: Condition = {"ConditionExpression": "attribute_not_exists(pk)"}
        if profile.version:
            condition = {
                "ConditionExpression": "version = :read",
                "ExpressionAttributeValues": {":read": {"N": str(profile.version)}},
            }
        if not self._table.put(item, condition):
            raise StoreConflictError(profile.key)

    def _put_learnt(self, fact: Learnt, now: float) -> None:
        if fact.kind == OPT_OUT:
            self._put_opt_out(fact)
            return
        if fact.kind == "order":
            self._put_order(fact, now)
            return
        newer: Condition = {
            "ConditionExpression": " AND ".join(f"({each})" for each in NO_NEWER.values()),
            "ExpressionAttributeNames": {f"#{name}": name for name in NO_NEWER},
            "ExpressionAttributeValues": {":as_of": {"N": str(fact.as_of)}, **OURS},
        }
        self._names.pop(fact.key, None)
        # Where the condition fails, something newer is stored already.
        self._table.put(fact_item(fact, now), newer)

    def _put_order(self, fact: Learnt, now: float) -> None:
        """Merge a learnt order into its item, as `Learnt.over` does.

        Raises StoreConflictError where the batch did not know of the invoice or the owner that is stored.
        """
        item = fact_item(fact, now)
        values = {f":{name}": value for name, value in item.items() if name != "pk"}
        sets = [f"#{name} = :{name}" for name in ("format", "owner", "expires_at") if name in item]
        # The owner is always written; the order's id only where no better one is stored.
        which = [f"#{name} = if_not_exists(#{name}, :{name})" for name in ("value", "as_of")]
        conditions: list[str] = []
        if fact.names_another:
            values |= {":itself": {"S": fact.itself}}
            which = ["#value = :value", "#as_of = :as_of"]
            newer = "attribute_not_exists(#as_of) OR #as_of <= :as_of"
            unseen = fact.missed(fact.itself)
            conditions = (
                ["attribute_not_exists(#value) OR #value <> :itself", newer]
                if unseen
                else [f"{newer} OR #value = :itself"]
            )
        if fact.owner and fact.instead_of is not None:
            values |= {":instead_of": {"S": fact.instead_of}}
            conditions.append("attribute_not_exists(#owner) OR #owner = :owner OR #owner = :instead_of")
        try:
            stored = self._table.update(pk("order", fact.key), f"SET {', '.join([*which, *sets])}", values, *conditions)
        except ConditionFailedError:
            found = self.load([("order", fact.key)])
            if fact.may_own_after(found.owners.get(fact.key, "")) and not fact.missed(found.orders.get(fact.key, "")):
                # A newer invoice is stored already.
                return
            raise StoreConflictError(fact.key) from None
        if fact.missed(stored["value"]["S"]):
            raise StoreConflictError(fact.key)

    def _put_opt_out(self, fact: Learnt) -> None:
        said: Attributes = {":said": {"BOOL": fact.value == "true"}, ":as_of": {"N": str(fact.as_of)}}
        try:
            # No `expires_at`: an opt-out never expires.
            self._table.update(
                pk("person", fact.key),
                "SET #format = :format, #opted_out = :said, #as_of = :as_of",
                said,
                NO_NEWER["as_of"],
            )
        except ConditionFailedError:
            # Either a newer opt-out or consent is stored, or the stored person cannot be read.
            if why := self.persons([fact.key]).get(fact.key, Person()).unreadable:
                raise UnreadableRecordError(why) from None


def _keep[T](cache: dict[str, T], key: str, value: T, most: int) -> None:
    """Put a value into a cache, which keeps the latest."""
    cache[key] = value
    if len(cache) > most:
        del cache[next(iter(cache))]
