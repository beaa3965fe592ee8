"""Among payments of equal amounts, in three currencies and several months, the audit names the right ones, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.auditing.circumstances import Letter
from stripe_to_segment.auditing.findings import Cause, Kind
from stripe_to_segment.segment_side.answers import Answer, Meaning
from tests.unit.shapes import DAY
from tests.unit.shop import (
    MONTHS,
    Shop,
    at,
    charge_refunded,
    customer,
    dispute,
    ended,
    intent,
    invoice,
    refund,
    subscription,
    turned,
)
from tests.unit.worlds import ACCEPTED

if TYPE_CHECKING:
    from stripe_to_segment.auditing.findings import Report
    from stripe_to_segment.segment_side.calls import Call

AUGUST, SEPTEMBER, OCTOBER, NOVEMBER = MONTHS
RENEWALS_DROPPED = {"DROP_EVENTS": "Subscription Renewed"}


def named(report: Report) -> set[tuple[str, str, int]]:
    """Each difference: its reason, its object and its amount in minor units."""
    return {(one.cause, one.id, one.amount) for one in report.findings}


def an_invoice_of(number: int, place: int) -> set[str]:
    return {f"in_{number}_{place}", f"inpay_{number}_{place}"}


def told_of(order: str) -> Any:
    def answer(call: Call) -> Answer:
        properties: Any = call.body.get("properties", {})
        return Answer(Meaning.REFUSED, "http_400") if properties.get("order_id") == order else ACCEPTED

    return answer


PARTIAL = [refund(name, 1, 2, OCTOBER + DAY, 500) for name in ("a", "b", "c")]
FAILED = [
    refund("f", 3, 1, SEPTEMBER + DAY, 2000, "eur"),
    refund("f", 3, 1, SEPTEMBER + 9 * DAY, 2000, "eur", failed=True),
]
DISPUTED = [dispute(2, 1, SEPTEMBER + DAY), dispute(2, 1, SEPTEMBER + DAY, what="funds_withdrawn")]
OUT: dict[str, Any] = {"updated": True, "analytics_opt_out": "true"}
BACK: dict[str, Any] = {**OUT, "analytics_opt_out": "false"}
OLD = [
    *(intent(7, place, AUGUST + place) for place in range(2)),
    *(refund(name, 7, 0, SEPTEMBER + place, 1000) for place, name in enumerate("ab")),
]
SECOND = subscription(1, SEPTEMBER, also="b", began=SEPTEMBER)

FAULTS: dict[str, tuple[Shop, set[tuple[Any, str, int]]]] = {
    "one of four equal renewals never came": (
        Shop(lost=an_invoice_of(1, 1) | an_invoice_of(5, 2)),
        {(Cause.NEVER_CAME, "in_1_1", 2000), (Cause.NEVER_CAME, "in_5_2", 2000)},
    ),
    "one of three equal refunds of one payment never came": (
        Shop(PARTIAL, lost={"re_b"}),
        {(Cause.NEVER_CAME, "re_b", 500)},
    ),
    "that a refund failed never came": (
        Shop(FAILED, lost={"refund.failed re_f"}),
        {(Cause.NEVER_CAME, "re_f", -2000)},
    ),
    "the event of the failure is dropped": (
        Shop(FAILED, settings={0: {"DROP_EVENTS": "Refund Failed"}}),
        {(Cause.DROPPED, "re_f", -2000)},
    ),
    "the event of a refund that failed later is dropped": (
        Shop(FAILED, settings={0: {"DROP_EVENTS": "Order Refunded"}}),
        {(Cause.DROPPED, "re_f", 2000)},
    ),
    "the person opts out between a refund and its failure": (
        Shop(
            [
                *FAILED,
                customer(3, SEPTEMBER + 2 * DAY, **OUT),
                customer(3, SEPTEMBER + 20 * DAY, **BACK),
            ]
        ),
        {(Cause.OPTED_OUT, "re_f", -2000)},
    ),
    "an old endpoint tells the sums of refunds, and the first of two is lost": (
        Shop(
            [
                *OLD,
                customer(7),
                charge_refunded(7, 0, SEPTEMBER, 1000, 0),
                charge_refunded(7, 0, SEPTEMBER + 1, 2000, 1000),
            ],
            lost={"re_a", "re_b"},
        ),
        set(),
    ),
    "of the two only the second is told": (
        Shop([*OLD, customer(7), charge_refunded(7, 0, SEPTEMBER + 1, 2000, 1000)], lost={"re_a", "re_b"}),
        {(Cause.NEVER_CAME, "re_a", 1000)},
    ),
    "an old endpoint tells the sum of a refund, and not that it failed": (
        Shop(
            [
                intent(7, 0, AUGUST),
                customer(7),
                charge_refunded(7, 0, SEPTEMBER, 1000, 0),
                refund("f", 7, 0, SEPTEMBER, 1000),
                refund("f", 7, 0, SEPTEMBER + DAY, 1000, failed=True),
            ],
            lost={"re_f"},
        ),
        {(Cause.NEVER_CAME, "re_f", -1000)},
    ),
    "a disputed payment never came, nor that the dispute took the funds": (
        Shop(
            [
                intent(7, 1, AUGUST),
                customer(7),
                dispute(7, 1, SEPTEMBER, 5000),
                dispute(7, 1, SEPTEMBER, 5000, "funds_withdrawn"),
            ],
            lost={"payment_intent.succeeded pi_7_1", "charge.dispute.funds_withdrawn dp_7_1"},
        ),
        {(Cause.NEVER_CAME, "pi_7_1", 5000), (Cause.NEVER_CAME, "dp_7_1", 5000)},
    ),
    "that a dispute took the funds never came": (
        Shop(DISPUTED, lost={"charge.dispute.funds_withdrawn dp_2_1"}),
        {(Cause.NEVER_CAME, "dp_2_1", 2000)},
    ),
    "a whole dispute never came, beside one of the same customer and amount": (
        Shop(
            [*DISPUTED, dispute(2, 2, OCTOBER + DAY), dispute(2, 2, OCTOBER + DAY, what="funds_withdrawn")],
            lost={"dp_2_1"},
        ),
        {(Cause.NEVER_CAME, "dp_2_1", 2000)},
    ),
    "an upgrade of one of two equal subscriptions never came": (
        Shop(
            [SECOND, subscription(1, OCTOBER, 3000, also="b", was=2000, began=SEPTEMBER)],
            lost={"customer.subscription.updated sub_1b"},
        ),
        {(Cause.NEVER_CAME, "sub_1b", 1000)},
    ),
    "upgrades are dropped": (
        Shop([subscription(1, SEPTEMBER, 3000, was=2000)], settings={0: {"DROP_EVENTS": "Subscription Upgraded"}}),
        {(Cause.DROPPED, "sub_1", 1000)},
    ),
    "cancellations are dropped": (
        Shop([ended(1, OCTOBER)], settings={0: {"DROP_EVENTS": "Subscription Cancelled"}}),
        {(Cause.DROPPED, "sub_1", -2000)},
    ),
    "that a trial became a paying subscription never came": (
        Shop(
            [
                customer(9),
                subscription(9, AUGUST, status="trialing", trial_start=AUGUST, trial_end=SEPTEMBER, began=AUGUST),
                turned(9, SEPTEMBER, "active", "trialing", trial_start=AUGUST, trial_end=SEPTEMBER, began=AUGUST),
            ],
            lost={"customer.subscription.updated sub_9"},
        ),
        {(Cause.NEVER_CAME, "sub_9", 2000)},
    ),
    "that a subscription is unpaid never came": (
        Shop([turned(4, OCTOBER, "unpaid", "past_due", "eur")], lost={"customer.subscription.updated sub_4"}),
        {(Cause.NEVER_CAME, "sub_4", -2000)},
    ),
    "a cancellation is a dead letter": (
        Shop(
            [ended(4, OCTOBER, "eur")],
            lost={"customer.subscription.deleted sub_4"},
            letters=(Letter("customer.subscription.deleted", frozenset({"sub_4"})),),
        ),
        {(Cause.DEAD_LETTER, "sub_4", -2000), (Cause.DEAD_LETTER, "sub_4", -1)},
    ),
    "a payment of three decimals and a refund of none never came": (
        Shop(
            [
                customer(9),
                subscription(9, AUGUST, 12345, "kwd", began=AUGUST),
                *invoice(9, 0, AUGUST, 12345, "kwd"),
                *invoice(9, 1, SEPTEMBER, 12345, "kwd"),
                refund("j", 5, 1, SEPTEMBER + DAY, 700, "jpy"),
            ],
            lost=an_invoice_of(9, 1) | {"re_j"},
        ),
        {(Cause.NEVER_CAME, "in_9_1", 12345), (Cause.NEVER_CAME, "re_j", 700)},
    ),
    "a payment never came, but its refund": (
        Shop([refund("x", 1, 2, OCTOBER + DAY, 2000)], lost=an_invoice_of(1, 2)),
        {(Cause.NEVER_CAME, "in_1_2", 2000)},
    ),
    "one event of a customer is dropped, and another refused": (
        Shop(
            [refund("x", 1, 2, OCTOBER + DAY, 2000)],
            settings={0: {}, OCTOBER - 1: RENEWALS_DROPPED, OCTOBER + 1: {}},
            answer=lambda call: (
                Answer(Meaning.REFUSED, "http_400") if call.body.get("event") == "Order Refunded" else ACCEPTED
            ),
        ),
        {(Cause.DROPPED, f"in_{number}_2", 2000) for number in range(1, 7)} | {(Cause.REFUSED, "re_x", 2000)},
    ),
    "a cancellation never came": (
        Shop([ended(4, OCTOBER, "eur")], lost={"customer.subscription.deleted sub_4"}),
        {(Cause.NEVER_CAME, "sub_4", -2000), (Cause.NEVER_CAME, "sub_4", -1)},
    ),
    "a setting dropped renewals in September and drops them again since November": (
        Shop(settings={0: {}, SEPTEMBER - 1: RENEWALS_DROPPED, OCTOBER - 1: {}, NOVEMBER - 1: RENEWALS_DROPPED}),
        {(Cause.DROPPED, f"in_{number}_{place}", 2000) for number in range(1, 7) for place in (1, 3)},
    ),
    "the person opted out, and upgraded meanwhile": (
        Shop(
            [
                customer(1, SEPTEMBER - 5, **OUT),
                subscription(1, SEPTEMBER, 3000, was=2000),
                customer(1, NOVEMBER - 5, **BACK),
            ]
        ),
        {(Cause.OPTED_OUT, "in_1_1", 2000), (Cause.OPTED_OUT, "in_1_2", 2000), (Cause.OPTED_OUT, "sub_1", 1000)},
    ),
    "nobody knew the user until October": (
        Shop(
            [
                customer(8, user=False),
                subscription(8, AUGUST - 5),
                *(one for place, moment in enumerate(MONTHS) for one in invoice(8, place, moment)),
                customer(8, OCTOBER - 5, updated=True),
            ],
            settings={0: {"UNKNOWN_USER_POLICY": "skip"}},
        ),
        # No event of the subscription has come since.
        {
            *((Cause.UNKNOWN_USER, name, 2000) for name in ("in_8_0", "in_8_1", "sub_8")),
            (Cause.UNKNOWN_USER, "sub_8", 1),
        },
    ),
    "enrich drops one of the calls": (
        Shop(enrich=lambda call, _: None if call.get("properties", {}).get("order_id") == "in_4_2" else call),
        {(Cause.ENRICH, "in_4_2", 2000)},
    ),
    "Segment refuses one of the calls": (Shop(answer=told_of("in_4_2")), {(Cause.REFUSED, "in_4_2", 2000)}),
    "Segment refused one of the calls more than 40 days ago": (
        Shop(answer=told_of("in_4_1")),
        {(Cause.REFUSED, "in_4_1", 2000)},
    ),
    "there is no key for test mode": (
        Shop(
            answer=lambda _: Answer(Meaning.UNWANTED, "no_test_write_key"),
            happenings=[customer(1), *invoice(1, 0, OCTOBER), *invoice(1, 1, NOVEMBER)],
        ),
        {(Cause.NO_KEY, "in_1_0", 2000), (Cause.NO_KEY, "in_1_1", 2000)},
    ),
    "an event comes twice, weeks apart": (
        Shop(
            again={
                "invoice.paid in_1_1": 41 * DAY,
                "customer.subscription.created sub_3": 5,
                "invoice.paid in_5_1": 90 * DAY,
            }
        ),
        set(),
    ),
    "a dropped event comes twice": (
        Shop(
            settings={0: RENEWALS_DROPPED},
            happenings=[customer(1), *invoice(1, 1, OCTOBER)],
            again={"invoice.paid in_1_1": 60},
        ),
        {(Cause.DROPPED, "in_1_1", 2000)},
    ),
    "one waits, and an older one never came": (
        Shop(lost=an_invoice_of(1, 3) | an_invoice_of(1, 1), waiting=True),
        {(Cause.WAITS, "in_1_3", 2000), (Cause.NEVER_CAME, "in_1_1", 2000)},
    ),
    "one is a dead letter, and another never came": (
        Shop(lost=an_invoice_of(1, 2) | an_invoice_of(1, 1), letters=(Letter("invoice.paid", frozenset({"in_1_2"})),)),
        {(Cause.DEAD_LETTER, "in_1_2", 2000), (Cause.NEVER_CAME, "in_1_1", 2000)},
    ),
    "an import listed two in silence": (
        Shop(silent={"in_1_0", "in_1_1"}, lost={"inpay_1_0", "inpay_1_1"}, began=OCTOBER - DAY),
        {(Cause.IMPORTED, "in_1_0", 2000), (Cause.IMPORTED, "in_1_1", 2000)},
    ),
    "two are older than the stack": (
        Shop(lost=an_invoice_of(1, 0) | an_invoice_of(1, 1), began=OCTOBER - DAY),
        {(Cause.NOT_IMPORTED, "in_1_0", 2000), (Cause.NOT_IMPORTED, "in_1_1", 2000)},
    ),
}

ALL_AT_ONCE = Shop(
    [
        *PARTIAL,
        *FAILED,
        *DISPUTED,
        subscription(4, OCTOBER, 3000, "eur", was=2000),
        customer(6, OCTOBER - 1, **OUT),
        ended(5, OCTOBER, "jpy"),
    ],
    lost=an_invoice_of(1, 1)
    | {"re_b", "refund.failed re_f", "dp_2_1", "customer.subscription.updated sub_4"}
    | {"customer.subscription.deleted sub_5"},
    letters=(Letter("refund.created", frozenset({"re_b"})),),
    answer=told_of("in_3_3"),
)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_and_no_other(fault: str) -> None:
    shop, expected = FAULTS[fault]
    report = shop.report()
    assert named(report) == expected
    assert not any(one.guessed for one in report.findings)
    assert report.unexplained == []


def test_many_faults_at_once_are_distinguished() -> None:
    report = ALL_AT_ONCE.report()
    assert named(report) == {
        (Cause.NEVER_CAME, "in_1_1", 2000),
        (Cause.DEAD_LETTER, "re_b", 500),
        (Cause.NEVER_CAME, "re_f", -2000),
        (Cause.NEVER_CAME, "dp_2_1", 2000),
        (Cause.NEVER_CAME, "sub_4", 1000),
        (Cause.NEVER_CAME, "sub_5", -2000),
        (Cause.NEVER_CAME, "sub_5", -1),
        (Cause.REFUSED, "in_3_3", 2000),
        (Cause.OPTED_OUT, "in_6_2", 2000),
        (Cause.OPTED_OUT, "in_6_3", 2000),
        (Cause.OPTED_OUT, "sub_6", 1),
    }


def test_a_dropped_payment_that_is_sent_later_is_no_difference() -> None:
    """The setting is gone when the event comes again."""
    one = [customer(1), *invoice(1, 1, OCTOBER), *invoice(1, 2, NOVEMBER)]
    shop = Shop(happenings=one, settings={0: RENEWALS_DROPPED, OCTOBER + 1: {}})
    assert named(shop.report()) == {(Cause.DROPPED, "in_1_1", 2000)}
    shop = Shop(happenings=[*one, *invoice(1, 1, OCTOBER + DAY)], settings={0: RENEWALS_DROPPED, OCTOBER + 1: {}})
    assert named(shop.report()) == set()


def test_what_was_sent_before_an_opt_out_is_not_withheld_when_its_event_comes_again() -> None:
    """Weeks later, beside a payment that is withheld, both of the same amount."""
    happened = [customer(1), *invoice(1, 1, OCTOBER), customer(1, OCTOBER + DAY, **OUT), *invoice(1, 2, NOVEMBER)]
    shop = Shop(happenings=happened, again={"invoice.paid in_1_1": 2 * DAY, "invoice.paid in_1_2": 2 * DAY})
    assert named(shop.report()) == {(Cause.OPTED_OUT, "in_1_2", 2000)}


@pytest.mark.parametrize(
    ("month", "payments"), [("2026-08", 1), ("2026-09", 2), ("2026-10", 1), ("2026-11", 0), ("2026-07", 0)]
)
def test_the_first_and_the_last_second_of_a_month_belong_to_it(month: str, payments: int) -> None:
    """The audit is of 2026-11-20, so one of these months still runs, and two are empty."""
    moments = (at(8, 31, 23, 59, 59), at(9, 1, 0), at(9, 30, 23, 59, 59), at(10, 1, 0))
    every = [customer(1), subscription(1, at(8, 6))]
    every += [one for place, moment in enumerate(moments) for one in invoice(1, place, moment)]
    shop = Shop(happenings=every, month=month, audited_at=at(11, 20))
    report = shop.report()
    row = report.row(Kind.PAYMENTS, "usd")
    assert (report.findings, row.stripe, row.sent) == ([], 2000 * payments, 2000 * payments)
    lost = Shop(happenings=every, month=month, audited_at=at(11, 20), lost=an_invoice_of(1, 3))
    assert named(lost.report()) == ({(Cause.NEVER_CAME, "in_1_3", 2000)} if month == "2026-10" else set())


def test_where_the_sums_alone_decide_the_audit_says_that_it_chose() -> None:
    """Both disputes are known by their funds, and the opening of one of them was never heard."""
    both = [
        dispute(2, place, NOVEMBER + DAY + place, what=what)
        for place in (1, 2)
        for what in ("created", "funds_withdrawn")
    ]
    report = Shop(both, lost={"charge.dispute.created dp_2_1"}).report()
    assert {(one.cause, one.amount, one.guessed) for one in report.findings} == {(Cause.NEVER_CAME, 2000, True)}
