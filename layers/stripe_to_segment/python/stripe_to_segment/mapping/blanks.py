"""Claimed calls are stored without the personal data of their event.

Whenever claimed calls are sent again, their event is there again and fills the blanks. So a claim puts no personal data
into the StateTable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from stripe_to_segment.segment_side.calls import Call, call_from, encode
from stripe_to_segment.stripe_side.fields import hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from stripe_to_segment.mapping.attribution import Attribution
    from stripe_to_segment.mapping.properties import UserTraits
    from stripe_to_segment.segment_side.calls import CallBody

__all__ = ["Blanks"]

# Stands for a value of the event.
BLANK = {"$of": "event"}
MARK = encode(BLANK).decode()
OF_A_VISIT = ("ip", "userAgent")


class Blanks:
    """The personal data of one event in the context of its calls: of the visit, and the traits of the person."""

    def __init__(self, attribution: Attribution, personal: UserTraits) -> None:
        visit: Mapping[str, object] = attribution.context
        self._of_context = {name: visit[name] for name in OF_A_VISIT if name in visit}
        self._of_traits = personal

    def written(self, call: Call) -> str:
        """The call with blanks; a value that the team's `enrich` changed stays."""
        encoded = call.encoded.decode()
        for part, own in self._parts_of(call.body):
            for name in [name for name, value in own.items() if name in part and part[name] == value]:
                before, after = f'"{name}":{encode(part[name]).decode()}', f'"{name}":{MARK}'
                if encoded.count(before) != 1:
                    # The same name and value stand elsewhere in the call too, and stay there.
                    return encode(_each(call.body, self._leave_out)).decode()
                encoded = encoded.replace(before, after)
        return encoded

    def read(self, encoded: str) -> Call:
        """The call with its blanks filled; a value that this event does not have is absent."""
        if MARK not in encoded:
            return call_from(encoded)
        body = _each(call_from(encoded).body, self._fill_in)
        return Call(cast("CallBody", body), encode(body))

    def has_all_of(self, encoded: str) -> bool:
        """Whether this event has every value that was left out of the call."""
        if MARK not in encoded:
            return True
        parts = self._parts_of(call_from(encoded).body)
        return all(name in own for part, own in parts for name, value in part.items() if value == BLANK)

    def _parts_of(self, body: CallBody) -> list[tuple[Mapping[str, object], Mapping[str, object]]]:
        """The context and the traits in it, each with this event's values for it."""
        context = hash_of(body.get("context"))
        return [(context, self._of_context), (hash_of(context.get("traits")), self._of_traits)]

    def _leave_out(self, part: Mapping[str, Any], *, traits: bool) -> dict[str, Any]:
        own: Mapping[str, object] = self._of_traits if traits else self._of_context
        return {name: BLANK if name in own and own[name] == value else value for name, value in part.items()}

    def _fill_in(self, part: Mapping[str, Any], *, traits: bool) -> dict[str, Any]:
        own: Mapping[str, object] = self._of_traits if traits else self._of_context
        return {
            name: own[name] if value == BLANK else value
            for name, value in part.items()
            if value != BLANK or name in own
        }


def _each(body: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """The call with a change applied to its context and to the traits in it."""
    context = body.get("context")
    if not isinstance(context, dict):
        return dict(body)
    context = change(context, traits=False)
    if isinstance(context.get("traits"), dict):
        context["traits"] = change(context["traits"], traits=True)
        if not context["traits"]:
            del context["traits"]
    return {**body, "context": context}
