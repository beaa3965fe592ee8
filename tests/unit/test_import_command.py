"""`import` brings an existing business into the stack, also through failures and interruptions."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.enqueuing import Enqueued, waiting
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.lists import Lists, Part
from stripe_to_segment.stripe_api.requests import Pace
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.importing import command, missing, walk
from stripe_to_segment_tools.commands.importing.progress import Progress
from stripe_to_segment_tools.commands.importing.run import Run
from stripe_to_segment_tools.commands.importing.steps import KINDS, steps
from stripe_to_segment_tools.commands.importing.summary import duration
from tests.unit import stripe_list
from tests.unit.a_stack import WEBHOOK_URL, Deployed, deployed
from tests.unit.edges import TABLE
from tests.unit.shapes import (
    DAY,
    a_customer,
    a_price,
    a_refund,
    a_session,
    a_subscription,
    an_intent,
    an_invoice,
    an_item,
)
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NOW = int(time.time())


class Business:
    """A stack whose `deliver` takes all records of the import queue at each look into the queue."""

    def __init__(self, here: Deployed, stripe: StripeList, folder: Path) -> None:
        self.here, self.stripe, self.folder = here, stripe, folder
        self.world = World(DynamoStore(here.dynamodb, TABLE))
        self.world.now = NOW
        self.bodies: list[str] = []
        self.interrupt_at = -1

    def left(self, sqs: Any, url: str) -> int:
        """Deliver the waiting records; returns their number."""
        taken = 0
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                self.bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.world.batch(*(message["Body"] for message in messages))
            taken += len(messages)
        self.interrupt_at -= 1
        if self.interrupt_at == 0:
            raise KeyboardInterrupt
        return taken

    def run(self, *words: str) -> Result:
        """Run the command."""
        return CliRunner().invoke(app, ["import", *words, "--stripe-api-base", self.stripe.url])

    @property
    def listed(self) -> list[tuple[str, str]]:
        """Level and id of each record that came through the queue."""
        read = [json.loads(body) for body in self.bodies]
        return [(record["level"], record["data"]["id"]) for record in read]


@pytest.fixture
def business(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Business]:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    with StripeList() as stripe, deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": stripe.url}
        stack.put_keys(stripe_api_key=KEY, segment_test_write_key="w" * 32)
        stripe.webhooks.add(WEBHOOK_URL, ["*"])
        found = Business(stack, stripe, tmp_path)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        monkeypatch.setattr(command, "FOLDER", tmp_path)
        monkeypatch.setattr(command, "waiting", found.left)
        monkeypatch.setattr(command, "Lists", lambda key, base: Lists(key, base, Pace(0, pause=lambda _: None)))
        monkeypatch.setattr(command, "PAUSE_SECONDS", 0)
        yield found


def a_shop(customers: int) -> list[dict[str, Any]]:
    """So many customers, each with a subscription, a paid and an open invoice, and the first one with a refund."""
    found: list[dict[str, Any]] = []
    for number in range(customers):
        customer, at = f"cus_{number}", NOW - number * 3600 - 60 * DAY
        paid = {"status": "paid", "status_transitions": {"paid_at": at}, "total": 2000, "amount_paid": 2000}
        paid |= {"amount_due": 2000, "currency": "usd", "total_taxes": []}
        intent = {"status": "paid", "payment": {"payment_intent": f"pi_{number}"}}
        found += [
            a_customer(id=customer, created=at, metadata={"user_id": f"u_{number}"}),
            a_subscription(id=f"sub_{number}", customer=customer, created=at),
            an_invoice(id=f"in_{number}", customer=customer, created=at, payments={"data": [intent]}, **paid),
            an_invoice(id=f"in_open_{number}", customer=customer, created=at, status="open"),
        ]
    refund = a_refund(id="re_0", amount=500, payment_intent="pi_0", currency="usd", created=NOW - 30 * DAY)
    return [*found, refund, {"id": "prod_basic", "object": "product", "name": "Basic", "created": NOW - 90 * DAY}]


def test_a_state_is_remembered_and_nothing_is_sent(business: Business) -> None:
    business.stripe.objects = a_shop(3)
    result = business.run()
    assert result.exit_code == 0, result.output
    assert "nothing is sent to Segment" in result.stderr
    assert "14 objects listed, 14 records queued" in result.stdout
    assert business.world.calls == []
    store = DynamoStore(business.here.dynamodb, TABLE)
    profiles = store.load([("profile", f"own:test:cus_{number}") for number in range(3)]).profiles
    assert {key[-5:]: (one.user_id, one.paid) for key, one in profiles.items()} == {
        "cus_0": ("u_0", {"usd": 1500}),
        "cus_1": ("u_1", {"usd": 2000}),
        "cus_2": ("u_2", {"usd": 2000}),
    }
    assert all(record.mrr == 2000 for one in profiles.values() for record in one.live)
    assert not list(business.folder.iterdir()), "what is done leaves no progress behind"


def test_the_levels_tell_more_and_more_and_each_thing_once(business: Business) -> None:
    business.stripe.objects = a_shop(2)
    expected = {
        "traits": ["identify"] * 2,
        "opening": ["Subscription Imported"] * 2,
        "history": ["Order Completed", "Order Completed", "Order Refunded"],
    }
    for level, told in expected.items():
        before = len(business.world.calls)
        result = business.run("--level", level)
        assert result.exit_code == 0, result.output
        assert 'warehouses only: integrations are {"All": false}' in result.stderr
        assert sorted(names(business.world.calls[before:])) == told, level
    assert {json.dumps(call["integrations"]) for call in business.world.calls} == {'{"All": false}'}
    business.run("--level", "history")
    assert len(business.world.calls) == 7, "a second time nothing is told"


def test_objects_that_others_refer_to_are_listed_first_and_objects_that_send_calls_last(business: Business) -> None:
    business.stripe.objects = a_shop(2)
    business.run("--level", "history")
    order = [level for level, _ in business.listed]
    assert order == sorted(order, key=["state", "traits", "opening", "history"].index)
    learnt = [name.partition("_")[0] for level, name in business.listed if level == "state"]
    assert learnt[:3] == ["prod", "cus", "cus"]
    assert learnt[-1] == "re"


def test_a_deleted_coupon_of_an_item_or_of_a_customer_takes_off_what_it_did(business: Business) -> None:
    """Coupons are on no list once they are deleted, and a list names those of items: such an mrr was absent."""
    half: dict[str, Any] = {"object": "coupon", "percent_off": 50, "duration": "forever", "created": NOW - 90 * DAY}
    discounts = {
        name: {"id": f"di_{name}", "start": NOW - 80 * DAY, "source": {"coupon": {**half, "id": name}}}
        for name in ("deleted", "listed", "made_again")
    }
    business.stripe.objects = [
        {**half, "id": "listed"},
        {**half, "id": "made_again", "percent_off": 10, "created": NOW - DAY},
        a_customer(id="cus_own", created=NOW - 85 * DAY, discount=discounts["deleted"]),
        a_subscription(id="sub_own", customer="cus_own", created=NOW - 85 * DAY),
    ]
    for name, discount in discounts.items():
        item = an_item(discounts=[discount])
        business.stripe.objects.append(a_subscription(item, id=f"sub_{name}", customer="cus_1", created=NOW - 85 * DAY))
    result = business.run()
    assert result.exit_code == 0, result.output
    profiles = DynamoStore(business.here.dynamodb, TABLE).load([("profile", f"own:test:cus_{n}") for n in ("1", "own")])
    mrr = {name: one.mrr for each in profiles.profiles.values() for name, one in each.subscriptions.items()}
    assert mrr == dict.fromkeys(("sub_deleted", "sub_listed", "sub_made_again", "sub_own"), 1000)
    asked = [query for query in business.stripe.asked if "subscription" in query]
    assert len(asked) == 2, "one request for each subscription whose coupon is on no list"


def test_a_dry_run_counts_and_queues_nothing(business: Business) -> None:
    business.stripe.objects = a_shop(3)
    result = business.run("--dry-run", "--level", "history")
    assert result.exit_code == 0, result.output
    assert "would send: up to 3 identify calls, one for each tracked user" in result.stdout
    assert "would send: up to 3 Subscription Imported" in result.stdout
    assert "would send: up to 4 tracks" in result.stdout, "three payments and a refund, and nothing of an open invoice"
    assert "would take about 1 minute with ImportConcurrency=2" in result.stdout
    assert business.bodies == []
    assert not list(business.folder.iterdir())


def test_a_dry_run_counts_each_record_that_the_import_queues(business: Business) -> None:
    guest = {"customer": None, "client_reference_id": "user_guest", "payment_intent": "pi_guest"}
    business.stripe.objects = [*a_shop(3), a_session(id="cs_guest", created=NOW - DAY, **guest)]
    would = json.loads(business.run("--dry-run", "--level", "history", "--json").stdout)["would_queue"]
    queued = json.loads(business.run("--level", "history", "--json").stdout)["queued"]
    assert {name: count for name, count in would.items() if count} == {
        name: count for name, count in queued.items() if count
    }
    assert queued["traits checkout.session"] == 1, "a guest is a tracked user too"


def test_a_large_import_says_how_long_it_takes_and_which_setting_makes_it_faster(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    started = business.run()
    assert "deliver takes about 12,000 records a minute with ImportConcurrency=2, 30,000 with 5" in started.stderr
    run = a_run_of(customer=100_000, subscription=100_000, invoice=1_000_000, payment_intent=1_000_000)
    said = duration(run, Level.STATE, 2)
    assert said == (
        "would take about 110 minutes with ImportConcurrency=2, about 50 with 5: deploy with ImportConcurrency=5 before"
        " you start, if the account has more than 10 concurrent executions (`doctor` shows them)"
    )
    assert duration(run, Level.STATE, 5) == "would take about 50 minutes with ImportConcurrency=5"


def test_a_dry_run_on_the_local_stack_estimates_at_the_speed_of_this_machine(business: Business) -> None:
    """It promised the speed of two batches on AWS, "with ImportConcurrency=2", which the emulator does not reach."""
    business.stripe.objects = a_shop(1)
    business.here.options = ("--local",)
    result = business.run("--dry-run")
    assert result.exit_code == 0, result.output
    assert "would take about 1 minute on this machine" in result.stdout
    assert "ImportConcurrency" not in result.output
    assert duration(a_run_of(invoice=60_000), Level.STATE, 0) == "would take about 22 minutes on this machine"


def a_run_of(**listed: int) -> Run:
    """A dry run at its end: every object but payments of invoices is a record."""
    progress = Progress(Path("unused"), {}, NOW, NOW, 0)
    progress.listed.update(listed)
    progress.queued.update({f"state {kind}": count for kind, count in listed.items() if kind != "payment_intent"})
    lists = Lists(KEY, "http://127.0.0.1:9")
    return Run(lists, progress, None, livemode=False, more={}, queue=None, left=lambda: 0, pause_seconds=10)


def test_the_progress_of_a_step_counts_what_that_step_has_listed(business: Business) -> None:
    """A level that sends lists customers once more, and its progress counted those of the step before too."""
    lines: dict[str, str] = {}

    @contextmanager
    def bar(name: str, _total: int) -> Iterator[Callable[..., None]]:
        def report(said: str, *_: int) -> None:
            lines[name] = said

        yield report

    business.stripe.objects = a_shop(3)
    run = a_run_of()
    run.lists, run.bar = Lists(KEY, business.stripe.url), bar
    run.progress.since, run.progress.path = 0, business.folder / "progress.json"
    run.through([*steps(Level.TRAITS)])
    assert lines["1/5 remember products, prices, archived prices, coupons"] == "1 product"
    assert lines["2/5 remember customers"] == "3 customers"
    assert lines["5/5 send traits of customers, checkout sessions, payment intents"] == "3 customers"


def test_json_is_one_line_for_a_program(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    said = json.loads(business.run("--json").stdout)
    assert said["listed"] == {"product": 1, "price": 0, "archived_price": 0, "coupon": 0, "customer": 1} | {
        "subscription": 1,
        "invoice": 2,
        "checkout.session": 0,
        "invoice_payment": 0,
        "written_off_payment": 0,
        "payment_intent": 0,
        "refund": 1,
        "dispute": 0,
        "credit_note": 0,
    }
    assert said["queued"]["state invoice"] == 2


def test_lists_of_many_pages_are_read_in_parts_and_each_object_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Many in one second, which no part of time can cut, and as many over a long time."""
    monkeypatch.setattr(walk, "PAGES", 2)
    at_once = [a_customer(id=f"cus_a{number}", created=NOW - 400 * DAY) for number in range(500)]
    spread = [a_customer(id=f"cus_b{number}", created=NOW - 10_000 * number) for number in range(1000)]
    queued: list[str] = []

    def queue(bodies: Sequence[str]) -> list[Enqueued]:
        queued.extend(json.loads(body)["data"]["id"] for body in bodies)
        return [Enqueued("m")] * len(bodies)

    with StripeList() as stripe:
        stripe.objects = [*at_once, *spread]
        progress = Progress(tmp_path / "p.json", {}, NOW, NOW + 1, 0)
        progress.begin([Part("customer", 0, NOW + 1)])
        lists = Lists(KEY, stripe.url, Pace(0, pause=lambda _: None))
        walk.Walk(lists, progress, Level.STATE, livemode=False, queue=queue, more={}).run()
        assert len(stripe.asked) < 15 + 20, "little more than its pages"
    assert len(queued) == len(set(queued)) == 1500
    assert progress.parts == []


