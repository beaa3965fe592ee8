"""`audit` reads both sides and prints each difference with its reason; its exit status says if all are explained."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.auditing.books import Book, Kept
from stripe_to_segment.auditing.findings import Kind
from stripe_to_segment.auditing.truth import Entry
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.lists import Lists, Part
from stripe_to_segment.stripe_api.requests import Pace
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.audit import command
from stripe_to_segment_tools.commands.audit.explaining import explained
from stripe_to_segment_tools.commands.audit.export import Line, read_export
from stripe_to_segment_tools.commands.cli import app
from tests.simulator.imported import listed
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE
from tests.unit.shapes import DAY, a_customer, a_refund, a_subscription, an_event, an_invoice, an_item
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.stripe_side.event import StripeEvent


def not_on_the_last_day_of_a_month(at: int) -> int:
    """This second, or that of two days before: in Stripe's time zone the last hours of a month may be of the next."""
    return at if time.gmtime(at + DAY).tm_mon == time.gmtime(at).tm_mon else at - 2 * DAY


NOW = not_on_the_last_day_of_a_month(int(time.time()) - 3_600)
MONTH = time.strftime("%Y-%m", time.gmtime(NOW))


class Business:
    """A stack that began a hundred days ago, and Stripe's lists of what happened."""

    def __init__(self, here: Deployed, stripe: StripeList) -> None:
        self.here, self.stripe = here, stripe
        self.world = World(DynamoStore(here.dynamodb, TABLE))
        self.world.now = NOW + 60
        self.events: list[StripeEvent] = []

    def happened(self, *events: StripeEvent, here: bool = True) -> None:
        """Something happened in Stripe; its event was delivered, or not."""
        self.events += events
        self.stripe.objects = listed([event.body for event in self.events], 10**10)
        if here:
            for event in events:
                self.world.batch(event)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["audit", *words, "--stripe-api-base", self.stripe.url])


@pytest.fixture
def business(monkeypatch: pytest.MonkeyPatch) -> Iterator[Business]:
    monkeypatch.delenv("STRIPE_API_KEY", raising=False)
    with StripeList() as stripe, deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": stripe.url}
        stack.put_keys(stripe_api_key=KEY)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        monkeypatch.setattr(command, "Lists", lambda key, base: Lists(key, base, Pace(0, pause=lambda _: None)))
        monkeypatch.setattr(DynamoStore, "began", lambda _: NOW - 100 * DAY)
        found = Business(stack, stripe)
        found.happened(*a_life(1), *a_life(2, currency="eur"))
        yield found


def a_life(number: int, currency: str = "usd") -> list[StripeEvent]:
    """A customer with a subscription, its first invoice, and a refund of a part."""
    customer, at = f"cus_{number}", NOW - number * 60
    paid = {"status": "paid", "status_transitions": {"paid_at": at}, "customer": customer, "currency": currency}
    joined = {"id": f"inpay_{number}", "object": "invoice_payment", "invoice": f"in_{number}", "amount_paid": 2000}
    joined |= {"is_default": True, "currency": currency}
    joined |= {"payment": {"type": "payment_intent", "payment_intent": f"pi_{number}"}}
    items = an_item()
    items["price"] |= {"currency": currency}
    subscription = a_subscription(items, id=f"sub_{number}", customer=customer, created=at, currency=currency)
    refund = {"amount": 500, "payment_intent": f"pi_{number}", "currency": currency, "created": at}
    return [
        an_event("customer.created", a_customer(id=customer, metadata={"user_id": f"u_{number}"}), created=at),
        an_event("customer.subscription.created", subscription, created=at),
        an_event("invoice_payment.paid", joined, created=at),
        an_event("invoice.paid", an_invoice(id=f"in_{number}", created=at, **paid), created=at),
        an_event("refund.created", a_refund(id=f"re_{number}", customer=customer, **refund), created=at),
    ]


