"""Facts of a customer; what it tells of the person goes into traits, not facts."""

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
    """It has no properties: the envelope says who it was."""


def deleted(event: StripeEvent, _: Known) -> Iterator[Fact]:
    """customer.deleted."""
    yield Fact(CustomerDeleted(), f"{event.object.get('id')}")


def nothing(_event: StripeEvent, _known: Known) -> Iterator[Fact]:
    """For events that only tell something about the customer or feed what is remembered."""
    yield from ()