@pytest.mark.parametrize("stop_at", [1, 4, 7, 12])
def test_ctrl_c_costs_nothing_and_the_same_command_goes_on(business: Business, stop_at: int) -> None:
    business.stripe.objects = a_shop(3)
    business.interrupt_at = stop_at
    result = business.run("--level", "history", "--enrich")
    assert result.exit_code == 1
    again = f"--level history --stripe-api-base {business.stripe.url} --enrich --stack stripe-to-segment"
    assert f"continue with: stripe-to-segment import {again}" in result.stderr
    done = len(business.listed)
    result = business.run("--level", "history", "--enrich")
    assert result.exit_code == 0, result.output
    assert "continuing with step" in result.stderr
    assert sorted(names(business.world.calls)) == [
        *["Order Completed"] * 3,
        "Order Refunded",
        *["Subscription Imported"] * 3,
        *["identify"] * 3,
    ]
    assert len(business.listed) == len({*business.listed}), f"nothing is listed twice after {done}"


def test_an_unfinished_import_is_not_gone_on_with_in_another_stack_of_this_name(business: Business) -> None:
    """A stack of the same name, in another region or deployed anew, lacked all that the first one had been given."""
    business.stripe.objects = a_shop(3)
    business.interrupt_at = 7
    assert business.run().exit_code == 1
    business.here.import_url = business.here.sqs.create_queue(QueueName="another")["QueueUrl"]
    result = business.run()
    assert (result.exit_code, "had another --stack" in result.stderr) == (2, True)
    business.bodies.clear()
    assert business.run("--restart").exit_code == 0
    assert len({*business.listed}) == 14


