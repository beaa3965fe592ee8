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
    """Collects moments and makes their events, each with an id of its own; some changes come in two Event objects.

    `upgrades` are the later renderings of an endpoint whose API version changes, each with the epoch second of its
    first event, in order.
    """

    rng: Random
    rendering: Rendering
    label: str
    upgrades: tuple[tuple[int, Rendering], ...] = ()
    moments: list[Moment] = field(default_factory=list)
    _numbers: int = 0

    def number(self) -> str:
        """The next number for an id, unique in the whole simulation."""
        self._numbers += 1
        return f"{self.label}n{self._numbers}"

    def rendering_at(self, at: int) -> Rendering:
        """How events of this time are rendered."""
        return next((one for since, one in reversed(self.upgrades) if since <= at), self.rendering)

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
                    "api_version": self.rendering_at(at).shape.version,
                    "created": at,
                    "data": data,
                    "livemode": False,
                    "pending_webhooks": 1,
                    "request": self._request(at),
                    "type": kind,
                }
            )

    def _request(self, at: int) -> object:
        if self.rendering_at(at).shape.historic:
            return "req_1" if self.rng.random() < 0.5 else None
        return {"id": None, "idempotency_key": None}

    def created(self, state: Subscription, at: int) -> None:
        """customer.subscription.created, in the present moment."""
        self.emit("customer.subscription.created", at, self.rendering_at(at).subscription(state))
        self._settle(None, state, at)

    def updated(self, old: Subscription, new: Subscription, at: int) -> None:
        """customer.subscription.updated, in the present moment."""
        rendering = self.rendering_at(at)
        was, now = rendering.subscription(old), rendering.subscription(new)
        previous = self._previous(was, now, rendering)
        if previous:
            self.emit("customer.subscription.updated", at, now, previous)
            self._settle(old, new, at)

    def about(self, kind: str, old: Subscription | None, new: Subscription, at: int) -> None:
        """Another event of a subscription, in the present moment: its end, its pause, a warning."""
        self.emit(kind, at, self.rendering_at(at).subscription(new))
        self._settle(old, new, at)

    @staticmethod
    def _previous(was: Json, now: Json, rendering: Rendering) -> Json:
        found = previous_attributes(was, now)
        if rendering.whole_plans and was.get("plan") and "plan" in found:
            found["plan"] = was["plan"]
        alone = was.get("plan") and now.get("plan") and found.keys() & {"plan", "quantity"}
        if alone and not rendering.names_items:
            found.pop("items", None)
        return found

    def _settle(self, old: Subscription | None, new: Subscription, at: int) -> None:
        stated, moment = self.rendering_at(at).stated, self.moments[-1]
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
