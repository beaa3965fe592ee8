"""The steps of an import: the kinds of objects that each lists, and which of these objects are worth a record.

A queue keeps no order. So objects that others refer to are learnt in an earlier step, and a step begins when `deliver`
is done with the one before. Calls are sent in the last steps, when everything is learnt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stripe_to_segment.state.subscription import NOT_LIVE
from stripe_to_segment.stripe_api.lists import FIRST, LISTS, PARTS
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment.stripe_side.listing import LISTED, paid_at, states_something

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = [
    "CUSTOMERS_STEP",
    "KINDS",
    "LEVELS",
    "TELLING",
    "Step",
    "begin_of",
    "counted",
    "is_older",
    "says_something",
    "steps",
]

LEVELS = (Level.STATE, Level.TRAITS, Level.OPENING, Level.HISTORY)
"""Each does what the ones before it do, and more."""

KINDS = tuple(name for name, each in LISTS.items() if each.listing is not None and each.name in LISTED)
PAST = KINDS[KINDS.index("invoice") :]
# A list goes by creation, and an invoice is paid an hour to months later: Stripe itself tries for up to two months.
# https://docs.stripe.com/billing/revenue-recovery/smart-retries
PAID_WITHIN_SECONDS = dict.fromkeys(("invoice", *PARTS), 90 * 86_400)

# Each begins a step: customers name the users of subscriptions, and objects that claim a payment come before it.
FIRST_OF_A_STEP = frozenset({"customer", "subscription", "invoice_payment"})
TELLING = {
    Level.TRAITS: ("customer", "checkout.session", "payment_intent"),
    Level.OPENING: ("subscription",),
    Level.HISTORY: ("subscription", *PAST),
}
"""The kinds that are listed once more for each level that sends."""


def counted(kind: str, count: int | None = None) -> str:
    """So many objects of a kind in words."""
    number = "" if count is None else f"{count:,} "
    return f"{number}{kind.replace('.', ' ').replace('_', ' ')}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Step:
    """The kinds of objects that are listed for one level."""

    level: Level
    kinds: tuple[str, ...]

    @property
    def name(self) -> str:
        """The step in words."""
        what = ", ".join(counted(kind) for kind in self.kinds)
        return f"remember {what}" if self.level is Level.STATE else f"send {self.level} of {what}"


def steps(level: Level) -> Iterator[Step]:
    """The steps of an import at this level."""
    yield from (Step(Level.STATE, kinds) for kinds in _parted(KINDS))
    yield from (Step(each, TELLING[each]) for each in LEVELS[1 : LEVELS.index(level) + 1])


def _parted(kinds: Iterable[str]) -> list[tuple[str, ...]]:
    parts: list[tuple[str, ...]] = [()]
    for kind in kinds:
        if kind in FIRST_OF_A_STEP:
            parts.append(())
        parts[-1] += (kind,)
    return parts


CUSTOMERS_STEP = next(number for number, step in enumerate(steps(Level.STATE)) if "customer" in step.kinds)
"""The number of the step that lists all customers."""


def begin_of(kind: str, since: int) -> int:
    """Since which epoch second of creation a kind is listed, if payments count `since` another one.

    What exists now is listed in any case.
    """
    return max(since - PAID_WITHIN_SECONDS.get(kind, 0), FIRST) if kind in PAST else FIRST


def is_older(listed: JsonObject, since: int) -> bool:
    """Whether an invoice, or a part of one, was paid before this epoch second: what paid it is not listed either."""
    at = paid_at(listed)
    return at is not None and at < since


def says_something(listed: JsonObject, level: Level) -> bool:
    """Whether an object is worth a record of this level."""
    if not states_something(listed):
        return False
    name = listed.get("object")
    if name == "subscription" and level is not Level.STATE:
        # A live subscription has an opening balance; the history states the end of one that has ended.
        return (listed.get("status") not in NOT_LIVE) is (level is Level.OPENING)
    if name == "invoice" and level is Level.HISTORY:
        # The payments of an open invoice are listed by themselves.
        return listed.get("status") == "paid"
    # A user without a customer is known from payments as a guest.
    return level is not Level.TRAITS or name == "customer" or not listed.get("customer")
