"""`forget` deletes a customer in both modes and in its own account only, and can be repeated."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.errors import StoreConflictError
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE
from tests.unit.shapes import (
    NOW,
    a_charge,
    a_customer,
    a_dispute,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.event import StripeEvent

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
    """The stored items without receipts, which name no person."""
    found = sorted(item["pk"]["S"] for item in here.dynamodb.scan(TableName=TABLE)["Items"])
    return [key for key in found if not key.startswith("receipt#")]


def test_the_record_is_deleted_in_both_modes(here: Deployed, world: World) -> None:
    for livemode in (True, False):
        for change in ("created", "updated"):
            world.deliver(an_event(f"customer.subscription.{change}", a_subscription(), livemode=livemode))
    result = run(CUSTOMER, "--yes")
    assert result.exit_code == 0
    assert "subscriptions 1, sums paid 0, marks of what was delivered 2, events of the latest claims 0" in result.stdout
    assert f"test:{CUSTOMER}: deleted" in result.stdout
    assert keys(here) == []


def test_a_subscription_that_lives_on_is_reported(world: World) -> None:
    """Its next event told its whole mrr again, as the opening balance of a new record."""
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    result = run(CUSTOMER, "--dry-run")
    assert "subscriptions that live on: 1; their next event begins a new record" in result.stdout
    assert json.loads(run(CUSTOMER, "--dry-run", "--json").stdout)["live_subscriptions"] == 1
    world.deliver(an_event("customer.subscription.deleted", a_subscription(status="canceled"), created=NOW + 1))
    assert "live on" not in run(CUSTOMER, "--yes").stdout


def test_the_key_is_that_of_the_events_record(here: Deployed, world: World) -> None:
    event = an_event("customer.subscription.created", a_subscription())
    world.deliver(event)
    assert keys(here) == [f"profile#{event.profile_key}"]


def test_no_personal_data_of_a_forgotten_customer_is_left(here: Deployed) -> None:
    """Where personal traits are remembered, and in the calls of the last delivery."""
    world = World(DynamoStore(here.dynamodb, TABLE), CONTEXT_TRAITS="remembered")
    world.deliver(
        an_event("customer.created", a_customer(id=CUSTOMER)),
        an_event("invoice.paid", an_invoice(customer_email="jo@example.com")),
    )
    assert DynamoStore(here.dynamodb, TABLE).load([("profile", f"own:test:{CUSTOMER}")]).profiles.popitem()[1].personal
    run(CUSTOMER, "--yes")
    assert not [key for key in keys(here) if key.startswith("profile#")]


def test_the_items_of_groups_and_users_forget_the_customer_too(here: Deployed, world: World) -> None:
    """The item of a group listed customers who were forgotten; the user's kept what was paid as a guest."""
    metadata = {"user_id": "user_1", "group_id": "team_1"}
    for number in (1, 2):
        body = a_customer(id=f"cus_{number}", metadata=metadata | {"user_id": f"user_{number}"})
        world.deliver(an_event("customer.created", body, created=NOW + number))
    guest = a_session(id="cs_guest", customer=None, client_reference_id="user_2", payment_intent="pi_guest")
    world.deliver(an_event("checkout.session.completed", guest, created=NOW + 3))
    run("cus_1", "--yes")
    assert "cus_1" not in str(here.dynamodb.scan(TableName=TABLE)["Items"])
    run("pi_guest", "--alone", "--yes")
    left = str([item for item in here.dynamodb.scan(TableName=TABLE)["Items"] if "receipt" not in str(item["pk"])])
    assert "pi_guest" not in left
    assert "cus_2" in left
    run("cus_2", "--yes")
    assert keys(here) == []


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
    assert (again.exit_code, again.stdout) == (0, "no record is kept\n")


def test_a_dry_run_deletes_nothing(here: Deployed, world: World) -> None:
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="user_1")))
    result = run(CUSTOMER, "--dry-run", "--json")
    said = json.loads(result.stdout)
    assert said["records"].keys() == {f"test:{CUSTOMER}"}
    assert said["records"][f"test:{CUSTOMER}"]["user_id"] is True
    assert "user_1" not in result.stdout, "what is to be forgotten is not shown"
    assert len(keys(here)) == 3


def test_a_guest_is_forgotten_by_what_was_paid(here: Deployed, world: World) -> None:
    world.deliver(an_event("charge.refunded", a_charge(customer=None, payment_intent="pi_guest")))
    assert keys(here) == ["order#own:test:pi_guest", "profile#own:test:pi_guest"]
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


# --- The person, not only the customer ---


def as_customer(number: int, user: str = "user_1", **more: Any) -> StripeEvent:
    email = more.pop("email", "jo@example.com")
    metadata = {"user_id": user, **more.pop("metadata", {})}
    return an_event("customer.created", a_customer(id=f"cus_{number}", email=email, metadata=metadata), **more)


