"""The users as Segment would store them now: with joined ids and the last value of each trait and group. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from stripe_to_segment_tools.receiver import AcceptedCall

__all__ = ["Person", "people"]

type Identifier = tuple[str, str]


@dataclass(slots=True)
class Person:
    """One user.

    Attributes
    ----------
    ids
        Kind (`userId`, `anonymousId`, or the type of an external id) and value, in the order in which they came.
    traits, groups
        The last value of each; of each group by its id.
    calls
        All calls about the user, oldest first.
    """

    ids: dict[Identifier, None] = field(default_factory=dict)
    traits: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[AcceptedCall] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The id to show: a userId if one is known."""
        return next((value for kind, value in self.ids if kind == "userId"), next(iter(self.ids))[1])

    def as_json(self) -> dict[str, Any]:
        """The user as the list shows it."""
        return {
            "key": self.name,
            "known": any(kind == "userId" for kind, _ in self.ids),
            "ids": [{"kind": kind, "value": value} for kind, value in self.ids],
            "title": str(self.traits.get("name") or self.traits.get("email") or ""),
            "email": str(self.traits.get("email") or ""),
            "plan": self.traits.get("plan"),
            "status": self.traits.get("subscription_status"),
            "calls": len(self.calls),
            "last_at": self.calls[-1].received_at.isoformat(),
        }


def people(calls: Sequence[AcceptedCall]) -> list[Person]:
    """Every user in these calls (oldest first), the one with the latest call first."""
    leader: dict[Identifier, Identifier] = {}

    def find(identifier: Identifier) -> Identifier:
        while leader.setdefault(identifier, identifier) != identifier:
            leader[identifier] = leader[leader[identifier]]
            identifier = leader[identifier]
        return identifier

    for kept in calls:
        first, *others = _ids_of(kept.call) or [("messageId", str(kept.call.get("messageId")))]
        for other in others:
            leader[find(other)] = find(first)
    found: dict[Identifier, Person] = {}
    for kept in calls:
        ids = _ids_of(kept.call)
        if ids:
            _take(found.setdefault(find(ids[0]), Person()), kept, ids)
    return sorted(found.values(), key=lambda person: person.calls[-1].received_at, reverse=True)


def _take(person: Person, kept: AcceptedCall, ids: Iterable[Identifier]) -> None:
    call = kept.call
    person.calls.append(kept)
    person.ids.update(dict.fromkeys(ids))
    traits = call.get("traits")
    if not isinstance(traits, dict):
        return
    if call.get("type") == "identify":
        person.traits.update(traits)
    elif call.get("type") == "group":
        person.groups.setdefault(str(call.get("groupId")), {}).update(traits)


def _ids_of(call: Mapping[str, Any]) -> list[Identifier]:
    return list(dict.fromkeys(_every_id(call)))


def _every_id(call: Mapping[str, Any]) -> Iterator[Identifier]:
    for kind in ("userId", "anonymousId"):
        if isinstance(call.get(kind), str):
            yield kind, call[kind]
    context = call.get("context")
    external = context.get("externalIds") if isinstance(context, dict) else None
    for entry in external if isinstance(external, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), str):
            yield str(entry.get("type")), entry["id"]
