"""What a call says, in one line: `Subscription Upgraded +€60.00 MRR`, `identify user_42: plan Team`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment_tools.terminal.amounts import amount_text, number

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AMOUNTS", "Headline", "call_name", "headline"]

# The most important amount, in this order; an amount of 0 is skipped.
AMOUNTS = {"mrr_change": " MRR", "total": "", "value": ""}
# The most important word if there is no amount, of a track and of other calls.
WORDS = ("plan", "coupon", "card_brand")
TRAITS = ("name", "email")


@dataclass(frozen=True, slots=True)
class Headline:
    """The headline of one call.

    Attributes
    ----------
    name
        The event of a track, or the type of another call.
    says
        The rest of the headline, in a few words. It may be empty.
    who
        The user's id, or the anonymous id where the user is not known.
    """

    name: str
    says: str
    who: str


def headline(call: Mapping[str, Any]) -> Headline:
    """The headline of a call as it stands in the request."""
    who = str(call.get("userId") or call.get("anonymousId") or "")
    if call.get("type") == "track":
        return Headline(call_name(call), _of_properties(_hash(call.get("properties"))), who)
    subject = str(call.get("groupId") or "") if call.get("type") == "group" else who
    return Headline(call_name(call), ": ".join(filter(None, (subject, _of_traits(_hash(call.get("traits")))))), who)


def call_name(call: Mapping[str, Any]) -> str:
    """The event's name of a track, or the type of another call."""
    return str(call.get("event") if call.get("type") == "track" else call.get("type"))


def _of_properties(properties: Mapping[str, Any]) -> str:
    currency = str(properties.get("currency") or "?")
    for name, unit in AMOUNTS.items():
        if amount := number(properties.get(name)):
            return amount_text(amount, currency, signed=name == "mrr_change") + unit
    return _first(properties, WORDS)


def _of_traits(traits: Mapping[str, Any]) -> str:
    if "plan" in traits:
        plan = _first(traits, ("plan",))
        return f"plan {plan}" if plan else "no plan"
    return _first(traits, TRAITS)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((found for name in names if isinstance(found := values.get(name), str)), "")


def _hash(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
