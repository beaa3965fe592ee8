"""`prime` creates every column of a warehouse with the right type, for warehouses only, once for each source."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.mapping.properties import Kind
from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment.settings import Settings
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.tracking_plan import TrackingPlan, violations
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS, GROUP_TRAITS, USER_TRAITS
from stripe_to_segment_tools.tracking_plan.primer import PRIMER_CURRENCY, PRIMER_USER, primed_columns, primer_calls
from stripe_to_segment_tools.tracking_plan.warehouse import COLUMN_TYPES, snake_case, warehouse_tables
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import Endpoint, HttpRequest, say
from tests.unit.shapes import a_subscription, an_event, an_invoice
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

NOW = "2026-11-28T12:00:00.000Z"
LIVE, TEST = "L" * 32, "T" * 32


def bodies(settings: Settings | None = None, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(call.encoded) for call in primer_calls(settings or Settings(), NOW, **more)]


def told_in(call: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = call["properties" if call["type"] == "track" else "traits"]
    return told


# --- The calls ---


def test_the_primer_has_each_event_and_each_set_of_traits_once_with_all_properties() -> None:
    told = bodies()
    assert [call["type"] for call in told[:2]] == ["identify", "group"]
    assert [call["event"] for call in told[2:]] == list(EVENT_PLANS)
    assert EVENT_PLANS.keys() == EVENTS.keys()
    assert all({*call["properties"]} == {*EVENT_PLANS[call["event"]].properties} for call in told[2:])
    assert {*told[1]["traits"]} == {*GROUP_TRAITS}


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for entry in value.values():
            yield from numbers(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from numbers(entry)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def test_every_number_that_may_have_a_fraction_has_one() -> None:
    """A whole one makes a column of whole numbers, which cuts off the cents of what follows."""
    whole = {Kind.INTEGER, Kind.BOOLEAN}
    for call in bodies(currencies=["EUR"]):
        kinds = USER_TRAITS | GROUP_TRAITS if call["type"] != "track" else EVENT_PLANS[call["event"]].properties
        for name, value in told_in(call).items():
            if kinds[name].kind not in whole:
                assert not [number for number in numbers(value) if number == int(number)], f"{name} of {call}"


@pytest.mark.parametrize("shows", ["event", "remembered", "none"])
def test_each_track_shows_the_traits_that_a_real_one_may_show_with_a_fraction_too(shows: str) -> None:
    """`context_traits_mrr` became a column of whole numbers with the first customer who paid 20 a month."""
    world = World(CONTEXT_TRAITS="event", PERSONAL_TRAITS="email,name,phone,address")
    world.deliver(an_event("customer.subscription.created", a_subscription()), an_event("invoice.paid", an_invoice()))
    real = {name for call in world.calls if call["type"] == "track" for name in call["context"]["traits"]}
    for call in bodies(replace(world.settings, context_traits=shows)):
        told = call["context"].get("traits", {})
        assert real <= told.keys() if call["type"] == "track" else not told
        assert not [number for number in numbers(told) if number == int(number)], call
    assert "mrr" in real


def test_the_primer_goes_only_to_warehouses_with_an_invented_user_and_currency() -> None:
    for call in bodies():
        assert call["integrations"] == {"All": False}
        assert call["userId"] == call["anonymousId"] == PRIMER_USER, "a column for each"
        assert told_in(call).get("currency", PRIMER_CURRENCY) == "XTS"
        assert call["context"]["active"] is False


@pytest.mark.parametrize("settings", [Settings(), Settings(rename_events={"Order Completed": "Purchase Completed"})])
def test_the_calls_are_those_of_the_teams_own_tracking_plan(settings: Settings) -> None:
    assert [flaw for call in bodies(settings, currencies=["EUR"]) for flaw in violations(call, settings)] == []
    assert {call.get("event") for call in bodies(settings)} >= {*settings.rename_events.values()}


def test_traits_by_currency_get_a_column_for_each_currency() -> None:
    traits = bodies(currencies=["EUR", "KWD"])[0]["traits"]
    assert traits["mrr_by_currency"] == {"XTS": 0.25, "EUR": 0.25, "KWD": 0.25}


def test_the_same_source_always_has_the_same_message_ids_and_another_one_others() -> None:
    ids = [call["messageId"] for call in bodies()]
    assert ids == [call["messageId"] for call in bodies()]
    assert len({*ids}) == len(ids)
    assert not {*ids} & {call["messageId"] for call in bodies(Settings(source_name="staging"))}


def test_the_dbt_package_knows_the_primer(project: Path) -> None:
    macro = (project / "warehouse" / "macros" / "stage.sql").read_text("utf-8")
    assert f"return('{PRIMER_USER}')" in macro


# --- The tables ---


def test_the_plan_names_each_table_with_the_type_of_each_column() -> None:
    tables = warehouse_tables(TrackingPlan(Settings()), ("EUR",))
    assert tables["order_completed"]["revenue"] == "float"
    assert tables["order_completed"]["order_id"] == "varchar"
    assert tables["identifies"]["created_at"] == "timestamp"
    assert tables["users"]["lifetime_value_by_currency_eur"] == "float"
    assert tables["groups"]["seats"] == "integer"
    assert tables["order_completed"]["context_traits_mrr"] == tables["tracks"]["context_traits_mrr"] == "float"
    assert len(tables) == len(EVENTS) + 4


def test_every_amount_is_a_float_column() -> None:
    tables = warehouse_tables(TrackingPlan(Settings()), ())
    for event, plan in EVENT_PLANS.items():
        for name, entry in plan.properties.items():
            if entry.kind is Kind.MONEY:
                assert tables[snake_case(event)][name] == COLUMN_TYPES[Kind.MONEY] == "float"


def test_the_command_prints_tables_and_the_letter_to_support() -> None:
    result = CliRunner().invoke(app, ["plan", "--format", "warehouse"])
    assert result.exit_code == 0, result.output
    assert "order_completed.revenue" in result.output
    assert "<schema_name>.order_completed.revenue.integer.float" in result.output


# --- The command ---


class Segment(Endpoint):
    """Takes the calls, or refuses them."""

    def __init__(self) -> None:
        super().__init__()
        self.took: list[tuple[str, dict[str, Any]]] = []
        self.status = 200

    def respond(self, handler: BaseHTTPRequestHandler, request: HttpRequest) -> None:
        if self.status == 200:
            self.took += [(request.body["writeKey"], call) for call in request.body["batch"]]
        say(self.status, b'{"success": true}')(handler)


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, segment: Segment) -> Iterator[Deployed]:
    """A stack on this machine, whose endpoint counts as Segment's."""
    with deployed() as stack:
        stack.options = ("--local",)
        stack.functions.variables = {"SEGMENT_ENDPOINT": segment.url}
        stack.put_keys(segment_write_key=LIVE, segment_test_write_key=TEST)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["prime", *words])


