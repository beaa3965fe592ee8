"""The stream of events that a history leaves, with `previous_attributes` in Stripe's manner.

Hashes hold the changed keys only, arrays come whole.
https://docs.stripe.com/api/events/object#event_object-data-previous_attributes
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulator.worth import true_mrr

if TYPE_CHECKING:
    from random import Random

    from tests.simulator.shapes import Rendering
    from tests.simulator.terms import Subscription

__all__ = ["Moment", "Stream", "previous_attributes"]

Json = dict[str, Any]
TWINS = 0.04


@dataclass(slots=True)
class Moment:
    """One thing that happened, in one or several events; after the last of them `mrr` is what the contract counts.

    `subscription` is None where no contract is touched, `mrr` None where its value is unknown.
    """

    events: list[Json] = field(default_factory=list)
    subscription: str | None = None
    mrr: int | None = None
    changed: bool = False


@dataclass(slots=True)
class Stream:
    """Collects moments and makes their events, each with an id of its own; some changes come in two Event objects."""

    rng: Random
    rendering: Rendering
    label: str
    moments: list[Moment] = field(default_factory=list)
    _numbers: int = 0

    def number(self) -> str:
        """The next number for an id, unique in the whole simulation."""
        self._numbers += 1
        return f"{self.label}n{self._numbers}"

    def moment(self) -> Moment:
        """Something happens."""
        self.moments.append(Moment())
        return self.moments[-1]

    def emit(self, kind: str, at: int, body: Json, previous: Json | None = None) -> None:
        """An event of the present moment."""
        for _ in range(2 if self.rng.random() < TWINS else 1):
            data: Json = {"object": body}
            if previous is not None:
                data["previous_attributes"] = previous
            self.moments[-1].events.append(
                {
                    "id": f"evt_{self.number()}",
                    "object": "event",
                    "api_version": self.rendering.shape.version,
                    "created": at,
                    "data": data,
                    "livemode": False,
                    "pending_webhooks": 1,
                    "request": self._request(),
                    "type": kind,
                }
            )

    def _request(self) -> object:
        if self.rendering.shape.historic:
            return "req_1" if self.rng.random() < 0.5 else None
        return {"id": None, "idempotency_key": None}

    def created(self, state: Subscription, at: int) -> None:
        """customer.subscription.created, in the present moment."""
        self.emit("customer.subscription.created", at, self.rendering.subscription(state))
        self._settle(None, state)

    def updated(self, old: Subscription, new: Subscription, at: int) -> None:
        """customer.subscription.updated, in the present moment."""
        was, now = self.rendering.subscription(old), self.rendering.subscription(new)
        previous = self._previous(was, now)
        if previous:
            self.emit("customer.subscription.updated", at, now, previous)
            self._settle(old, new)

    def about(self, kind: str, old: Subscription | None, new: Subscription, at: int) -> None:
        """Another event of a subscription, in the present moment: its end, its pause, a warning."""
        self.emit(kind, at, self.rendering.subscription(new))
        self._settle(old, new)

    def _previous(self, was: Json, now: Json) -> Json:
        found = previous_attributes(was, now)
        if self.rendering.whole_plans and was.get("plan") and "plan" in found:
            found["plan"] = was["plan"]
        alone = was.get("plan") and now.get("plan") and found.keys() & {"plan", "quantity"}
        if alone and not self.rendering.names_items:
            found.pop("items", None)
        return found

    def _settle(self, old: Subscription | None, new: Subscription) -> None:
        stated, moment = self.rendering.stated, self.moments[-1]
        moment.subscription = new.id
        moment.mrr = true_mrr(new, stated)
        if old is not None:
            moment.changed = moment.changed or true_mrr(old, stated) != moment.mrr
        elif moment.mrr != 0:
            moment.changed = True


def previous_attributes(was: Json, now: Json) -> Json:
    """The old values of what changed."""
    found: Json = {}
    for key in {**was, **now}:
        old, new = was.get(key), now.get(key)
        if old == new:
            continue
        found[key] = previous_attributes(old, new) if isinstance(old, dict) and isinstance(new, dict) else old
    return found
