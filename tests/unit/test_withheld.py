"""What is not sent keeps its reason for the audit, also where its event comes again and things have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.auditing.circumstances import Circumstances
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.findings import Cause
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.sums import Kind
from stripe_to_segment.state.withheld import Withheld
from tests.simulator.imported import listed
from tests.unit.shapes import DAY
from tests.unit.shop import MONTHS, charge_refunded, customer, intent, invoice, refund, subscription
from tests.unit.worlds import ACCEPTED, World, changes, shown, told, unchanged

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
GROWN = subscription(7, AUGUST + 30, 3000, was=2000)
AMOUNTS, ANSWERS = st.sampled_from([1000, 2000, 3000]), st.sampled_from([ACCEPTED, DOWN])
SHRUNK = subscription(7, AUGUST + 200, 2500, was=3000)
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
    # Then its mrr is sent, and nothing is left to explain.
    "it comes again once the person is back": (
        [(customer(7), {}), (OUT, {}), (STARTED, {}), (BACK, {}), (STARTED, {})],
        set(),
    ),
    "it comes again once the user has a name": (
        [(NAMELESS, SKIP), (STARTED, SKIP), (customer(7, AUGUST + 9, updated=True), SKIP), (STARTED, SKIP)],
        set(),
    ),
    "the person is out while the subscription changes": (
        [(customer(7), {}), (STARTED, {}), (OUT, {}), (GROWN, {})],
        {(Cause.OPTED_OUT, "sub_7", 1000)},
    ),
    "and is back before it changes again": (
        [(customer(7), {}), (STARTED, {}), (OUT, {}), (GROWN, {}), (BACK, {}), (SHRUNK, {})],
        set(),
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


class Life:
    """The life of one subscription, about whose person nothing is sent at times: by an opt-out, or by a policy."""

    def __init__(self, *, by_policy: bool, older: bool) -> None:
        self.world, self.by_policy, self.moment, self.amount = World(), by_policy, AUGUST, 2000
        self.world.now, self.waiting = AUGUST + 90 * DAY, list[Any]()
        self.more: dict[str, Any] = {"metadata": {}, "began": AUGUST - 10 * DAY if older else AUGUST}
        if not older:
            self.deliver(subscription(7, AUGUST, **self.more))

    def deliver(self, happening: Happening, answer: Answer = ACCEPTED) -> None:
        """Deliver an event; it waits where Segment is down."""
        self.moment += DAY
        self.world.answer = lambda _: answer
        self.world.batch(happening.event)
        self.waiting += [happening.event] if answer is DOWN else []

    def turn(self, *, out: bool) -> None:
        """Nothing is sent from now on, or all is sent again."""
        policy = "skip" if out and self.by_policy else "anonymous"
        self.world.settings = World(UNKNOWN_USER_POLICY=policy).settings
        said = {} if self.by_policy else {"analytics_opt_out": str(out).lower()}
        self.deliver(customer(7, self.moment, updated=True, user=not self.by_policy, **said))

    def change(self, amount: int, answer: Answer = ACCEPTED) -> None:
        """The subscription is over another amount."""
        if amount != self.amount:
            self.deliver(subscription(7, self.moment, amount, was=self.amount, **self.more), answer)
            self.amount = amount

    def noted(self) -> int:
        """What the audit is told of mrr that was not sent."""
        (record,) = self.world.profiles.values() or [Profile("")]
        worths = [Withheld.read(each).worth for each in record.withheld.values()]
        return sum(worth.amount for worth in worths if worth.kind is Kind.MRR)

    def unsent(self) -> int:
        """What was not sent."""
        (record,) = self.world.profiles.values() or [Profile("")]
        return sum(one.unsent_mrr for one in record.subscriptions.values())

    def again(self) -> None:
        """What waits comes again."""
        waiting, self.waiting = self.waiting, []
        self.world.answer = lambda _: ACCEPTED
        self.world.deliver(*waiting)


@given(
    by_policy=st.booleans(),
    older=st.booleans(),
    steps=st.lists(st.sampled_from(["out", "back", "again"]) | st.tuples(AMOUNTS, ANSWERS), max_size=9),
)
def test_the_changes_of_mrr_sum_to_the_mrr_once_the_person_is_back(
    by_policy: bool, older: bool, steps: list[Any]
) -> None:
    """What was withheld of a subscription was never sent, so its end made the sum negative."""
    life = Life(by_policy=by_policy, older=older)
    for step in [*steps, "back", "again", (7000, ACCEPTED)]:
        match step:
            case "again":
                life.again()
            case str():
                life.turn(out=step == "out")
            case amount, answer:
                life.change(amount, answer)
        assert life.noted() == life.unsent()
    assert sum(changes(life.world)) == shown(life.world) == 70
    life.deliver(subscription(7, life.moment, 7000, status="canceled", ended_at=life.moment, **life.more))
    assert sum(changes(life.world)) == 0


@pytest.mark.parametrize("by_policy", [True, False])
def test_the_end_of_a_subscription_while_nothing_was_sent_is_stated_once_the_person_is_back(*, by_policy: bool) -> None:
    """No other event of the subscription came, so its mrr stayed in the sum, and who returned was expansion."""
    life = Life(by_policy=by_policy, older=False)
    life.turn(out=True)
    life.deliver(subscription(7, life.moment, status="canceled", ended_at=life.moment, **life.more))
    assert (life.noted(), changes(life.world)) == (-2000, [20])
    life.turn(out=False)
    life.turn(out=False)
    assert (life.noted(), changes(life.world), shown(life.world)) == (0, [20, -20], 0)
    life.deliver(subscription(7, life.moment, also="_again", **life.more | {"began": life.moment}))
    assert told(life.world, "Subscription Created")[-1]["mrr_movement"] == "reactivation"


def report_of(steps: Sequence[Step], store: Any, now: int) -> Any:
    truth = Truth(livemode=False, moment=now)
    objects = listed([one.event.body for one, _ in steps], 10**11)
    for one in sorted(objects, key=lambda one: one["object"] != "customer"):
        truth.take(one)
    truth.close()
    circumstances = Circumstances(World().settings, livemode=False, now=now, began=0)
    return audit(truth, store.profiles.values(), store.known_receipts, circumstances).findings