def test_both_sources_are_primed_once(segment: Segment) -> None:
    first = run()
    assert first.exit_code == 0, first.output
    assert {key for key, _ in segment.took} == {LIVE, TEST}
    assert len(segment.took) == 2 * (len(EVENTS) + 2)
    again = run()
    assert again.exit_code == 0
    assert again.output.count("nothing to do: primed on 20") == 2
    assert len(segment.took) == 2 * (len(EVENTS) + 2)
    assert run("--again").exit_code == 0
    assert len(segment.took) == 4 * (len(EVENTS) + 2)


def test_another_write_key_is_another_source_with_tables_of_its_own(here: Deployed, segment: Segment) -> None:
    run()
    segment.took.clear()
    here.put_keys(segment_write_key="N" * 32, segment_test_write_key=TEST)
    assert run().exit_code == 0
    assert {key for key, _ in segment.took} == {"N" * 32}


@pytest.mark.parametrize(
    ("setting", "primes_again"),
    [
        ({"RENAME_EVENTS": '{"Order Completed": "Purchase Completed"}'}, True),
        ({"DROP_EVENTS": "Order Refunded"}, False),
        ({"REVENUE_EVENTS": "orders"}, False),
        ({"PERSONAL_TRAITS": "email"}, False),
    ],
)
def test_a_source_is_primed_again_where_amounts_get_new_columns(
    here: Deployed, segment: Segment, setting: dict[str, str], *, primes_again: bool
) -> None:
    """A renamed event, or one that an update brings, has a table that no primer made.

    The second priming did not say why it was not the first.
    """
    why = "an update or RenameEvents brought columns of amounts"
    assert why not in run().output
    segment.took.clear()
    here.functions.variables = {**here.functions.variables, **setting}
    shown = run("--dry-run").output
    assert ("nothing to do" not in shown) is primes_again is (why in shown)
    assert (why in run().output) is primes_again
    assert bool(segment.took) is primes_again
    assert why not in run("--again").output


