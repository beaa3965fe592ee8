"""`make truth`: what our calls sum up to beside what really happened, over many simulated customers.

CUSTOMERS and SEED choose how many and from which; any difference is named with the customer that shows it. Each of them
lives through bad weather too: outages, lost records and functions that die, calls that are refused and redriven. As
many shops' tills show each user's lifetime value beside the balance transactions, also where several functions deliver
one payment's events at once.

`--imported` (`make truth IMPORTED=1`) cuts them at random moments and imports them instead.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.simulator import tills
from tests.simulator.at_once import FAIR, LOSSES, OUTAGE
from tests.simulator.history import a_history
from tests.simulator.imported_truth import examine_cuts, report_of_cuts
from tests.simulator.laws import in_order, judged, replayed, shuffled_and_tripled
from tests.simulator.till import a_till, balance_of
from tests.simulator.weather import DOWN, faults_of_one_wording, through_lost_records, through_outages, through_refusals
from tests.simulator.worth import DIGITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.simulator.history import History

type Sums = Mapping[tuple[str, str], Decimal]

ORDERS = ("in order", "shuffled, tripled", "replayed")
MEASURES = ("revenue", "refunds", "mrr")
OUTAGES = "outages"
AT_ONCE = {"several functions at once": FAIR, "at once, through losses": LOSSES, "at once, through outages": OUTAGE}
STREAMS = Path(".local") / "truth"


@dataclass(slots=True)
class Result:
    """One customer: what happened, what our calls say in each order, and every law that was broken."""

    seed: int
    shape: str
    counts: dict[str, int]
    truth: Sums
    ours: dict[str, Sums] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)


def examine(seed: int) -> Result:
    """Simulate one customer and hold our calls against the truth."""
    history = a_history(seed)
    truth = history.truth
    counts = {
        "events": len(history.events) + 1,
        "payments": len(truth.payments),
        "refunds": len(truth.refunds),
        "subscriptions": len(truth.mrr),
    }
    result = Result(seed, history.shape, counts, truth.sums())
    unknown = {subscription for subscription, (_, minor) in truth.mrr.items() if minor is None}
    counts["with an unknown mrr"] = len(unknown)
    ordered = in_order(history)
    told = judged(history, ordered, ordered=True)
    result.ours["in order"] = ordered.sums(unknown)
    again = replayed(history, ordered)
    result.ours["replayed"] = ordered.sums(unknown)
    mixed = shuffled_and_tripled(history, seed)
    result.ours["shuffled, tripled"] = mixed.sums(unknown)
    faults = {"in order": told, "shuffled, tripled": judged(history, mixed, ordered=False), "replayed": again}
    for mixed_up in (False, True):
        about = f"through bad weather, {ORDERS[mixed_up]}"
        faults[about] = judged(history, through_outages(history, seed, mixed=mixed_up), ordered=not mixed_up)
        for through in (through_lost_records, through_refusals):
            faults[about] += faults_of_one_wording(history, through(history, seed, mixed=mixed_up), mixed=mixed_up)
    result.faults = [(order, fault) for order, those in faults.items() for fault in those]
    if result.faults:
        _keep(history)
    return result


def examine_till(seed: int) -> Result:
    """Simulate one shop's till and hold the lifetime values against the balance."""
    till = a_till(Random(seed))
    counts = {"events": len(till.events), "moments": len(till.moments)}
    result = Result(seed, "till", counts, _by_currency(tills.true(balance_of(till))))
    runs = {
        ORDERS[0]: tills.in_order(till),
        ORDERS[1]: tills.mixed_up(till, Random(f"order {seed}")),
        OUTAGES: tills.mixed_up(till, Random(f"outage {seed}"), DOWN),
    }
    result.ours = {order: _by_currency(tills.lifetime_values(world.calls)) for order, (world, _) in runs.items()}
    result.faults = [(order, fault) for order, (_, faults) in runs.items() for fault in faults]
    for about, chances in AT_ONCE.items():
        result.faults += [(about, fault) for fault in tills.crossed(till, f"{seed}", chances)]
        # Of one payment more batches are about the same.
        small = a_till(Random(f"small {seed}"), payments=1)
        result.faults += [(f"one payment, {about}", fault) for fault in tills.crossed(small, f"small {seed}", chances)]
    return result


def _by_currency(values: Mapping[tuple[str, str], Decimal]) -> Sums:
    sums: dict[tuple[str, str], Decimal] = {}
    for (_, currency), amount in values.items():
        sums["lifetime_value", currency] = sums.get(("lifetime_value", currency), Decimal()) + amount
    return sums