def as_guest(number: int, **more: Any) -> StripeEvent:
    session = a_session(id=f"cs_g{number}", customer=None, payment_intent=f"pi_g{number}", **more)
    return an_event("checkout.session.completed", session)


def an_order(customer: str, number: int) -> StripeEvent:
    payment = {
        "id": f"inpay_{number}",
        "object": "invoice_payment",
        "customer": customer,
        "invoice": f"in_{number}",
        "payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"},
    }
    return an_event("invoice_payment.paid", payment)


def everything_of_one_user(world: World) -> None:
    """Two customers, a guest's payment and an order of one user; another user and an unknown customer beside them."""
    world.deliver(
        as_customer(1),
        as_customer(2, email="jo@work.example"),
        as_guest(1, client_reference_id="user_1"),
        an_order("cus_1", 1),
        as_customer(9, user="user_9", email="zoe@example.com"),
        as_guest(9, customer_details={"email": "Zoe@Example.com "}),
        an_order("cus_9", 9),
    )


OTHERS = {"profile#own:test:cus_9", "profile#own:test:pi_g9", "order#own:test:pi_9"}


@pytest.mark.parametrize(
    "words",
    [
        ("cus_1",),
        ("cus_2",),
        ("pi_g1",),
        ("--user", "user_1"),
        ("--email-hash", sha256(b"jo@work.example").hexdigest()),
    ],
    ids=["customer", "sibling", "guest", "user", "email"],
)
def test_a_whole_person_is_forgotten_by_any_of_its_ids(here: Deployed, world: World, words: tuple[str, ...]) -> None:
    """Only the one customer's record was deleted: the user's other customers, guest payments and orders stayed."""
    everything_of_one_user(world)
    result = run(*words, "--yes")
    assert result.exit_code == 0
    left = set(keys(here))
    assert {key for key in left if not key.startswith("person#")} == OTHERS
    assert len(left) == len(OTHERS) + 1, "the other user's person"


def test_a_person_without_a_user_is_found_by_the_address(here: Deployed, world: World) -> None:
    everything_of_one_user(world)
    assert run("--email-hash", sha256(b"zoe@example.com").hexdigest().upper(), "--yes").exit_code == 0
    assert not any("9" in key.rpartition(":")[2][:6] and "person" not in key for key in keys(here))
    assert {"profile#own:test:cus_1", "profile#own:test:pi_g1"} <= set(keys(here))


def test_a_guest_is_found_by_the_session_id_in_the_calls(here: Deployed, world: World) -> None:
    """Segment shows an unknown guest as `cs_…`, and under that nothing was found: the record is the payment's."""
    world.deliver(as_guest(1))
    assert {call["anonymousId"] for call in world.calls} == {"cs_g1"}
    here.dead_letter(json.dumps({"id": "evt_1", "data": {"object": {"id": "cs_g1"}}}), reason="http_400")
    result = run("cs_g1")
    assert "test:pi_g1: deleted" in result.stdout
    assert "holds 1 events that mention these ids" in result.stdout
    assert keys(here) == []


@pytest.mark.parametrize("words", [(CUSTOMER, "--alone", "--yes"), (CUSTOMER, "--yes"), ("--user", "user_1", "--yes")])
def test_records_from_before_the_payments_customer_was_known_are_forgotten_too(
    here: Deployed, world: World, words: tuple[str, ...]
) -> None:
    """A dispute names no customer, so its data stayed, with the claim, under the payment's id."""
    for payment, customer, user in (("pi_1", CUSTOMER, "user_1"), ("pi_9", "cus_9", "user_9")):
        world.deliver(an_event("charge.dispute.created", a_dispute(id=f"dp_{payment}", payment_intent=payment)))
        intent = an_intent(id=payment, customer=customer, metadata={"user_id": user})
        world.deliver(an_event("payment_intent.succeeded", intent))
    assert "profile#own:test:pi_1" in keys(here)
    assert run(*words).exit_code == 0
    left = [key for key in keys(here) if not key.startswith("person#")]
    assert left == ["order#own:test:pi_9", "profile#own:test:cus_9", "profile#own:test:pi_9"]


def test_a_user_of_a_connected_account_is_found_by_the_id_in_the_calls(here: Deployed, world: World) -> None:
    """Segment shows the user as `acct_1:user_1`, and under that nothing was found."""
    world.deliver(as_customer(1, account="acct_1"), as_customer(2, account="acct_2"), as_customer(3))
    assert "acct_1:user_1" in {call.get("userId") for call in world.calls}
    assert "person" in run("--user", "acct_1:user_1", "--yes").stdout
    assert [key for key in keys(here) if key.startswith("profile#")] == [
        "profile#acct_2:test:cus_2",
        "profile#own:test:cus_3",
    ]
    assert len(keys(here)) == 4


