"""What an object that an import has listed becomes, by the import's level.

At first everything is stored and nothing is sent (`state`). Calls are sent when all is known: for each customer one
identify (`traits`), for each subscription its opening balance (`opening`), for each payment and refund the event with
the messageId of the live one (`history`).
"""

from __future__ import annotations

from copy import replace
from functools import cache
from typing import TYPE_CHECKING

from stripe_to_segment.mapping.catalog import CATALOG, Identify, Row
from stripe_to_segment.mapping.learning import listed_subscription
from stripe_to_segment.mapping.subscriptions import lifecycle, listed
from stripe_to_segment.stripe_side.event import Level

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.compose import Enrich
    from stripe_to_segment.mapping.facts import Fact, Known
    from stripe_to_segment.segment_side.calls import CallBody
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["enrich_for", "row_of"]

SUBSCRIPTION = Row(
    (lifecycle.SubscriptionImported, lifecycle.SubscriptionCancelled), listed.facts_of, listed_subscription
)
SUBSCRIPTIONS = frozenset({"customer.subscription.updated", "customer.subscription.deleted"})
# A user may be no customer at all, and known by payments as a guest.
SHOW = frozenset({"customer.updated", "checkout.session.completed", "payment_intent.succeeded"})
# An open invoice: its live event stated that it was finalized, or is older than the stack.
ONLY_TEACH = frozenset({"invoice.finalized"})


def row_of(event: StripeEvent) -> Row:
    """The row of an event. A listed object never waits, and shows traits only at a level that sends them."""
    return CATALOG[event.type] if event.listing is None else _listed(event.type, event.listing.level)


@cache
def _listed(kind: str, level: Level) -> Row:
    row = SUBSCRIPTION if kind in SUBSCRIPTIONS else CATALOG[kind]
    shows = Identify.ALWAYS if level is Level.TRAITS and kind in SHOW else Identify.NEVER
    sends = (level is Level.HISTORY and kind not in ONLY_TEACH) or row is SUBSCRIPTION
    return replace(row, facts=row.facts if sends else _nothing, identify=shows, holds=None)


def enrich_for(event: StripeEvent, enrich: Enrich) -> Enrich:
    """The team's own `enrich`; it sees listed objects only if the import asks for that."""
    return enrich if event.listing is None or event.listing.enriched else _as_it_is


def _nothing(_event: StripeEvent, _known: Known) -> Iterator[Fact]:
    return iter(())


def _as_it_is(call: CallBody, _event: JsonObject) -> CallBody:
    return call