def report_of_tills(results: list[Result]) -> Iterator[str]:
    """The table: the lifetime value of all users in each currency, and below it each shop whose numbers differ."""
    orders = (*ORDERS[:2], OUTAGES)
    events = sum(result.counts["events"] for result in results)
    yield f"{len(results):,} shops' tills: {events:,} events; lifetime_value against the balance, before fees"
    yield f"{'':12} {'truth':>18} {'ours':>18}  {orders[0]:>10} {orders[1]:>18} {orders[2]:>10}"
    truth = _added(result.truth for result in results)
    ours = {order: _added(result.ours[order] for result in results) for order in orders}
    for key in sorted(truth.keys() | ours[orders[0]].keys()):
        digits = DIGITS[key[1]]
        expected, said = truth.get(key, Decimal()), ours[orders[0]].get(key, Decimal())
        off = [f"{ours[order].get(key, Decimal()) - expected:,.{digits}f}" for order in orders]
        amounts = f"{expected:>18,.{digits}f} {said:>18,.{digits}f}"
        yield f"{key[1].upper():12} {amounts}  {off[0]:>10} {off[1]:>18} {off[2]:>10}"
    for result in [result for result in results if result.faults][:20]:
        yield f"shop {result.seed}:"
        yield from (f"  {order}: {fault}" for order, fault in result.faults[:5])
        yield f"  again: make truth SEED={result.seed} CUSTOMERS=1"


def _keep(history: History) -> None:
    STREAMS.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(event) for event in (*history.events, history.last)]
    _stream_of(history.seed).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _stream_of(seed: int) -> Path:
    return STREAMS / f"customer-{seed}.jsonl"


def report(results: list[Result]) -> Iterator[str]:
    """The table: a line for each currency and measure, and below it each customer whose numbers differ."""
    counts = {name: sum(result.counts[name] for result in results) for name in results[0].counts}
    shapes = sorted({result.shape for result in results})
    customers = f"{len(results):,} customers (seeds {results[0].seed} to {results[-1].seed})"
    yield f"{customers}: {', '.join(f'{count:,} {name}' for name, count in counts.items())}"
    yield f"API shapes: {', '.join(shapes)}"
    yield ""
    yield f"{'':50} difference:"
    yield f"{'':12} {'truth':>18} {'ours':>18}  {ORDERS[0]:>10} {ORDERS[1]:>18} {ORDERS[2]:>10}"
    truth = _added(result.truth for result in results)
    ours = {order: _added(result.ours[order] for result in results) for order in ORDERS}
    for currency in sorted({currency for _, currency in truth}):
        for measure in MEASURES:
            key, digits = (measure, currency), DIGITS[currency]
            expected, said = truth.get(key, Decimal()), ours["in order"].get(key, Decimal())
            off = [f"{ours[order].get(key, Decimal()) - expected:,.{max(digits, 2)}f}" for order in ORDERS]
            label = currency.upper() if measure == MEASURES[0] else ""
            yield (
                f"{label:4}{measure:8} {expected:>18,.{digits}f} {said:>18,.{digits}f}  "
                f"{off[0]:>10} {off[1]:>18} {off[2]:>10}"
            )
    yield ""
    yield from _verdict(results)


def _added(parts: Iterable[Sums]) -> dict[tuple[str, str], Decimal]:
    total: dict[tuple[str, str], Decimal] = {}
    for part in parts:
        for key, amount in part.items():
            total[key] = total.get(key, Decimal()) + amount
    return total


def _verdict(results: list[Result]) -> Iterator[str]:
    wrong = [result for result in results if result.faults]
    if not wrong:
        yield "Every payment, refund and change of mrr stands on exactly one call, and every sum is the truth;"
        yield "so they do through outages, lost records, dying functions and refusals, in order and out of order."
    for result in wrong[:20]:
        yield f"customer {result.seed} ({result.shape}), events in {_stream_of(result.seed)}:"
        yield from (f"  {order}: {fault}" for order, fault in result.faults[:5])
        yield f"  again: make truth SEED={result.seed} CUSTOMERS=1"
    if wrong:
        yield f"{len(wrong):,} customers differ from the truth."


def main() -> int:
    """Print the report; 1 where anything differs."""
    first, customers = int(os.environ.get("SEED") or 1), int(os.environ.get("CUSTOMERS") or 500)
    if customers < 1:
        sys.stderr.write(f"CUSTOMERS is {customers}; it takes a number from 1\n")
        return 2
    if "--imported" in sys.argv[1:]:
        cuts = examine_cuts(first, customers)
        sys.stdout.writelines(f"{line}\n" for line in report_of_cuts(cuts))
        return int(any(result.faults for result in cuts))
    with ProcessPoolExecutor() as pool:
        results = list(pool.map(examine, range(first, first + customers), chunksize=10))
        shops = list(pool.map(examine_till, range(first, first + customers), chunksize=10))
    sys.stdout.writelines(f"{line}\n" for line in (*report(results), "", *report_of_tills(shops)))
    return int(any(result.faults for result in (*results, *shops)))


if __name__ == "__main__":
    raise SystemExit(main())
