"""After any failure, the records' sums of what was sent are the sums of what Segment received."""

from __future__ import annotations

import json
from collections import Counter
from copy import replace
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stripe_to_segment.settings import settings_from
from stripe_to_segment.state.prune import pruned
from stripe_to_segment.state.settle import settled
from stripe_to_segment.state.sums import sent_in
from stripe_to_segment.stripe_side.money import digits
from tests.simulator import laws
from tests.simulator.at_once import LOSSES, at_once
from tests.simulator.history import a_history
from tests.simulator.imported import LEVELS, cut
from tests.simulator.till import DAY, a_till
from tests.simulator.weather import through_lost_records, through_outages, through_refusals
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from stripe_to_segment.state.memory_store import MemoryStore

PAYMENTS = {"Order Completed", "Subscription Renewed", "Invoice Paid", "Invoice Payment Received"}
PAID, MRR, REFUNDED, DISPUTED = range(4)


def heard(calls: Iterable[Mapping[str, Any]]) -> Counter[tuple[int, str, str]]:
    """What Segment received, each messageId once, in minor units by column, month and currency, without zeros."""
    sums: Counter[tuple[int, str, str]] = Counter()
    seen, disputes = set[str](), set[str]()
    for call in calls:
        told = call.get("properties", {})
        if call["messageId"] in seen or "currency" not in told:
            continue
        seen.add(call["messageId"])
        name, month, currency = call["event"], call["timestamp"][:7], told["currency"].lower()
        found: dict[int, Any] = {}
        if name in PAYMENTS:
            found[PAID] = told["total"]
        elif name in {"Order Refunded", "Refund Failed"}:
            found[REFUNDED] = told["total"] if name == "Order Refunded" else -told["total"]
        elif name == "Payment Disputed" or ("import" in call["context"]["stripe"] and name.startswith("Dispute ")):
            # For a dispute that is over an import sends the end, also if its opening was sent.
            found[DISPUTED] = told["value"] if told["dispute_id"] not in disputes else 0
            disputes.add(told["dispute_id"])
        if "mrr_change" in told:
            found[MRR] = told["mrr_change"]
        for column, amount in found.items():
            sums[column, month, currency] += int(Decimal(str(amount)).scaleb(digits(currency)))
    return Counter({key: amount for key, amount in sums.items() if amount})


def written(store: MemoryStore) -> Counter[tuple[int, str, str]]:
    """The sums of all records, each settled by its last receipt."""
    sums: Counter[tuple[int, str, str]] = Counter()
    for profile in store.profiles.values():
        receipt = None if profile.moved_to else store.known_receipts.get(profile.delivery)
        for each in sent_in((settled(profile, receipt) if receipt else profile).sent):
            sums[each.column, each.month, each.currency] += each.amount
    return Counter({key: amount for key, amount in sums.items() if amount})


def all_time(sums: Counter[tuple[int, str, str]]) -> dict[tuple[int, str], int]:
    """The same for all months together: older ones are kept as one."""
    found: Counter[tuple[int, str]] = Counter()
    for (column, _, currency), amount in sums.items():
        found[column, currency] += amount
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize("through", [through_outages, through_lost_records, through_refusals])
@given(seed=st.integers(0, 10**9), mixed=st.booleans())
@settings(max_examples=settings().max_examples * 3 // 10)
@example(seed=1, mixed=True)
# Two events of one batch state the same change; the call of the first is sent.
@example(seed=14730, mixed=False)
def test_through_failures_each_call_that_arrived_counts_once(
    through: Callable[..., laws.Ours], seed: int, *, mixed: bool
) -> None:
    ours = through(a_history(seed), seed, mixed=mixed)
    assert all_time(written(ours.store)) == all_time(heard(ours.calls))


@given(seed=st.integers(0, 10**9))
@settings(max_examples=settings().max_examples // 2)
# A batch died after it had marked a payment's record as taken over, and before it wrote the customer's record: the next
# one took over the claims as calls that do not count.
@example(seed=29)
@example(seed=38)
def test_from_several_functions_at_once_that_lose_writes_each_call_that_arrived_counts_once(seed: int) -> None:
    till = a_till(Random(seed), payments=4)
    ours = at_once([event.body for event in till.events], Random(f"at once {seed}"), LOSSES)
    assert all_time(written(ours.store)) == all_time(heard(ours.calls))


@given(seed=st.integers(0, 10**9), order=st.integers(0, 10**9), level=st.sampled_from(LEVELS))
@settings(max_examples=settings().max_examples // 2)
# An event stated the opening of a dispute, and the import its end.
@example(seed=175241, order=175241, level="history")
# The end of a listed dispute came as an event, before the import stated its opening.
@example(seed=7955, order=7955, level="history")
def test_an_import_of_any_level_counts_what_it_sent(seed: int, order: int, level: str) -> None:
    till = a_till(Random(seed), payments=4)
    world = World(PAYMENT_HOLD_SECONDS="300")
    world.now = till.moments[-1].at + 2 * DAY
    for batch in cut([event.body for event in till.events], Random(order), level).batches:
        world.batch(*map(json.dumps, batch))
    assert all_time(written(world.store)) == all_time(heard(world.calls))  # type: ignore[arg-type]


@given(seed=st.integers(0, 10**9))
@settings(max_examples=settings().max_examples * 3 // 10)
def test_the_newest_months_are_kept_apart(seed: int) -> None:
    history = a_history(seed)
    ours = laws.Ours(history.events[0]["created"])
    for event in history.events:
        ours.deliver([event])
    found, told = written(ours.store), heard(ours.calls)
    months = {month for _, month, _ in found} - {"earlier"}
    assert len({month for profile in ours.store.profiles.values() for month in profile.sent}) <= 14 * 3
    assert all(found[key] == told[key] for key in told if key[1] in months and key[1] > min(months))
    assert all_time(found) == all_time(told)


def test_a_renamed_a_changed_and_a_dropped_call_count_as_they_were_sent() -> None:
    renames = '{"Order Completed": "Refund Failed", "Order Refunded": "Order Completed"}'
    holds = {"IDENTITY_HOLD_SECONDS": "0", "PAYMENT_HOLD_SECONDS": "0"}
    chosen = settings_from({"RENAME_EVENTS": renames, "DROP_EVENTS": "Invoice Paid", **holds})
    for seed in range(settings().max_examples // 5):
        history = a_history(seed)
        plain, ours = (laws.Ours(history.events[0]["created"], settings=one) for one in (laws.SETTINGS, chosen))
        for each in (plain, ours):
            for event in history.events:
                each.deliver([event])
        expected = heard(call for call in plain.calls if call.get("event") != "Invoice Paid")
        assert all_time(written(ours.store)) == all_time(expected)


def test_nothing_is_counted_where_nothing_is_remembered() -> None:
    world = World()
    world.remembers = False
    history = a_history(3)
    world.batch(*map(json.dumps, history.events))
    assert world.calls
    assert world.profiles == {}


def test_a_claim_whose_receipt_has_expired_counts_as_arrived_once() -> None:
    history = a_history(3)
    ours = laws.Ours(history.events[0]["created"])
    for event in history.events:
        ours.deliver([event])
        # What was written down is gone before anybody looks.
        ours.store.known_receipts.clear()
        ours.frozen_at += 41 * DAY
        for key, profile in ours.store.profiles.items():
            ours.store.profiles[key] = replace(pruned(profile, int(ours.frozen_at) // DAY), delivery="")
    assert all_time(written(ours.store)) == all_time(heard(ours.calls))
