"""What an event leaves open and the Stripe API could tell: pure, so that deciding to ask is not asking."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.identity import names_user
from stripe_to_segment.mapping.checkout import is_order
from stripe_to_segment.mapping.naming import products_needed
from stripe_to_segment.stripe_side.fields import text

if TYPE_CHECKING:
    from stripe_to_segment.memory import Memory
    from stripe_to_segment.profile import Profile
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["Lookup", "lookups"]


class Lookup(NamedTuple):
    """One object to read: `kind` is customer, line_items or product."""

    kind: str
    id: str
    livemode: bool
    account: str | None


def lookups(event: StripeEvent, profile: Profile, memory: Memory, settings: Settings) -> list[Lookup]:
    """What to read for this event, given what is known already."""
    wanted: list[tuple[str, str]] = []
    named = profile.user_id or names_user(event, settings)
    if not named and (event.customer or "").startswith("cus_") and event.type != "customer.deleted":
        wanted.append(("customer", event.customer or ""))
    session = text(event.object.get("id"))
    if session and event.type in ORDER_EVENTS and is_order(event):
        wanted.append(("line_items", session))
    wanted += [
        ("product", product)
        for product in products_needed(event)
        if f"{event.scope}:{product}" not in memory.product_names
    ]
    return [Lookup(kind, key, event.livemode, event.account) for kind, key in dict.fromkeys(wanted)]


ORDER_EVENTS = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
