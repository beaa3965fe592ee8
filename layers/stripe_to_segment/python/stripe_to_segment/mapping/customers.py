"""Facts about a customer; its data about the person goes into traits, not facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.facts import Fact
from stripe_to_segment.mapping.tracking import Event, track

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.mapping.facts import Known
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["CustomerDeleted", "deleted", "nothing"]


@track("Customer Deleted", when="a customer is deleted in Stripe")
class CustomerDeleted(Event):
    """It has no properties: the call's ids name the customer."""


def deleted(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """customer.deleted."""
    yield Fact(CustomerDeleted(), f"{event.object.get('id')}")


def nothing(_event: StripeEvent, _known: Known) -> Iterator[Fact]:
    """For event types without facts, which only send traits or store data for later events."""
    yield from ()