def test_a_clean_business_ends_with_nothing_unexplained(business: Business) -> None:
    result = business.run()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "0.00 unexplained"
    assert "payments" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines() if line.strip().startswith(("payments", "live"))]
    assert rows == [
        ["payments", "EUR", "20.00", "20.00", "20.00", "0.00", "0.00"],
        ["payments", "USD", "20.00", "20.00", "20.00", "0.00", "0.00"],
        ["live", "subscriptions", "EUR", "1", "1", "1", "0", "0"],
        ["live", "subscriptions", "USD", "1", "1", "1", "0", "0"],
    ]


def test_what_is_deleted_between_two_pages_does_not_end_an_audit(
    business: Business, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stripe refuses the page after an object that is gone: an audit of a busy account ended with that error."""
    drafts = [an_invoice(id=f"in_{number}d", status="draft", created=NOW - 100 - number) for number in range(130)]
    business.stripe.objects += drafts
    page = Lists.page

    def deleting(self: Lists, part: Part) -> tuple[list[dict[str, Any]], bool]:
        found, more = page(self, part)
        if part.kind == "invoice" and more:
            business.stripe.objects = [one for one in business.stripe.objects if one["id"] != found[-1]["id"]]
        return found, more

    monkeypatch.setattr(Lists, "page", deleting)
    result = business.run()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "0.00 unexplained"


def test_what_is_explained_is_named_and_is_no_failure(business: Business) -> None:
    business.happened(*a_life(3), here=False)
    result = business.run()
    assert result.exit_code == 0, result.output
    assert "never_came (4): its event never came here: run `stripe-to-segment backfill`" in result.stdout
    assert result.stdout.splitlines()[-1] == "0.00 unexplained; 4 differences, each explained"
    for name in ("in_3", "re_3", "sub_3"):
        assert name in result.stdout


def test_what_waits_in_a_queue_is_no_loss(business: Business) -> None:
    business.happened(*a_life(3), here=False)
    business.here.sqs.send_message(QueueUrl=business.here.events_url, MessageBody="{}")
    said = json.loads(business.run("--json").stdout)
    assert {one["reason"] for one in said["differences"]} == {"waits"}


def test_a_dead_letter_explains_its_object_alone(business: Business) -> None:
    *others, invoice, refund = a_life(3)
    business.happened(*others, invoice, refund, here=False)
    business.here.dead_letter(json.dumps(invoice.body), reason="http_400")
    business.here.dead_letter("no event", reason="not_an_event")
    said = json.loads(business.run("--json").stdout)
    found = {one["id"]: one["reason"] for one in said["differences"]}
    assert found == {"in_3": "dead_letter", "re_3": "never_came", "sub_3": "never_came"}


@pytest.mark.parametrize("on", ["sub_1", "cus_1"])
def test_a_dead_letter_of_a_discount_explains_the_mrr(business: Business, on: str) -> None:
    """It has the id of the discount alone, so the mrr that Stripe lowers was of an event that never came."""
    half = {"id": "half", "object": "coupon", "percent_off": 50, "duration": "forever", "created": NOW}
    discount: dict[str, Any] = {"id": "di_1", "object": "discount", "customer": "cus_1", "start": NOW}
    discount |= {"subscription": on if on != "cus_1" else None, "source": {"type": "coupon", "coupon": half}}
    event = an_event("customer.discount.created", discount, created=NOW)
    has = {"discounts": [discount]} if on != "cus_1" else {"discount": discount}
    business.stripe.objects = [half, *({**one, **has} if one["id"] == on else one for one in business.stripe.objects)]
    business.here.dead_letter(json.dumps(event.body), reason="http_400")
    (found,) = json.loads(business.run("--json").stdout)["differences"]
    assert (found["id"], found["amount"], found["reason"]) == ("sub_1", "-10.00", "dead_letter")


def test_the_dead_letter_of_a_thin_event_explains_its_object(business: Business) -> None:
    """It was of an event that never came: a thin event has no object, only the address of one."""
    *others, invoice, refund = a_life(3)
    business.happened(*others, refund)
    business.happened(invoice, here=False)
    related = {"id": "in_3", "type": "invoice", "url": "/v1/invoices/in_3"}
    thin = {"id": "evt_thin", "object": "v2.core.event", "type": "v1.invoice.paid", "livemode": False, "context": None}
    thin |= {"created": "2026-11-18T11:06:40.123Z", "related_object": related}
    business.here.dead_letter(json.dumps(thin), reason="mapper_failed")
    found = json.loads(business.run("--json").stdout)["differences"]
    assert {(one["id"], one["reason"]) for one in found if one["kind"] == "payments"} == {("in_3", "dead_letter")}


def test_an_unexplained_cent_fails(business: Business) -> None:
    business.stripe.objects = [
        {**one, "amount_paid": 2001} if one["id"] == "in_1" else one for one in business.stripe.objects
    ]
    result = business.run()
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "unexplained: 0.01 USD of payments"


def test_the_table_and_the_last_line_count_the_same_cents(business: Business) -> None:
    """The table netted what nothing explains, and left out a record that differs where what was sent is right.

    So it ended in columns of 0.00 above "unexplained: 35,991.00 USD of payments".
    """
    business.happened(*a_life(4))
    wrong = {"in_1": 2001, "in_4": 1999}
    business.stripe.objects = [
        {**one, "amount_paid": wrong[one["id"]]} if one["id"] in wrong else one for one in business.stripe.objects
    ]
    result = business.run()
    assert result.stdout.splitlines()[-1] == "unexplained: 0.02 USD of payments"
    (row,) = [line.split() for line in result.stdout.splitlines() if line.split()[:2] == ["payments", "USD"]]
    assert row[-2:] == ["0.00", "0.02"]
    said = json.loads(business.run("--json").stdout)
    assert [row["unexplained"] for row in said["rows"] if row["kind"] == "payments"] == ["0.00", "0.02"]


def test_json_is_one_document_with_the_same_content(business: Business) -> None:
    business.happened(*a_life(3), here=False)
    said = json.loads(business.run("--json").stdout)
    assert (said["explained"], said["mode"], said["month"]) == (True, "test", None)
    assert said["verdict"] == "0.00 unexplained; 4 differences, each explained"
    assert said["rows"][1] == {
        "kind": "payments",
        "currency": "USD",
        "stripe": "40.00",
        "sent": "20.00",
        "remembered": "20.00",
        "difference": "20.00",
        "unexplained": "0.00",
    }


def test_what_is_not_compared_is_counted(business: Business) -> None:
    """An account that is connected, and money that was given back outside of Stripe."""
    note = {
        "id": "cn_1",
        "object": "credit_note",
        "invoice": "in_1",
        "customer": "cus_1",
        "currency": "usd",
        "created": NOW,
    }
    note |= {"amount": 700, "total": 700, "out_of_band_amount": 700, "status": "issued", "type": "post_payment"}
    business.world.batch(an_event("credit_note.created", note, created=NOW))
    world = World(business.world.store, CONNECT_EVENTS="accept")
    world.now = NOW + 60
    world.batch(*(an_event(event.type, event.object, created=NOW, account="acct_1") for event in a_life(4)))
    said = json.loads(business.run("--json").stdout)
    assert said["left_out"] == {"customers_of_connected_accounts": 1, "credit_notes_outside_of_stripe": 1}
    assert said["differences"] == []
    text = business.run()
    assert text.exit_code == 0
    assert "not compared: customers of connected accounts (1)" in text.stdout
    assert "not compared: credit notes for money given back outside of Stripe (1)" in text.stdout


def test_a_month_has_its_own_sums(business: Business) -> None:
    old = [
        an_event(event.type, {**event.object, "created": NOW - 70 * DAY}, created=NOW - 70 * DAY) for event in a_life(3)
    ]
    for event in old:
        event.object.get("status_transitions", {})["paid_at"] = NOW - 70 * DAY
    business.happened(*old)
    rows = {
        (each["kind"], each["currency"]): each
        for each in json.loads(business.run("--json", "--month", MONTH).stdout)["rows"]
    }
    assert rows["payments", "USD"]["stripe"] == rows["payments", "USD"]["sent"] == "20.00"
    month = time.strftime("%Y-%m", time.gmtime(NOW - 70 * DAY))
    result = business.run("--month", month)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "0.00 unexplained"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--month", "October"), "--month: 'October' is no month such as 2026-10"),
        (("--month", "2099-01"), "--month: 2099-01 has not begun"),
    ],
)
def test_a_month_that_is_none_is_refused(business: Business, words: tuple[str, ...], said: str) -> None:
    result = business.run(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_stack_that_only_logs_cannot_be_audited(business: Business) -> None:
    business.here.functions.variables |= {"DELIVERY_MODE": "log"}
    result = business.run()
    assert result.exit_code == 2
    assert "DeliveryMode is log" in result.stderr


def test_a_permission_that_is_missing_is_named(business: Business) -> None:
    business.stripe.forbidden = {"/v1/disputes"}
    result = business.run()
    assert result.exit_code == 2
    assert "may not read Disputes" in result.stderr


def test_no_personal_data_is_printed(business: Business) -> None:
    business.happened(*a_life(3), here=False)
    for words in ((), ("--json",)):
        shown = business.run(*words).output
        assert "jo@example.com" not in shown
        assert "Jo Example" not in shown
        assert "u_1" not in shown


# --- Stripe's own export ---


def exported(folder: Path, text: str) -> str:
    path = folder / "mrr.csv"
    path.write_text(text, "utf-8")
    return str(path)


def test_an_export_that_agrees_is_explained(business: Business, tmp_path: Path) -> None:
    path = exported(tmp_path, f"Customer ID,Customer name,Currency,{MONTH}\ncus_1,Jo,usd,20.00\ncus_2,Jo,eur,20.00\n")
    result = business.run("--stripe-csv", path)
    assert result.exit_code == 0, result.output
    assert "Stripe's export: 2 lines, 0 differ" in result.stdout


def test_each_line_that_differs_has_a_reason(business: Business, tmp_path: Path) -> None:
    business.stripe.objects = [
        {**one, "discounts": [{"id": "di_1", "source": {"coupon": {"id": "c", "percent_off": 50, "duration": "once"}}}]}
        if one["id"] == "sub_1"
        else one
        for one in business.stripe.objects
    ]
    lines = (
        f"customer_id,month,mrr,currency\ncus_1,{MONTH}-28,10.00,usd\ncus_2,{MONTH},22.50,usd\ncus_9,{MONTH},1,usd\n"
    )
    result = business.run("--json", "--stripe-csv", exported(tmp_path, lines))
    said = json.loads(result.stdout)
    assert {each["customer"]: each["reason"] for each in said["export"]} == {
        "cus_1": "discount rule",
        "cus_2": "currency conversion",
        "cus_9": "no subscription of this customer is listed or remembered",
    }
    first = said["export"][0]
    assert (first["ours"], first["stripe"], first["difference"]) == ("20.00", "10.00", "-10.00")


def test_a_line_that_nothing_explains_fails(business: Business, tmp_path: Path) -> None:
    month = time.strftime("%b %Y", time.gmtime(NOW))
    path = exported(tmp_path, f"customer,currency,{month}\ncus_1,usd,25.00\ncus_2,eur,20\n")
    result = business.run("--stripe-csv", path)
    assert result.exit_code == 1
    assert "unexplained: 1 line of Stripe's export" in result.stdout


def test_a_customer_whom_the_export_leaves_out_is_a_line_too(business: Business, tmp_path: Path) -> None:
    """Only the lines of the file were compared, so an export without half of the mrr ended with 0.00 unexplained."""
    result = business.run("--json", "--stripe-csv", exported(tmp_path, f"customer_id,{MONTH},2020-01\ncus_1,20,0\n"))
    assert result.exit_code == 1
    absent = json.loads(result.stdout)["export"][2:]
    assert [(one["customer"], one["month"], one["currency"], one["difference"], one["reason"]) for one in absent] == [
        ("cus_2", MONTH, "EUR", "-20.00", "unknown")
    ]


def test_an_export_without_a_currency_is_in_that_of_most_lines(business: Business, tmp_path: Path) -> None:
    """Stripe converts into the account's currency: each customer of another one was a failure."""
    business.happened(*a_life(3), *a_life(4))
    text = f"customer_id,{MONTH}\ncus_1,20\ncus_2,23.10\ncus_3,20\ncus_4,21\n"
    result = business.run("--json", "--stripe-csv", exported(tmp_path, text))
    reasons = {each["customer"]: each["reason"] for each in json.loads(result.stdout)["export"]}
    assert reasons == {"cus_1": "", "cus_2": "currency conversion", "cus_3": "", "cus_4": "unknown"}


def test_the_rows_of_one_customer_are_one_line(business: Business, tmp_path: Path) -> None:
    """Each row of a customer with two subscriptions was held against the sum of both."""
    business.happened(*(a_life(3)[:2]), a_second_subscription(3))
    rows = f"{MONTH},20.00,usd\ncus_3,{MONTH},20.00,usd\n"
    text = f"customer_id,month,mrr,currency\ncus_1,{MONTH},20,usd\ncus_2,{MONTH},20,eur\ncus_3,{rows},,,\n"
    result = business.run("--stripe-csv", exported(tmp_path, text))
    assert result.exit_code == 0, result.output
    assert "Stripe's export: 3 lines, 0 differ" in result.stdout


def a_second_subscription(number: int) -> StripeEvent:
    body = a_subscription(an_item(), id="sub_second", customer=f"cus_{number}", created=NOW)
    return an_event("customer.subscription.created", body, created=NOW)


def a_book(**sent: int) -> Book:
    """A customer with these changes of the mrr, in cents by month: 10 for 2026-10."""
    book = Book("own:test:cus_1")
    book.sent |= {(Kind.MRR, "usd", f"2026-{month[1:]}"): amount for month, amount in sent.items()}
    return book


def explained_line(
    line: str, began: datetime, paid: int | None = None, ended: datetime | None = None, **sent: int
) -> str:
    """The reason of a line: its month, and Stripe's number. `paid` is when the customer paid first."""
    month, mrr = line.split()
    entry, book = Entry("sub_1", "usd", 0, int(began.timestamp()), "own:test:cus_1", "", {"sub_1"}), a_book(**sent)
    entry.ended = 0 if ended is None else int(ended.timestamp())
    book.payments |= {} if paid is None else {"in_1": Kept("in_1", "usd", 2000, paid)}
    (found,) = explained([Line("cus_1", month, Decimal(mrr), "usd")], {"cus_1": book}, [entry], [])
    return found.reason


def test_a_change_in_the_hours_that_are_in_another_month_for_stripe_is_explained() -> None:
    """Every change within hours of a month's end failed the audit of an account with another time zone than UTC."""
    old, near, no = datetime(2026, 1, 15, tzinfo=UTC), datetime(2026, 10, 31, 20, tzinfo=UTC), "unknown"
    assert explained_line("2026-10 30.00", old, _08=2000, _11=1000) == "time zone", "east of UTC an upgrade is earlier"
    assert explained_line("2026-10 20.00", old, _08=2000, _10=1000) == "time zone", "and west of it later, or reversed"
    assert explained_line("2026-10 0.00", near, _10=2000) == "time zone"
    assert explained_line("2026-12 20.00", old, _08=2000, _12=1000) == "time zone", "the last month of a year"
    assert explained_line("2026-10 25.00", old, _08=2000, _11=1000) == no
    amid = datetime(2026, 10, 15, tzinfo=UTC)
    assert explained_line("2026-10 5.00", amid, _10=2000) == no, "it began amid the month"
    assert explained_line("2026-10 20.00", old, ended=near, _08=2000, _10=-2000) == "time zone"
    assert explained_line("2026-10 20.00", old, ended=amid, _08=2000, _10=-2000) == no, "it ended amid the month"


def explained_terms(mrr: str, *coupons: str, now: int = 2000, traits: str = "", **rules: int) -> str:
    """The reason of a line over Stripe's number in a month of which we sent 20; `now` is the mrr of today."""
    began = int(datetime(2026, 1, 15, tzinfo=UTC).timestamp())
    entry, book = Entry("sub_1", "usd", now, began, "own:test:cus_1", "", {"sub_1"}), a_book(_08=2000)
    entry.traits, entry.rules, book.coupons = frozenset(traits.split()), rules, coupons
    book.payments["in_1"] = Kept("in_1", "usd", 2000, began)
    (found,) = explained([Line("cus_1", "2026-09", Decimal(mrr), "usd")], {"cus_1": book}, [entry], [])
    return found.reason


def test_a_discount_explains_a_line_only_where_stripe_may_have_counted_it() -> None:
    """Every line of a customer with a discount was explained, also where a call of the mrr had been sent twice.

    And one of the months before a coupon had ended was not.
    """
    once = {"forever": 2000, "all": 1500, "none": 2000}
    assert explained_terms("15.00", traits="discount", **once) == "discount rule"
    assert explained_terms("14.99", traits="discount", **once) == "discount rule", "it is rounded by itself"
    assert explained_terms("40.00", traits="discount", **once) == "unknown"
    assert explained_terms("19.00", traits="discount", **once) == "unknown"
    twice_as_much = {rule: 2 * amount for rule, amount in once.items()}
    assert explained_terms("15.00", now=4000, traits="discount", **twice_as_much) == "discount rule", "of the plan then"
    free = {"forever": 0, "all": 0, "none": 3000}
    assert explained_terms("50.00", now=0, traits="discount", **free) == "discount rule"
    assert explained_terms("16.00", '{"percent_off": "20"}') == "discount rule", "the coupon has ended since"
    assert explained_terms("25.00", '{"percent_off": "20"}') == "discount rule", "it counts for us alone"
    assert explained_terms("17.00", '{"amount_off": 300, "currency": "usd"}') == "discount rule"
    assert explained_terms("18.00", '{"percent_off": "20"}', '{"id": "unknown"}') == "unknown"
    assert explained_terms("60.00", '{"percent_off": "100"}') == "unknown"


def test_a_line_in_yen_is_rounded_to_a_yen() -> None:
    """15 % off 999 yen are 849 in Stripe; it differed from 849.15 by more than a cent."""
    entry, book = Entry("sub_1", "jpy", 999, 0, "own:test:cus_1", "", {"sub_1"}), Book("own:test:cus_1")
    book.sent[Kind.MRR, "jpy", "2026-09"], book.coupons = 999, ('{"percent_off": "15"}',)
    lines = [Line("cus_1", "2026-09", Decimal(mrr), "jpy") for mrr in ("849", "998", "900")]
    found = explained(lines, {"cus_1": book}, [entry], [])
    assert [one.reason for one in found] == ["discount rule", "rounding", "unknown"]


def test_usage_and_trials_explain_no_line_of_less_than_was_sent() -> None:
    """They count for Stripe, and never for us."""
    assert explained_terms("25.00", traits="metered") == "metered price"
    assert explained_terms("25.00", traits="trial") == "trial"
    assert explained_terms("15.00", traits="metered") == explained_terms("15.00", traits="trial") == "unknown"


def test_a_subscriber_who_has_not_paid_yet_may_not_count_in_stripe() -> None:
    """An account can count subscribers from their first payment on: each unpaid first invoice failed the audit.

    https://docs.stripe.com/billing/subscriptions/analytics#active-subscribers
    """
    amid, end = datetime(2026, 10, 15, tzinfo=UTC), int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())
    assert explained_line("2026-10 0.00", amid, _10=2000) == "no payment yet"
    assert explained_line("2026-10 0.00", amid, paid=end, _10=2000) == "no payment yet", "a second too late"
    assert explained_line("2026-10 0.00", amid, paid=end - 1, _10=2000) == "unknown"
    assert explained_line("2026-12 0.00", amid, paid=end, _10=2000) == "unknown"
    assert explained_line("2026-10 19.00", amid, _10=2000) == "unknown", "it counts, but for less"