def test_the_columns_that_are_primed_are_every_amount_of_the_plan() -> None:
    assert primed_columns(Settings()) == primed_columns(Settings(revenue_events="orders", hash_email=True))
    assert primed_columns(Settings()) != primed_columns(Settings(rename_events={"Order Refunded": "Refund"}))


def test_a_refused_primer_is_not_stored_as_done(segment: Segment) -> None:
    segment.status = 401
    result = run("--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)["sources"]
    assert [source["state"] for source in said] == ["failed", "failed"]
    segment.status = 200
    assert run().exit_code == 0
    assert segment.took


def test_a_dry_run_sends_nothing_and_shows_the_calls(segment: Segment) -> None:
    said = json.loads(run("--dry-run", "--json").stdout)
    assert [len(source["calls"]) for source in said["sources"]] == [len(EVENTS) + 2] * 2
    assert "would send" in run("--dry-run").output
    assert segment.took == []
    assert "nothing to do" not in run("--dry-run").output


def test_a_declined_source_is_not_primed(segment: Segment) -> None:
    result = run("--decline")
    assert result.exit_code == 0
    assert "declined" in result.output
    assert segment.took == []


def test_elsewhere_the_warehouse_has_to_be_named(here: Deployed, segment: Segment) -> None:
    """RudderStack's warehouses follow `All: false`: nothing would arrive, although it is stored as done."""
    here.options = ("--stack", "stripe-to-segment")
    refused = run()
    assert refused.exit_code == 2
    assert "--warehouse Snowflake" in refused.output
    assert run("--warehouse", "Snowflake").exit_code == 0
    assert {json.dumps(call["integrations"]) for _, call in segment.took} == {'{"All": false, "Snowflake": true}'}


@pytest.mark.parametrize("endpoint", ["https://api.segment.io", "https://events.eu1.segmentapis.com"])
def test_segments_own_addresses_need_no_name(here: Deployed, endpoint: str) -> None:
    here.options, here.functions.variables = ("--stack", "stripe-to-segment"), {"SEGMENT_ENDPOINT": endpoint}
    assert run("--dry-run").exit_code == 0


def test_a_currency_is_three_letters_and_a_source_needs_a_key(here: Deployed) -> None:
    assert "ISO 4217" in run("--currency", "euro").output
    here.put_keys()
    result = run()
    assert result.exit_code == 2
    assert "secret set segment_write_key" in result.output


def test_no_write_key_is_shown_or_kept(here: Deployed) -> None:
    outputs = [run("--dry-run", "--json").output, run().output, run("--decline", "--json").output]
    kept = json.dumps(here.dynamodb.scan(TableName=here.stack.output("StateTableName"))["Items"])
    assert not [key for key in (LIVE, TEST) for text in [*outputs, kept] if key in text]