def test_the_same_user_id_in_another_account_is_another_user(here: Deployed, world: World) -> None:
    """Persons were compared by the digest of the id alone: the opt-out of another account's user was counted too."""
    world.deliver(as_customer(1), as_customer(2, account="acct_2", metadata={"analytics_opt_out": "true"}))
    said = json.loads(run("--user", "user_1", "--json").stdout)
    assert (said["persons"], said["opt_outs_kept"], list(said["records"])) == (1, 0, ["test:cus_1"])
    assert all("acct_2" in key for key in keys(here))


def test_where_users_are_the_platforms_they_are_found_in_every_account(here: Deployed) -> None:
    """With ConnectUsers=platform a user's customers of connected accounts stayed when the user was to be forgotten."""
    here.functions.variables["CONNECT_USERS"] = "platform"
    world = World(DynamoStore(here.dynamodb, TABLE), CONNECT_EVENTS="accept", CONNECT_USERS="platform")
    for words in (("--user", "user_1"), ("cus_1",), ("cus_2", "--account", "acct_2")):
        world.deliver(as_customer(1), as_customer(2, account="acct_2"), as_customer(9, user="user_9", account="acct_2"))
        assert run(*words, "--yes").exit_code == 0
        assert [key for key in keys(here) if key.startswith("profile#")] == ["profile#acct_2:test:cus_9"]


def test_the_address_itself_is_asked_for_and_never_shown(here: Deployed, world: World) -> None:
    everything_of_one_user(world)
    result = CliRunner().invoke(app, ["forget", "--email-hash", "-", "--yes"], input=" Jo@Work.example\n")
    assert result.exit_code == 0
    assert "profile#own:test:cus_2" not in keys(here)
    assert "work" not in result.stdout.lower()


def test_the_other_customers_of_the_user_may_be_kept(here: Deployed, world: World) -> None:
    everything_of_one_user(world)
    assert run("cus_1", "--alone").exit_code == 0
    left = keys(here)
    assert "profile#own:test:cus_1" not in left
    assert {"profile#own:test:cus_2", "profile#own:test:pi_g1"} <= set(left)


def test_several_records_are_deleted_only_after_a_question(here: Deployed, world: World) -> None:
    """A user id that stands for everybody would have taken all customers along."""
    everything_of_one_user(world)
    before = keys(here)
    result = run("cus_1")
    assert result.exit_code == 2
    assert "3 records belong to this person" in result.stderr
    assert keys(here) == before


def test_an_opt_out_outlives_forgetting(here: Deployed, world: World) -> None:
    world.deliver(as_customer(1, metadata={"analytics_opt_out": "true"}))
    result = run("cus_1")
    assert "opt-outs that stay: 2" in result.stdout
    for item in here.dynamodb.scan(TableName=TABLE)["Items"]:
        assert "user_1" not in str(item), "nothing tells who that was"
    paid = an_event("invoice.paid", an_invoice(customer="cus_1"), created=NOW + 5)
    world.deliver(as_customer(2, created=NOW + 6), paid)
    assert world.calls == []


def test_events_in_the_queues_are_reported(here: Deployed, world: World) -> None:
    world.deliver(as_customer(1))
    here.dead_letter(json.dumps({"id": "evt_1", "data": {"object": {"customer": "cus_1"}}}), reason="http_400")
    here.dead_letter(json.dumps({"id": "evt_2", "data": {"object": {"customer": "cus_10"}}}), reason="http_400")
    here.sqs.send_message(QueueUrl=here.events_url, MessageBody="{}")
    said = run("cus_1").stdout
    assert "the dead-letter queue holds 1 events that mention these ids" in said
    assert "about 1 events wait" in said
    assert len(here.letters) == 2, "they stay where they are"


def test_a_record_that_is_written_meanwhile_is_reported_as_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deliver(as_customer(1, metadata={"analytics_opt_out": "true"}))
    monkeypatch.setattr(DynamoStore, "save", lambda *_: {"own:test:cus_1": StoreConflictError("own:test:cus_1")})
    result = run("cus_1")
    assert result.exit_code == 1
    assert "run it again" in result.stderr


@pytest.mark.parametrize(
    "words",
    [[], ["cus_1", "--user", "u"], ["--email-hash", "jo@example.com"], ["--email-hash", "abc"]],
    ids=["nobody", "two ways", "an address", "no hash"],
)
def test_exactly_one_option_names_the_person(words: list[str]) -> None:
    assert run(*words).exit_code == 2


@pytest.mark.parametrize("kind", ["memory", "table"])
def test_a_bookmark_never_moves_back(here: Deployed, kind: str) -> None:
    store = MemoryStore() if kind == "memory" else DynamoStore(here.dynamodb, TABLE)
    assert store.bookmark("own:live") is None
    for second in (10, 30, 20):
        store.put_bookmark("own:live", second, 0)
    assert store.bookmark("own:live") == 30
    assert store.bookmark("own:test") is None
