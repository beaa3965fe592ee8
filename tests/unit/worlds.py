"""A small world for tests: the mapper with an in-memory store and a Segment that takes everything."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import Settings, settings_from
from stripe_to_segment.state.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from stripe_to_segment.delivery.load import Reader
    from stripe_to_segment.delivery.reading import Gate, ThinReader
    from stripe_to_segment.delivery.record import RecordOutcome
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.state.store import Store
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment_tools.tracking_plan import TrackingPlan

from stripe_to_segment_tools.tracking_plan import plan_under
from tests.unit.shapes import NOW

ACCEPTED = Answer(Meaning.ACCEPTED)
# What differs between calls of the same form.
VARYING = re.compile(rb'"messageId":"[^"]*"|[0-9]+')
# The forms of calls, each with the plan, of which one has kept to it.
KEEPING: set[tuple[TrackingPlan, bytes]] = set()


def keeps_to_the_plan(call: Call, settings: Settings) -> None:
    """Hold a call against the tracking plan, once for all that differ in digits only: it takes longer than the call."""
    plan = plan_under(settings)
    form = (plan, VARYING.sub(b"0", call.encoded))
    if form not in KEEPING:
        wrong = plan.violations(json.loads(call.encoded))
        assert not wrong, f"against the tracking plan: {'; '.join(wrong)}"
        KEEPING.add(form)


def unchanged(call: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """The shipped `enrich`."""
    return call


class World:
    """Delivers events one after the other, or in one batch; `answer` decides what Segment says to a call.

    Every call is held against the tracking plan, unless a test's own `enrich` has the last word on it.
    """

    def __init__(
        self, store: Store | None = None, reader: Reader | None = None, reference_key: str = "", **given: str
    ) -> None:
        chosen = settings_from({"IDENTITY_HOLD_SECONDS": "0", "PAYMENT_HOLD_SECONDS": "0", **given}, strict=True)
        self.settings: Settings = replace(chosen, client_reference_key=reference_key)
        self.store = store or MemoryStore()
        self.reader = reader
        self.calls: list[dict[str, Any]] = []
        self.requests: list[list[str]] = []
        self.thin_reader: ThinReader | None = None
        self.gate: Gate | None = None
        self.answer: Callable[[Call], Answer] = lambda _: ACCEPTED
        self.enrich: Callable[[dict[str, Any], dict[str, Any]], object] = unchanged
        self.now = NOW + 60
        self.queued_at: float = 0
        self.lease = 0
        self.wait: Callable[[float], float | None] | None = None
        self.remembers = True

    @property
    def profiles(self) -> dict[str, Profile]:
        """The records, if the store is the one in memory."""
        assert isinstance(self.store, MemoryStore)
        return self.store.profiles

    def _send(self, calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        self.requests.append([call.message_id for call in calls])
        if self.enrich is unchanged:
            for call in calls:
                keeps_to_the_plan(call, self.settings)
        answers = {call.message_id: self.answer(call) for call in calls}
        arrived = [call.body for call in calls if answers[call.message_id].meaning is Meaning.ACCEPTED]
        self.calls += [{**body, "livemode": livemode} for body in arrived]
        return answers

    def batch(self, *events: StripeEvent | str) -> list[RecordOutcome]:
        """Deliver a batch."""
        records = [
            Record(str(number), event if isinstance(event, str) else json.dumps(event.body), queued_at=self.queued_at)
            for number, event in enumerate(events)
        ]
        delivery = Delivery(
            self.settings,
            self.store,
            self._send,
            self.enrich,
            self.reader,
            self.thin_reader,
            self.gate,
            remembers=self.remembers,
            lease=self.lease,
            wait=self.wait,
        )
        return delivery.deliver(records, self.now)

    def deliver(self, *events: StripeEvent) -> list[dict[str, Any]]:
        """Deliver events in batches of one; gives the calls that arrived for them."""
        before = len(self.calls)
        for event in events:
            self.batch(event)
        return self.calls[before:]

    def tracks(self, *events: StripeEvent) -> dict[str, dict[str, Any]]:
        """The properties of the track calls of these events, by name.

        But for the opening balance of a subscription: most tests meet theirs in the middle of its life.
        """
        calls = [call for call in self.deliver(*events) if call["type"] == "track"]
        return {call["event"]: call["properties"] for call in calls if call["event"] != "Subscription Imported"}


def names(calls: list[dict[str, Any]]) -> list[str]:
    """What the calls are: a track's event name, or the kind."""
    return [call.get("event", call["type"]) for call in calls]


def told(world: World, name: str) -> list[dict[str, Any]]:
    """The properties of each track call of this event."""
    return [call["properties"] for call in world.calls if call.get("event") == name]


def changes(world: World) -> list[Any]:
    """Every mrr_change that was sent."""
    tracks = [call["properties"] for call in world.calls if call["type"] == "track"]
    return [each["mrr_change"] for each in tracks if "mrr_change" in each]


def shown(world: World, trait: str = "mrr") -> Any:
    """What the last identify shows, None where it lacks the trait."""
    return next(call["traits"].get(trait) for call in reversed(world.calls) if call["type"] == "identify")


def lifetime_value(world: World) -> Any:
    """The lifetime value that the last identify shows."""
    return shown(world, "lifetime_value")