def test_a_failure_of_stripe_in_the_middle_is_gone_on_from(business: Business) -> None:
    business.stripe.objects = a_shop(3)
    preflight = len(KINDS) + 1
    business.stripe.failures_after = {preflight + 4: [503] * 40}
    result = business.run()
    assert result.exit_code == 1
    assert "Stripe does not answer a request to read" in result.stderr
    assert KEY not in result.output
    business.stripe.failures_after = {}
    assert business.run().exit_code == 0
    assert len({*business.listed}) == 14


def test_a_failure_of_aws_while_it_waits_is_gone_on_from(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of waiting ended with AWS's error alone, and nothing said how to go on."""
    business.stripe.objects = a_shop(1)
    looks = 0

    def left(sqs: Any, url: str) -> int:
        nonlocal looks
        looks += 1
        return waiting(sqs, "https://sqs.invalid/1/gone") if looks == 3 else business.left(sqs, url)

    with monkeypatch.context() as patch:
        patch.setattr(command, "waiting", left)
        result = business.run()
    assert result.exit_code == 1
    assert "SQS does not count the waiting records" in result.stderr
    assert "continue with: stripe-to-segment import" in result.stderr
    assert business.run().exit_code == 0
    assert len(business.listed) == len({*business.listed}) == 6


def test_the_object_after_which_it_goes_on_may_be_deleted_meanwhile(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe then refuses the next page, so the import stopped there, and the same command could never go on."""
    at = NOW - 60 * DAY
    business.stripe.objects = [a_customer(id=f"cus_{number:03}", created=at + number // 7) for number in range(250)]
    page, gone = Lists.page, list[str]()

    def deleting(self: Lists, part: Part) -> Any:
        found, more = page(self, part)
        if part.kind == "customer" and more:
            gone.append(found[-1]["id"])
            business.stripe.objects = [one for one in business.stripe.objects if one["id"] != gone[-1]]
        return found, more

    monkeypatch.setattr(Lists, "page", deleting)
    result = business.run()
    assert result.exit_code == 0, result.output
    assert len(gone) == 2
    assert {name for _, name in business.listed} == {f"cus_{number:03}" for number in range(250)}


def test_too_many_requests_is_slower_and_nothing_is_lost(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than the other failures are put up with: a limit is no trouble, only a matter of time."""
    paused: list[float] = []
    pace = Pace(0, clock=lambda: sum(paused), pause=paused.append)
    monkeypatch.setattr(command, "Lists", lambda key, base: Lists(key, base, pace))
    business.stripe.objects = a_shop(2)
    business.stripe.failures_after = {len(KINDS) + 3: [429] * 30}
    business.stripe.retry_after = "7"
    said = json.loads(business.run("--json").stdout)
    assert said["slowed_down"] == 30
    assert len({*business.listed}) == 10
    assert sum(paused) >= 7 * 30 / walk.WORKERS, "as long as Stripe asked for"


def test_a_key_that_may_not_read_a_list_is_reported_before_anything_starts(business: Business) -> None:
    business.stripe.forbidden = {OBJECTS["invoice"].path, OBJECTS["dispute"].path}
    result = business.run()
    assert result.exit_code == 2
    assert "may not read Invoices, Disputes" in result.stderr
    assert "nothing was started" in result.stderr
    assert business.bodies == []


def test_the_error_names_the_permission_as_stripe_does_too(business: Business, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expanded field may need another one than the list itself."""
    stripe_says = (
        "The provided key 'rk_test_*****1' does not have the required permissions for this endpoint on account "
        "'acct_1'. Having the 'rak_coupon_read' permission would allow this request to continue."
    )
    monkeypatch.setattr(stripe_list, "NOT_PERMITTED", stripe_says)
    business.stripe.forbidden = {OBJECTS["subscription"].path}
    result = business.run()
    assert result.exit_code == 2
    assert "may not read Subscriptions (rak_coupon_read): give it this permission" in result.stderr
    assert "rk_test_" not in result.stderr


@pytest.mark.parametrize("level", ["traits", "opening", "history"])
def test_a_level_that_sends_needs_a_write_key_of_the_mode(business: Business, level: str) -> None:
    """Calls for which a live stack has no test source would be given up as unwanted, and count as sent."""
    business.here.put_keys(stripe_api_key=KEY, segment_write_key="w" * 32)
    business.stripe.objects = a_shop(1)
    result = business.run("--level", level)
    assert result.exit_code == 2
    assert "segment_test_write_key in the KeysSecret is empty" in result.stderr
    assert business.bodies == []
    assert business.run("--level", "state").exit_code == 0


def test_another_mode_is_refused(business: Business) -> None:
    result = business.run("--mode", "live")
    assert result.exit_code == 2
    assert "--mode is live, and the API key is of test mode" in result.stderr
    business.here.functions.variables |= {"STRIPE_MODE": "live"}
    assert "which this stack's StripeMode refuses" in business.run().stderr


def test_another_account_is_refused(business: Business) -> None:
    business.stripe.webhooks.clear()
    business.stripe.objects = a_shop(1)
    result = business.run()
    assert result.exit_code == 2
    assert "is it another account?" in result.stderr
    assert business.run("--unregistered").exit_code == 0


def test_an_account_that_cannot_be_checked_is_refused_unless_somebody_vouches_for_it(business: Business) -> None:
    """A key of another account that may not read endpoints was taken for one of this."""
    business.stripe.forbidden = {OBJECTS["webhook_endpoint"].path}
    result = business.run()
    assert result.exit_code == 2
    assert "a restricted key needs the permission 'Webhook Endpoints: Read'" in result.stderr
    assert business.bodies == []
    assert business.run("--unregistered").exit_code == 0


def test_another_account_is_refused_where_eventbridge_brings_the_events(business: Business) -> None:
    """Such a stack imported from whatever account the key was of."""
    destinations = business.stripe.destinations
    ours = destinations.add("", ["invoice.paid"], type="amazon_eventbridge")
    business.stripe.webhooks.clear()
    business.here.parameters["EventBusName"] = f"aws.partner/stripe.com/{ours['id']}"
    assert business.run().exit_code == 0
    destinations.allowed = False
    result = business.run()
    assert (result.exit_code, "cannot be checked: the Stripe API key may not" in result.stderr) == (2, True)
    destinations.allowed = True
    destinations.destinations.clear()
    result = business.run()
    assert result.exit_code == 2
    assert f"has no event destination for aws.partner/stripe.com/{ours['id']}: is it another account?" in result.stderr
    business.here.parameters["EventBusName"] = "a-bus-of-ours"
    result = business.run()
    assert "note: not checked" in result.stderr
    assert result.exit_code == 0


def test_another_import_does_not_go_on_with_this_ones_progress(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    business.interrupt_at = 2
    business.run("--level", "history")
    result = business.run("--level", "opening")
    assert result.exit_code == 2
    assert "had another --level" in result.stderr
    assert business.run("--level", "opening", "--restart").exit_code == 0


def test_progress_that_cannot_be_read_is_reported(business: Business) -> None:
    (business.folder / "import-stripe-to-segment-test.json").write_text('{"format": 9}', encoding="utf-8")
    result = business.run()
    assert result.exit_code == 2
    assert "--restart starts over" in result.stderr


def test_since_leaves_out_old_payments_and_no_customer(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    said = json.loads(business.run("--since", "40d", "--json").stdout)
    assert (said["listed"]["customer"], said["listed"]["subscription"]) == (1, 1)
    assert (said["listed"]["invoice"], said["listed"]["refund"]) == (1, 1), "the open invoice may yet be paid"


def test_since_is_the_time_of_the_payment_and_not_that_of_its_invoice(business: Business) -> None:
    """Lists go by creation: what paid an invoice from just before was listed alone, as a purchase."""
    since = NOW - 40 * DAY
    paid = {"status": "paid", "total": 2000, "amount_paid": 2000, "amount_due": 2000, "currency": "usd"}
    renewal = {"billing_reason": "subscription_cycle", "customer": "cus_0", "total_taxes": [], **paid}
    made = {"in_later": (-1800, 1800), "in_overdue": (-70 * DAY, DAY), "in_before": (-7200, -60)}
    for name, (created, paid_at) in made.items():
        intent = name.replace("in_", "pi_")
        parts = {"data": [{"status": "paid", "payment": {"type": "payment_intent", "payment_intent": intent}}]}
        times = {"created": since + created, "status_transitions": {"paid_at": since + paid_at}}
        money = {"amount": 2000, "amount_received": 2000, "currency": "usd", "customer": "cus_0"}
        business.stripe.objects += [
            an_invoice(id=name, payments=parts, **renewal, **times),
            an_intent(id=intent, created=since + paid_at - 6, **money),
        ]
    business.stripe.objects.append(a_customer(id="cus_0", created=NOW - 200 * DAY, metadata={"user_id": "u_0"}))
    result = business.run("--level", "history", "--since", "40d")
    assert result.exit_code == 0, result.output
    sent = [(call["event"], call["properties"]["order_id"]) for call in business.world.calls if "event" in call]
    assert sorted(sent) == [("Subscription Renewed", "in_later"), ("Subscription Renewed", "in_overdue")]


def test_since_is_a_time_in_the_past(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    result = business.run("--since", "2099-01-01")
    assert (result.exit_code, "--since 2099-01-01 is in the future" in result.stderr) == (2, True)
    # Longer ago than there are dates, and than Stripe: all there is.
    for ages in ("1601-01-01", "99999999999d"):
        assert json.loads(business.run("--since", ages, "--json").stdout)["listed"]["invoice"] == 2
    assert all(int(query.get("created[gte]", ["1"])[0]) > 0 for query in business.stripe.asked)


@pytest.mark.parametrize("stop_at", [1, 4, 9])
def test_what_the_file_of_users_has_too_much_is_listed_after_an_interruption_too(
    business: Business, tmp_path: Path, stop_at: int
) -> None:
    business.stripe.objects = a_shop(2)
    file = tmp_path / "users.csv"
    file.write_text("customer,user\ncus_0,another\ncus_1,u_1\ncus_gone,u_3\n", encoding="utf-8")
    business.interrupt_at = stop_at
    assert business.run("--level", "traits", "--users", str(file)).exit_code == 1
    result = business.run("--level", "traits", "--users", str(file), "--json")
    said = json.loads(result.stdout)
    assert (said["unknown_customers"], said["named_otherwise"]) == (["cus_gone"], ["cus_0"])


def test_users_name_customers_whom_metadata_does_not(business: Business, tmp_path: Path) -> None:
    plain, named = a_customer(id="cus_plain", created=NOW), a_customer(id="cus_named", created=NOW)
    business.stripe.objects = [plain, {**named, "metadata": {"user_id": "u_stripe"}}]
    file = tmp_path / "users.csv"
    file.write_text("customer,user,group\ncus_plain,u_1,g_1\ncus_named,u_2,\ncus_gone,u_3,\n", encoding="utf-8")
    result = business.run("--level", "traits", "--users", str(file))
    assert result.exit_code == 0, result.output
    told = {call["traits"]["stripe_customer_id"]: call["userId"] for call in business.world.calls if "traits" in call}
    assert told == {"cus_plain": "u_1", "cus_named": "u_stripe"}
    assert [call["groupId"] for call in business.world.calls if call["type"] == "group"] == ["g_1"]
    assert "cus_gone of --users is not in Stripe" in result.stderr
    assert "the metadata of cus_named names another user" in result.stderr


def test_users_give_way_to_a_user_under_any_key_that_the_stack_reads(business: Business, tmp_path: Path) -> None:
    """The file won where the metadata had the second of UserIdKeys, and nothing said so."""
    business.stripe.objects = [a_customer(id="cus_1", created=NOW, metadata={"userId": "u_stripe"})]
    file = tmp_path / "users.csv"
    file.write_text("customer,user\ncus_1,u_file\n", encoding="utf-8")
    result = business.run("--level", "traits", "--users", str(file))
    assert [call["userId"] for call in business.world.calls] == ["u_stripe"]
    assert "the metadata of cus_1 names another user" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"email,user\na@example.com,u\n", "line 1: 'email,user'; expected is a first line customer,user"),
        (b"customer,user\ncus_1\n", "line 2: 1 columns; expected are 2"),
        (b"customer,user\ncus_1,\n", "line 2: cus_1 has no user"),
        (b"customer,user\nada,u_1\n", "line 2: 'ada' is not the id of a Stripe customer"),
        (b"customer,user\ncus_1,u_1\n\ncus_1,u_2\n", "line 4: cus_1 is in line 2 already"),
        (b"customer,user\ncus_1,u_1\ncus_2,J\xf6\n", "line 3: not UTF-8"),
        (b"", "line 1: ''; expected is"),
        (b"customer,user\n\n", "line 3: the file names no customer; expected is"),
        (b"customer;user\ncus_1;u_1\n", "line 1: 'customer;user'; expected is a first line customer,user or "),
        (b"customer;user,group\n", ", with commas, and below it one line for each Stripe customer"),
        ("customer,user\ncus_1,u_1\n".encode("utf-16"), "line 1: not UTF-8"),
        (b'customer,user\ncus_1,"u_1\ncus_2,u_2\n', "line 2: unexpected end of data"),
        (b'customer,user\ncus_1,"u\n1"\ncus_1,u_2\n', "line 2: cus_1 has an invisible character"),
        (b"customer,user\ncus_1," + b"x" * 200_000 + b"\n", "line 2: field larger than field limit"),
        (b"customer,user\ncus_1," + b"x" * 501 + b"\n", "line 2: an id of 501 characters; expected are at most 500"),
        (b"customer,user\ncus_1,u\x00\n", "line 2: cus_1 has an invisible character"),
        # Excel shows a long number so, and saves what it shows: users with the same first digits became one.
        (b"customer,user\ncus_1,1.23457E+11\n", "line 2: '1.23457E+11' is a long number as a spreadsheet shows it"),
        (b"customer,user\ncus_1,1.23457e+11\n", "line 2: '1.23457e+11' is a long number as a spreadsheet shows it"),
        # A query writes NULL where there is no user: all of these customers became one.
        (b"customer,user\ncus_1,NULL\n", "line 2: 'NULL' is what a program writes for no value; expected is an id"),
        (b"customer,user,group\ncus_1,u_1,undefined\n", "line 2: 'undefined' is what a program writes for no value"),
        (b"customer,user\ncus_1,\\N\n", "line 2: '\\\\N' is what a program writes for no value"),
        ("customer,user\ncus_1,a\u2028b\ncus_2,\n".encode(), "line 3: cus_2 has no user"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_what_is_expected(
    business: Business, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "users.csv"
    file.write_bytes(content)
    result = business.run("--users", str(file))
    assert result.exit_code == 2
    assert said in result.stderr
    assert business.bodies == []


def test_the_command_names_the_integrations_and_they_stand_on_every_call(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    chosen = '{"All": false, "Mixpanel": true}'
    result = business.run("--level", "traits", "--integrations", chosen)
    assert f"the calls go to destinations too: integrations are {chosen}" in result.stderr
    assert [call["integrations"] for call in business.world.calls] == [json.loads(chosen)]
    assert business.run("--integrations", "none").exit_code == 2


@pytest.mark.parametrize(
    "chosen",
    [
        '{"all": false}',
        '{"All": "false"}',
        '{"All": NaN}',
        '{"All": {}}',
        '{"All": false, "Mixpanel": 1}',
        '{"All": false, "Mixpanel": "true"}',
        "{}",
        "[1]",
    ],
)
def test_integrations_that_segment_would_read_otherwise_are_refused(business: Business, chosen: str) -> None:
    """`{"all": false}` was taken, and would have sent the history to every destination; so was `"Mixpanel": 1`."""
    business.stripe.objects = a_shop(1)
    result = business.run("--level", "history", "--integrations", chosen)
    assert result.exit_code == 2
    assert "it takes a JSON object such as" in result.stderr
    assert business.bodies == []


def test_where_all_is_not_false_the_command_says_that_others_get_the_calls_too(business: Business) -> None:
    business.stripe.objects = a_shop(1)
    said = "destinations that are not named get them as well"
    assert said in business.run("--level", "traits", "--integrations", '{"Mixpanel": true}').stderr
    assert said not in business.run("--level", "traits", "--integrations", '{"All": false, "Mixpanel": true}').stderr


def test_an_object_too_large_for_the_queue_is_reported(business: Business) -> None:
    business.stripe.objects = [a_customer(id="cus_huge", created=NOW, description="x" * 1_100_000)]
    result = business.run()
    assert "cus_huge is too large for the queue" in result.stderr
    assert (result.exit_code, business.bodies) == (1, [])


def test_a_stack_that_remembers_nothing_is_refused(business: Business) -> None:
    business.here.functions.variables |= {"DELIVERY_MODE": "log"}
    result = business.run()
    assert result.exit_code == 2
    assert "DeliveryMode is log" in result.stderr


def test_a_group_column_needs_a_stack_that_knows_groups(business: Business, tmp_path: Path) -> None:
    """The groups were left out without a word."""
    business.here.functions.variables |= {"GROUP_ID_KEYS": ""}
    file = tmp_path / "users.csv"
    file.write_text("customer,user,group\ncus_1,u_1,g_1\n", encoding="utf-8")
    result = business.run("--users", str(file))
    assert result.exit_code == 2
    assert "GroupIdKeys is empty" in result.stderr


@pytest.mark.parametrize("active", [True, False])
def test_a_subscription_comes_with_all_its_items_and_the_tiers_of_their_prices(
    business: Business, *, active: bool
) -> None:
    """A list cuts the items, and has no tiers: the mrr of both stayed unknown, also that of an archived price."""
    tiers = [{"up_to": 10, "unit_amount": 300}, {"up_to": None, "unit_amount": 200}]
    tiered = a_price(None, id="price_tiered", billing_scheme="tiered", tiers_mode="volume")
    seats = a_subscription(an_item(tiered, quantity=20), id="sub_seats", customer="cus_1", created=NOW)
    items = [an_item(a_price(100), id=f"si_{number}") for number in range(25)]
    many = a_subscription(*items, id="sub_many", customer="cus_1", created=NOW)
    price = {**tiered, "tiers": tiers, "created": NOW - DAY, "active": active}
    business.stripe.objects = [a_customer(id="cus_1", created=NOW), price, seats, many]
    result = business.run()
    assert result.exit_code == 0, result.output
    profile = (
        DynamoStore(business.here.dynamodb, TABLE).load([("profile", "own:test:cus_1")]).profiles["own:test:cus_1"]
    )
    assert {name: one.mrr for name, one in profile.subscriptions.items()} == {"sub_seats": 4000, "sub_many": 2500}


@pytest.mark.parametrize("gone", [True, False], ids=["a currency without tiers", "a currency with tiers"])
def test_a_subscription_in_another_currency_comes_with_the_tiers_in_that_currency(
    business: Business, *, gone: bool
) -> None:
    """No list expands them."""
    seats = [{"up_to": None, "unit_amount": 300}]
    tiered = a_price(None, id="price_tiered", billing_scheme="tiered", tiers_mode="volume", tiers=seats, created=NOW)
    options = {"usd": {}, "eur": {} if gone else {"tiers": [{"up_to": None, "unit_amount": 250}]}}
    item = an_item({name: one for name, one in tiered.items() if name != "tiers"}, quantity=20)
    billed = a_subscription(item, id="sub_seats", customer="cus_1", created=NOW, currency="eur")
    business.stripe.objects = [a_customer(id="cus_1", created=NOW), {**tiered, "currency_options": options}, billed]
    result = business.run()
    assert result.exit_code == 0, result.output
    store = DynamoStore(business.here.dynamodb, TABLE)
    profile = store.load([("profile", "own:test:cus_1")]).profiles["own:test:cus_1"]
    assert profile.subscriptions["sub_seats"].mrr == (None if gone else 5000)


def test_guests_whom_a_session_names_are_users_too(business: Business) -> None:
    guest = a_session(id="cs_1", customer=None, client_reference_id="u_9", status="complete", created=NOW)
    business.stripe.objects = [guest, a_session(id="cs_2", customer="cus_1", status="complete", created=NOW)]
    business.run("--level", "traits")
    assert [(call["type"], call["userId"]) for call in business.world.calls] == [("identify", "u_9")]
    assert [name for level, name in business.listed if level == "traits"] == ["cs_1"]


@pytest.mark.parametrize(
    ("number", "said"),
    [(3, "2 subscriptions in Stripe, 0 known here"), (6, "0 of the newest 4 subscriptions in Stripe are known here")],
)
def test_a_number_of_subscriptions_that_was_cut_is_not_said_to_be_all(
    business: Business, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """A young one among the newest thousand was left out of the count, and 999 of many were said to be all."""
    monkeypatch.setattr(missing, "MOST", 5)
    now = int(time.time())
    business.stripe.objects = [
        a_subscription(id=f"sub_{one}", created=now - (0 if one == number - 1 else 2 * DAY) + one)
        for one in range(number)
    ]
    store = DynamoStore(business.here.dynamodb, TABLE)
    found = missing.subscriptions_known(Lists(KEY, business.stripe.url), store, livemode=False)
    assert found.said == said


def test_a_payment_that_names_its_invoice_is_no_record_of_its_own(business: Business) -> None:
    """Each invoice's payment was queued again: twice the records of a business that bills by invoices."""
    invoiced = {"payment_details": {"order_reference": "in_0"}}
    alone = an_intent(id="pi_alone", created=NOW, status="succeeded")
    business.stripe.objects = [*a_shop(1), an_intent(id="pi_0", created=NOW, status="succeeded", **invoiced), alone]
    result = business.run("--level", "history")
    assert result.exit_code == 0, result.output
    assert [name for level, name in business.listed if name.startswith("pi_") and level == "state"] == ["pi_alone"]
    assert names(business.world.calls).count("Order Completed") == 2


@pytest.mark.parametrize("status", ["paid", "open", "uncollectible"])
def test_an_invoice_that_was_paid_in_many_parts_has_all_of_them(business: Business, status: str) -> None:
    """Its list shows ten: a refund of the eleventh found no payment, and an unpaid invoice had been paid too little.

    What was paid of an invoice that was written off later was on no list at all.
    """
    parts = [
        {
            "id": f"inpay_{number}",
            "object": "invoice_payment",
            "amount_paid": 100,
            "amount_requested": 100,
            "created": NOW - 20 * DAY + number,
            "currency": "usd",
            "invoice": "in_many",
            "is_default": False,
            "payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"},
            "status": "paid",
            "status_transitions": {"paid_at": NOW - 20 * DAY + number},
        }
        for number in range(12)
    ]
    paid = {"total": 1500, "amount_due": 1500, "amount_paid": 1200, "currency": "usd", "total_taxes": []}
    if status == "paid":
        paid |= {"total": 1200, "amount_due": 1200, "status_transitions": {"paid_at": NOW - 20 * DAY}}
    many = an_invoice(
        id="in_many", customer="cus_1", created=NOW - 30 * DAY, status=status, payments={"data": parts}, **paid
    )
    refund = a_refund(id="re_1", amount=50, payment_intent="pi_11", currency="usd", created=NOW - DAY, customer=None)
    business.stripe.objects = [a_customer(id="cus_1", created=NOW - 40 * DAY), many, refund]
    result = business.run()
    assert result.exit_code == 0, result.output
    found = DynamoStore(business.here.dynamodb, TABLE).load([("profile", "own:test:cus_1")]).profiles
    assert found["own:test:cus_1"].paid == {"usd": 1150}
