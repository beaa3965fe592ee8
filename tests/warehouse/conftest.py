"""Simulated customers and a till, sent to warehouses in several ways, and what the dbt package makes of each."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.tracking_plan.primer import primer_calls
from tests.conftest import PROJECT
from tests.simulator import laws, tills
from tests.simulator.history import a_history
from tests.simulator.imported import cut
from tests.simulator.market import CURRENCIES
from tests.simulator.till import a_till
from tests.unit.worlds import World
from tests.warehouse.loaders import RudderStack, Segment
from tests.warehouse.postgres import postgres, programs_of_postgres
from tests.warehouse.truth import Truth, day, truth_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from tests.simulator.history import History
    from tests.simulator.till import Till
    from tests.warehouse.loaders import Loader

type Json = dict[str, Any]

# Enough for every kind of thing to happen, and few enough for half a minute.
CUSTOMERS = 30
PAYMENTS = 30
HOLD = 300
TESTED = {"segment", "segment_mixed", "new"}
ORDERS = replace(laws.SETTINGS, revenue_events="orders")
IN_POSTGRES = ("segment", "rudderstack")
# Names with digits, which the loaders write differently; two of one name; one that RevenueEvents gives to payments.
RENAMES = {
    "Order Completed": "Purchase 2Completed",
    "Subscription Renewed": "Order Completed",
    "Order Refunded": "Refund Made",
    "Payment Failed": "Charge Failed",
    "Subscription Upgraded": "Subscription Moved",
    "Subscription Downgraded": "Subscription Moved",
    "Subscription Cancelled": "Customer Lost",
    "Trial Started": "Trial Begun",
    "Trial Converted": "Trial Won",
}
RENAMED = replace(laws.SETTINGS, rename_events=RENAMES)
RENAMED_ORDERS = replace(ORDERS, rename_events={"Order Completed": "Purchase V2"})
DROPPED = "Subscription Renewed", "Trial Ended", "Refund Failed", "Payment Disputed"
CONFUSED = {"Dispute Won": "Dispute Closed", "Dispute Lost": "Dispute Closed"}
PRIMED_AT, UNTIL = "2024-01-01T00:00:00.000Z", "2030-01-31"
CODES = sorted({currency.upper() for currency in CURRENCIES})
PYTHON = PROJECT / ".tools" / "dbt" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Warehouse:
    """What dbt made of one warehouse: the rows of each model and of each query, and each model and test that failed."""

    wrong: list[str]
    models: dict[str, list[Json]]
    answers: dict[str, list[Json]]


@pytest.fixture(scope="session")
def histories() -> list[History]:
    """Customers whose mrr every payload tells."""
    every = map(a_history, range(1, CUSTOMERS + 1))
    return [one for one in every if all(each.mrr is not None for each in one.happenings if each.subscription)]


@pytest.fixture(scope="session")
def till() -> Till:
    """A shop with refunds that fail, disputes and credit notes."""
    return next(
        one
        for one in (a_till(Random(seed), payments=PAYMENTS) for seed in range(1_000))
        if one.joined
        and one.referenced
        and _captured_on_several_days(one)
        and _paid_in_parts(one)
        and _disputed_in_every_way(one)
    )


def _captured_on_several_days(till: Till) -> bool:
    """Whether the money of some payment moves on another day than the one on which it is stated."""
    days: dict[date, int] = defaultdict(int)
    for moment in till.moments:
        days[day(moment.at)] += sum(moment.moved.values()) - sum(moment.stated.values())
    return any(days.values())


def _paid_in_parts(till: Till) -> bool:
    """Whether some invoice is paid in several payments."""
    paid = Counter(one.object["invoice"] for one in till.events if one.type == "invoice_payment.paid")
    return any(times > 1 for times in paid.values())


def _disputed_in_every_way(till: Till) -> bool:
    """Whether there are disputes, inquiries of a bank that become one or do not, and disputes that were prevented."""
    stated = {one.object["status"] for one in till.events if one.type.startswith("charge.dispute.")}
    escalated = any(one.type.endswith("withdrawn") and "created" in one.object for one in till.events)
    return stated >= {"needs_response", "warning_needs_response", "warning_closed", "prevented"} and escalated


@pytest.fixture(scope="session")
def truth(histories: list[History], till: Till) -> Truth:
    return truth_of(histories, till)


@pytest.fixture(scope="session")
def ways(histories: list[History], till: Till) -> Json:
    """Each way of the calls into a warehouse: its tables, and what dbt is to do there."""
    told = sent(histories, till, laws.SETTINGS)
    mixed = [call for one in histories for call in laws.shuffled_and_tripled(one, one.seed).calls]
    mixed += tills.mixed_up(till, Random(1))[0].calls
    primer = primer_of(Settings())
    renamed = sent(histories, till, RENAMED)
    # The setting is changed when half of all has happened.
    switched = [*told[: len(told) // 2], *renamed[len(told) // 2 :]]
    shuffled = [*told, *told[::7]]
    Random(1).shuffle(shuffled)
    every: dict[str, tuple[Loader, list[Json]]] = {
        "segment": (Segment(), [*primer, *told]),
        "segment_mixed": (Segment(), [*primer, *mixed]),
        "segment_orders": (Segment(), [*primer_of(ORDERS), *sent(histories, till, ORDERS)]),
        "segment_renamed": (Segment(), [*primer, *primer_of(RENAMED), *switched]),
        "segment_confused": (Segment(), primer),
        "segment_dropped": (Segment(), [*primer, *sent(histories, till, replace(laws.SETTINGS, drop_events=DROPPED))]),
        "rudderstack_renamed": (RudderStack(), [*primer_of(RENAMED_ORDERS), *sent(histories, till, RENAMED_ORDERS)]),
        "segment_unprimed": (Segment(), told),
        # Calls come in any order, and every seventh twice: RudderStack appends.
        "rudderstack": (RudderStack(), [*primer, *shuffled]),
        "rudderstack_unprimed": (RudderStack(), told),
        "segment_imported": (Segment(), [*primer, *imported(histories)]),
        # Nothing has happened yet but that a customer was created.
        "new": (Segment(), [call for call in told if call["type"] == "identify"][:1]),
        "elsewhere": (Segment(), []),
    }
    for loader, calls in every.values():
        loader.load(arriving(calls))
    tables = {name: {table: asdict(one) for table, one in loader.tables.items()} for name, (loader, _) in every.items()}
    # The package's own tests take as long as its models: each runs where it can find something.
    commands = {name: ["build"] if name in TESTED else ["run"] for name in every}
    commands |= {name: ["run", "--select", "+payments"] for name in every if name.endswith("unprimed")}
    commands["segment_imported"] = ["run", "--select", "+customers"]
    commands["elsewhere"] = ["run", "--select", "stg_stripe__identifies"]
    commands["segment_confused"] = ["run", "--select", "stg_stripe__money_back"]
    views, queries = queries_of((PROJECT / "docs" / "analysts.md").read_text("utf-8"))
    asked = dict.fromkeys(("segment", "segment_orders"), (views, queries))
    best = {name: query for name, query in queries.items() if name.startswith("10 ")}
    asked["segment_imported"] = (views, best)
    # As the page says of RudderStack.
    asked["rudderstack"] = (
        views.replace("original_timestamp", "timestamp"),
        {name: query.replace("original_timestamp", "timestamp") for name, query in queries.items()},
    )
    renames = {"segment_renamed": RENAMES, "segment_confused": CONFUSED}
    renames["rudderstack_renamed"] = dict(RENAMED_ORDERS.rename_events)
    variables = {
        name: {"stripe_to_segment_until": UNTIL, "stripe_to_segment_rename_events": renames.get(name, {})}
        for name in every
    }
    return {"vars": variables, "warehouses": tables, "commands": commands, "queries": asked}


@pytest.fixture(scope="session")
def warehouses(ways: Json, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Warehouse]:
    """Each way, in DuckDB."""
    return built(ways, tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="session")
def in_postgres(ways: Json, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Warehouse]]:
    """Some of them in a Postgres, whose sessions are not in UTC."""
    programs = programs_of_postgres()
    if programs is None:
        pytest.skip("no Postgres on this machine: on Debian, apt-get install postgresql")
    some = {kind: {name: one for name, one in each.items() if name in IN_POSTGRES} for kind, each in ways.items()}
    with postgres(programs) as sockets:
        yield built(some, tmp_path_factory.mktemp("postgres"), str(sockets))


def built(given: Json, folder: Path, *sockets: str) -> dict[str, Warehouse]:
    """What dbt makes of these warehouses, in DuckDB, or in the Postgres that listens in a folder."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON} is not there: run `make .tools/dbt/.installed`")
    script = PROJECT / "tests" / "warehouse" / "run_dbt.py"

    def run(names: set[str]) -> Json:
        place = folder / min(names)
        place.mkdir()
        some = {kind: {name: one for name, one in each.items() if name in names} for kind, each in given.items()}
        (place / "warehouses.json").write_text(json.dumps(some), "utf-8")
        done = subprocess.run([PYTHON, script, place, *sockets], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        found: Json = json.loads((place / "models.json").read_text("utf-8"))
        return found

    # Side by side: where the package's tests run too, that takes as long as all others together.
    every = {*given["warehouses"]}
    parts = [every] if sockets else [every & TESTED, every - TESTED]
    with ThreadPoolExecutor(len(parts)) as pool:
        return {name: Warehouse(**one) for found in pool.map(run, parts) for name, one in found.items()}


def queries_of(page: str) -> tuple[str, dict[str, str]]:
    """The views of docs/analysts.md, and its queries: `1 plain`, `1 model` and so on."""
    views = re.search(r"^## Views first\n.*?```sql\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    questions = re.findall(
        r"^### (\d+)\. [^\n]*\n.*?```sql\n(.*?)```\n\nWith the models:\n\n```sql\n(.*?)```",
        page,
        re.MULTILINE | re.DOTALL,
    )
    assert views is not None, "docs/analysts.md has its views"
    return views[1], {
        f"{number} {kind}": query
        for number, plain, model in questions
        for kind, query in (("plain", plain), ("model", model))
    }


def sent(histories: list[History], till: Till, settings: Settings) -> list[Json]:
    """Everything that is sent under these settings, by its time."""
    return in_time(
        [*(call for one in histories for call in laws.in_order(one, settings).calls), *calls_of(till, settings)]
    )


def imported(histories: list[History]) -> list[Json]:
    """What is sent of customers who were imported in the middle of their lives, at the level that sends nothing."""
    calls: list[Json] = []
    for one in histories:
        run, ours = cut(one.events, Random(one.seed), "state"), laws.Ours(one.happenings[0].body["created"])
        for batch in run.batches:
            ours.deliver(batch)
        calls += ours.calls
    return in_time(calls)


def primer_of(settings: Settings) -> list[Json]:
    return [json.loads(call.encoded) for call in primer_calls(settings, PRIMED_AT, currencies=CODES)]


def calls_of(till: Till, settings: Settings = laws.SETTINGS) -> list[Json]:
    """What is sent of everything that the till saw, in order; what waits comes again."""
    world = World()
    world.settings = replace(settings, payment_hold_seconds=HOLD)
    for moment in till.moments:
        for at in (moment.at + 1, moment.at + HOLD + 1):
            world.now = at
            world.batch(*moment.events)
    return world.calls


def in_time(calls: Iterable[Json]) -> list[Json]:
    return sorted(calls, key=lambda call: str(call["timestamp"]))


def arriving(calls: Iterable[Json]) -> list[Json]:
    """The calls as they are received, one after the other, with numbers as a request holds them."""
    found, at = [], datetime.fromisoformat("2024-01-01T00:00:00Z")
    for call in calls:
        at = max(at + timedelta(milliseconds=5), datetime.fromisoformat(call["timestamp"]) + timedelta(seconds=2))
        found.append({**numbers(call), "receivedAt": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")})
    return found


def numbers(value: Any) -> Any:
    """JSON's numbers in place of exact ones: whole ones are integers, as on the wire."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: numbers(entry) for key, entry in value.items()}
    return [numbers(entry) for entry in value] if isinstance(value, list) else value
