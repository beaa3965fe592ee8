"""Traits of the user and the group, from everything in the record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, cast

from stripe_to_segment.mapping.identity import own_id
from stripe_to_segment.stripe_side.customer import PERSONAL, personal_traits
from stripe_to_segment.stripe_side.fields import iso_time
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from stripe_to_segment.mapping.properties import GroupTraits, UserTraits
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = ["group_traits", "shown_digest", "user_traits"]


def user_traits(event: StripeEvent, profile: Profile, settings: Settings) -> UserTraits:
    """The traits of an identify. None is sent as null, so that an ended plan does not stay in Segment."""
    traits: UserTraits = {}
    if event.customer is not None:
        traits["stripe_customer_id"] = own_id(event.customer, event, settings)
    if profile.customer_created is not None:
        traits["createdAt"] = iso_time(profile.customer_created)
    traits.update(_subscription_traits(profile))
    traits.update(_card_traits(profile))
    currency = _currency(profile)
    if currency is not None:
        traits["currency"] = currency.upper()
    # A guest's record holds one payment only: no lifetime, and the same user may have many.
    if event.customer is not None:
        traits.update(_paid_traits(profile))
    traits.update(_personal(event, settings))
    return traits


def shown_digest(event: StripeEvent, profile: Profile) -> str:
    """A digest of the traits, to find out whether the ones last delivered are still true."""
    told = {**_subscription_traits(profile), **_card_traits(profile)}
    # A guest has no lifetime value, and a first payment over nothing is no news.
    paid = {code: amount for code, amount in profile.paid.items() if amount and event.customer is not None}
    shown = [*((name, told[name]) for name in sorted(told)), *sorted(paid.items())]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:16]


def group_traits(event: StripeEvent, profile: Profile, settings: Settings) -> GroupTraits:
    """The traits of a group: plan, mrr and seats of the account."""
    traits: GroupTraits = {}
    if event.customer is not None:
        traits["stripe_customer_id"] = own_id(event.customer, event, settings)
    every: Mapping[str, object] = _subscription_traits(profile)
    names = ("plan", "mrr", "mrr_by_currency", "subscription_status")
    traits.update(cast("GroupTraits", {name: every[name] for name in names if name in every}))
    if profile.subscriptions:
        traits["seats"] = sum(record.quantity or 0 for record in profile.live)
    currency = _currency(profile)
    if currency is not None and "mrr" in traits:
        traits["currency"] = currency.upper()
    return traits


def _subscription_traits(profile: Profile) -> UserTraits:
    leading, live = profile.leading, profile.live
    if leading is None:
        return {}
    traits: UserTraits = {
        "plan": leading.plan if live else None,
        "plans": sorted({record.plan for record in live if record.plan}),
        "subscription_status": leading.status,
        "subscription_count": len(live),
        "billing_period": leading.period if live else None,
        "trial_ends_at": iso_time(leading.trial_end) if leading.status == "trialing" else None,
        "cancels_at": iso_time(leading.cancels_at or None) if live else None,
    }
    amounts = [record.mrr for record in live if record.currency == leading.currency]
    known = [amount for amount in amounts if amount is not None]
    if len(known) == len(amounts):
        traits["mrr"] = major(sum(known), leading.currency)
    elif profile.shown is not None:
        # Unknown now (tiers): null, so that an amount sent before does not stay in Segment.
        traits["mrr"] = None
    traits["mrr_by_currency"] = _mrr_by_currency(profile)
    return traits


def _mrr_by_currency(profile: Profile) -> dict[str, Decimal]:
    """Also of currencies in which nothing is left (0); without those of which an amount is unknown."""
    remembered = sorted({record.currency for record in profile.subscriptions.values() if record.currency})
    amounts = {code: [record.mrr for record in profile.live if record.currency == code] for code in remembered}
    return {
        code.upper(): major(sum(known), code)
        for code, every in amounts.items()
        if len(known := [amount for amount in every if amount is not None]) == len(every)
    }


def _paid_traits(profile: Profile) -> UserTraits:
    if not profile.paid:
        return {}
    currency = _currency(profile)
    traits: UserTraits = {
        "lifetime_value_by_currency": {code.upper(): major(profile.paid[code], code) for code in sorted(profile.paid)}
    }
    if currency is not None and currency in profile.paid:
        traits["lifetime_value"] = major(profile.paid[currency], currency)
    return traits


def _card_traits(profile: Profile) -> UserTraits:
    """Nothing of a customer whose cards were never seen: there may be some."""
    return {"card_expires_at": iso_time(profile.card_expires_at)} if profile.knows_cards else {}


def _currency(profile: Profile) -> str | None:
    """The customer's currency: that of the leading subscription, else the one most was paid in."""
    leading = profile.leading
    if leading is not None and leading.currency is not None:
        return leading.currency
    return max(profile.paid, key=lambda code: (profile.paid[code], code), default=None)


def _personal(event: StripeEvent, settings: Settings) -> UserTraits:
    """The personal traits this event carries, as far as they are on the allow-list."""
    carried = personal_traits(event)
    allowed = {name: carried[name] for name in PERSONAL if name in carried and name in settings.personal_traits}
    if settings.hash_email and "email" in allowed:
        email = allowed.pop("email").strip().lower()
        allowed["email_sha256"] = hashlib.sha256(email.encode()).hexdigest()
    return cast("UserTraits", allowed)
