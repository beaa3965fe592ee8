"""What is not sent keeps its reason for the audit, also where its event comes again and things have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.auditing.around import Around
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.findings import Cause
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.segment_side.answers import Answer, Meaning
from tests.simulator.imported import listed
from tests.unit.shapes import DAY
from tests.unit.shop import MONTHS, charge_refunded, customer, intent, invoice, refund, subscription
from tests.unit.worlds import World, unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.shop import Happening

AUGUST = MONTHS[0]
OUT = customer(7, AUGUST + 9, updated=True, analytics_opt_out="true")
BACK = customer(7, AUGUST + 99, updated=True, analytics_opt_out="false")
(_, PAID), STARTED, NAMELESS = invoice(7, 0, AUGUST), subscription(7, AUGUST), customer(7, user=False)
DOWN, REFUSED = (Answer(meaning, "http") for meaning in (Meaning.RETRY, Meaning.REFUSED))
NO_KEY = Answer(Meaning.UNWANTED, "no_test_write_key")
SKIP = {"UNKNOWN_USER_POLICY": "skip"}
CHARGED, NAMED = charge_refunded(7, 1, AUGUST + 20, 500, 0), refund("a", 7, 1, AUGUST + 20, 500)


def in_vain(answer: Answer) -> dict[str, Any]:
    return {"answer": lambda _: answer}


def nothing(call: dict[str, Any], _: dict[str, Any]) -> object:
    return None if call["type"] == "track" else call


type Step = tuple[Happening, dict[str, Any]]
CASES: dict[str, tuple[Sequence[Step], set[tuple[Any, str, int]]]] = {
    # The record had counted its mrr, so the second call stated a change of 0, and the first had no reason any more.
    "the start of a subscription comes twice, and there is no key": (
        [(customer(7), {}), (STARTED, in_vain(NO_KEY)), (STARTED, in_vain(NO_KEY))],
        {(Cause.NO_KEY, "sub_7", 2000)},
    ),
    "it comes again once there is a key": (
        [(customer(7), {}), (STARTED, in_vain(NO_KEY)), (STARTED, {})],
        {(Cause.NO_KEY, "sub_7", 2000)},
    ),
    "it comes again once the person is back": (
        [(customer(7), {}), (OUT, {}), (STARTED, {}), (BACK, {}), (STARTED, {})],
        {(Cause.OPTED_OUT, "sub_7", 2000)},
    ),
    "it comes again once the user has a name": (
        [(NAMELESS, SKIP), (STARTED, SKIP), (customer(7, AUGUST + 9, updated=True), SKIP), (STARTED, SKIP)],
        {(Cause.UNKNOWN_USER, "sub_7", 2000)},
    ),
    # The call stayed claimed, as if it waited, and counted as sent after forty days.
    "Segment does not answer, and the person opts out meanwhile": (
        [(customer(7), {}), (PAID, in_vain(DOWN)), (OUT, {}), (PAID, {})],
        {(Cause.OPTED_OUT, "in_7_0", 2000)},
    ),
    "Segment does not answer, and unknown users are skipped meanwhile": (
        [(NAMELESS, {}), (PAID, in_vain(DOWN)), (NAMELESS, {}), (PAID, SKIP)],
        {(Cause.UNKNOWN_USER, "in_7_0", 2000)},
    ),
    # Nothing explained the difference: the claim of the refused call ended with its event.
    "Segment refuses a call that a setting drops when the dead letter is redriven": (
        [(customer(7), {}), (PAID, in_vain(REFUSED)), (PAID, {"DROP_EVENTS": "Order Completed"})],
        {(Cause.DROPPED, "in_7_0", 2000)},
    ),
    "Segment refuses a call that enrich drops when the dead letter is redriven": (
        [(customer(7), {}), (PAID, in_vain(REFUSED)), (PAID, {"enrich": nothing})],
        {(Cause.ENRICH, "in_7_0", 2000)},
    ),
    # The event of the charge had another key once the refund had a name, and was noted as a second refund.
    "the event of a refunded charge comes again after the refund's own, and the person has opted out": (
        [
            (customer(7), {}),
            (intent(7, 1, AUGUST), {}),
            (OUT, {}),
            *((each, {}) for each in (CHARGED, NAMED, CHARGED, NAMED)),
        ],
        {(Cause.OPTED_OUT, "re_a", 500)},
    ),
    "it comes again, and a setting drops refunds": (
        [
            (customer(7), {}),
            (intent(7, 1, AUGUST), {}),
            *((each, {"DROP_EVENTS": "Order Refunded"}) for each in (CHARGED, NAMED, CHARGED)),
        ],
        {(Cause.DROPPED, "re_a", 500)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_stays_whatever_comes_again(case: str) -> None:
    steps, expected = CASES[case]
    store: Any = None
    for number, (one, more) in enumerate(steps):
        given = {name: value for name, value in more.items() if name.isupper()}
        world = World(store, **given)
        world.answer, world.enrich = more.get("answer", world.answer), more.get("enrich", unchanged)
        world.now, store = AUGUST + 100 * (number + 1), world.store
        world.batch(one.event)
    for days in (1, 60):
        found = report_of(steps, store, AUGUST + days * DAY)
        assert {(one.cause, one.id, one.amount) for one in found if one.kind != "live subscriptions"} == expected


def report_of(steps: Sequence[Step], store: Any, now: int) -> Any:
    truth = Truth(livemode=False, moment=now)
    objects = listed([one.event.body for one, _ in steps], 10**11)
    for one in sorted(objects, key=lambda one: one["object"] != "customer"):
        truth.take(one)
    truth.close()
    around = Around(World().settings, livemode=False, now=now, began=0)
    return audit(truth, store.profiles.values(), store.known_receipts, around).findings