@pytest.mark.parametrize("text", ["", "name,email\nJo,jo@example.com\n", "customer_id,plan\ncus_1,pro\n"])
def test_a_file_with_other_columns_is_refused_with_those_that_are_expected(
    business: Business, tmp_path: Path, text: str
) -> None:
    result = business.run("--stripe-csv", exported(tmp_path, text))
    assert result.exit_code == 2
    assert "expected is a column for the customer's id (customer_id)" in " ".join(result.stderr.split())


STRIPES_OWN = '"Example, Jo",jo@example.com,cus_1,2026-01-31,,usd,20.00'


@pytest.mark.parametrize(
    ("text", "mrr"),
    [
        ("customer_id;month;mrr\ncus_1;2026-10;1.234,56 €\n", "1234.56"),
        ("customer_id\tmonth\tmrr\ncus_1\tOct-26\t20,00\n", "20.00"),
        # As many decimal commas as columns: the file was taken for one with commas between them.
        ("Report;MRR\n\nCustomer ID;Oct 2026\ncus_1;20,00 €\n", "20.00"),
        ('MRR per subscriber\n\nCustomer,Oct 2026\ncus_1,"$1,234.56"\nTotal,9\n', "1234.56"),
        ("Subscriber ID,10/31/2026\ncus_1,(12.00)\n", "-12.00"),
        ("customer_id,month_end,mrr_in_usd\ncus_1,2026-10-31,-\n", "0"),
        ("\ufeffcustomer_id,month,mrr\r\ncus_1,2026-10-31T00:00:00Z,20\r\n,,\r\n", "20"),
        ("customer_id,month,mrr\ncus_1,2026-10-31 23:59:59 UTC,20\n", "20"),
        ('"customer_id","month","mrr"\n"cus_1","Oct 31, 2026","20"\n', "20"),
        ("customer_id,31-Oct-26\ncus_1,20\n", "20"),
        ('customer_id,2026-10\ncus_1,"1,234"\n', "1234"),
        # The columns that scripts of others read, which work on what Stripe exports.
        (f"Customer,Customer Email,Customer ID,Start Date,End Date,Currency,2026-10\n{STRIPES_OWN}\n", "20.00"),
    ],
)
def test_an_export_is_read_whatever_separates_its_columns_and_figures(tmp_path: Path, text: str, mrr: str) -> None:
    """A comma before the cents made 20,00 two thousand."""
    (line,) = read_export(Path(exported(tmp_path, text)))
    assert (line.customer, line.month, str(line.mrr)) == ("cus_1", "2026-10", mrr)


def test_a_broken_line_is_named(business: Business, tmp_path: Path) -> None:
    """A word was 0, and 1.2E+3 was 1.23."""
    for cell in ("1-2-3", "abc", "1.2E+3"):
        result = business.run("--stripe-csv", exported(tmp_path, f"customer_id,2026-10\ncus_1,{cell}\n"))
        assert result.exit_code == 2
        assert f"line 2 has {cell!r} in place of an amount" in result.stderr
    result = business.run("--stripe-csv", exported(tmp_path, "customer_id,currency,2026-10\ncus_1,US Dollar,1\n"))
    assert (result.exit_code, "line 2 has 'us dollar' in place of a currency" in result.stderr) == (2, True)
    result = business.run("--stripe-csv", str(tmp_path / "none.csv"))
    assert result.exit_code == 2
    (tmp_path / "latin.csv").write_bytes("customer_id;Kundenname;2026-10\ncus_1;Müller;1\n".encode("latin-1"))
    result = business.run("--stripe-csv", str(tmp_path / "latin.csv"))
    assert (result.exit_code, "it is not in UTF-8" in result.stderr) == (2, True)
