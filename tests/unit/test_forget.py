"""A customer is forgotten: in both modes, in its own account alone, and as often as one asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.identity import profile_key
from stripe_to_segment.memory import MemoryStore
from stripe_to_segment.store import DynamoStore
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE
from tests.unit.shapes import a_charge, a_session, a_subscription, an_event
from tests.unit.worlds import World
from tools import stack_options
from tools.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.memory import Store

CUSTOMER = "cus_basic"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with deployed() as stack:
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


@pytest.fixture
def world(here: Deployed) -> World:
    return World(DynamoStore(here.dynamodb, TABLE), CONNECT_EVENTS="accept")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["forget", *words])


def keys(here: Deployed) -> list[str]:
    """What is kept, but for receipts, which know nobody."""
    found = sorted(item["pk"]["S"] for item in here.dynamodb.scan(TableName=TABLE)["Items"])
    return [key for key in found if not key.startswith("receipt#")]


def test_the_record_is_deleted_in_both_modes(here: Deployed, world: World) -> None:
    for livemode in (True, False):
        for change in ("created", "updated"):
            world.deliver(an_event(f"customer.subscription.{change}", a_subscription(), livemode=livemode))
    result = run(CUSTOMER)
    assert result.exit_code == 0
    assert "subscriptions 1, sums paid 0, marks of what was delivered 2, events told last 0" in result.stdout
    assert "test: deleted" in result.stdout
    assert keys(here) == []


def test_the_key_is_the_one_under_which_events_are_remembered(here: Deployed, world: World) -> None:
    event = an_event("customer.subscription.created", a_subscription())
    world.deliver(event)
    assert keys(here) == [f"profile#{profile_key(event)}"]


def test_the_same_customer_of_another_account_is_left_alone(here: Deployed, world: World) -> None:
    for account in ("acct_1", "acct_2"):
        world.deliver(an_event("customer.subscription.created", a_subscription(), account=account))
    run(CUSTOMER)
    assert len(keys(here)) == 2
    run(CUSTOMER, "--account", "acct_1")
    assert keys(here) == [f"profile#acct_2:test:{CUSTOMER}"]


def test_forgetting_twice_is_no_error(world: World) -> None:
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    run(CUSTOMER)
    again = run(CUSTOMER)
    assert (again.exit_code, again.stdout) == (0, "live: nothing is kept\ntest: nothing is kept\n")


def test_a_dry_run_deletes_nothing(here: Deployed, world: World) -> None:
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="user_1")))
    result = run(CUSTOMER, "--dry-run", "--json")
    said = json.loads(result.stdout)
    assert said["records"]["live"] is None
    assert said["records"]["test"]["user_id"] is True
    assert "user_1" not in result.stdout, "what is to be forgotten is not shown"
    assert len(keys(here)) == 1


def test_a_guest_is_forgotten_by_what_was_paid(here: Deployed, world: World) -> None:
    world.deliver(an_event("charge.refunded", a_charge(customer=None, payment_intent="pi_guest")))
    assert keys(here) == ["profile#own:test:pi_guest"]
    run("pi_guest")
    assert keys(here) == []


@pytest.mark.parametrize("words", [["zoe@example.com"], ["*"], [""], [CUSTOMER, "--account", "own"]])
def test_what_is_no_id_is_refused(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "cus_NffrFeUfNV2Hib" in result.stderr


def test_a_later_event_makes_a_new_record(here: Deployed, world: World) -> None:
    event = an_event("customer.subscription.created", a_subscription())
    world.deliver(event)
    run(CUSTOMER)
    world.deliver(event)
    assert len(keys(here)) == 1


@pytest.mark.parametrize("kind", ["memory", "table"])
def test_the_store_gives_back_what_it_forgot(here: Deployed, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else DynamoStore(here.dynamodb, TABLE)
    world = World(store)
    event = an_event("customer.subscription.created", a_subscription())
    world.deliver(event)
    key = profile_key(event)
    kept = of(store, key)
    assert store.forget(key, really=False) == kept
    assert store.forget(key) == kept
    assert store.forget(key) is None
    assert of(store, key) is None


@pytest.mark.parametrize("kind", ["memory", "table"])
def test_a_bookmark_never_goes_back(here: Deployed, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else DynamoStore(here.dynamodb, TABLE)
    assert store.bookmark("own:live") is None
    for second in (10, 30, 20):
        store.put_bookmark("own:live", second, 0)
    assert store.bookmark("own:live") == 30
    assert store.bookmark("own:test") is None


def of(store: Store, key: str) -> object:
    return store.load([key], [], []).profiles.get(key)
