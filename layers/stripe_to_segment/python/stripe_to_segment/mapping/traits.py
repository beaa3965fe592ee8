"""The traits of the user and of the group, from the whole record."""

from __future__ import annotations

import hashlib
from copy import replace
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from stripe_to_segment.mapping.identity import own_id
from stripe_to_segment.state.person import over_all
from stripe_to_segment.state.profile import UNSURE, Profile
from stripe_to_segment.stripe_side.customer import PERSONAL, carried_traits, personal_traits
from stripe_to_segment.stripe_side.fields import iso_time
from stripe_to_segment.stripe_side.money import major

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.mapping.properties import GroupTraits, UserTraits
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.person import Others
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "carried_personal",
    "context_traits",
    "group_digest",
    "group_left_behind",
    "group_traits",
    "left_behind",
    "shown_digest",
    "user_traits",
    "with_personal",
]


def user_traits(event: StripeEvent, profile: Profile, settings: Settings) -> UserTraits:
    """The traits of an identify. None is sent as null, so that Segment does not keep an ended plan."""
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
    if _has_lifetime(event, profile):
        traits.update(_paid_traits(profile))
    traits.update(_allowed(personal_traits(event, settings.personal_traits), settings))
    return traits


def context_traits(
    profile: Profile, person: Profile, settings: Settings, carried: Mapping[str, object]
) -> dict[str, object]:
    """The traits in the context of a track, for destinations that read them there: personal traits, plan and mrr.

    The personal ones are those `carried` by the event, and by the setting `CONTEXT_TRAITS` also those of the stored
    record. Unknown and ended traits are absent: the identify sends null for an ended trait.
    """
    if settings.context_traits == "none":
        return {}
    traits: dict[str, object] = {}
    if person.live and (plan := person.live[0].plan) is not None:
        traits["plan"] = plan
    if (mrr := _mrr(person)) is not None:
        traits["mrr"] = mrr
        if (currency := _currency(person)) is not None:
            traits["currency"] = currency.upper()
    return {**traits, **_allowed(profile.personal, settings), **carried}


def carried_personal(event: StripeEvent, settings: Settings) -> UserTraits:
    """The personal traits in the event itself that the settings allow."""
    return _allowed(carried_traits(event, settings.personal_traits), settings)


def with_personal(profile: Profile, event: StripeEvent, settings: Settings) -> Profile:
    """The record with the personal traits of the event, if the settings store them, else without any.

    Nothing is stored of a customer that opted out or was deleted in Stripe, and no trait that the present settings
    exclude. A late old event only adds traits that the record lacks. Of a removed trait an empty text stays, so that no
    late event brings it back.
    """
    if settings.context_traits != "remembered" or profile.opted_out or profile.deleted:
        return replace(profile, personal={}) if profile.personal else profile
    marks = {name: "" for name, value in profile.personal.items() if not value}
    known: Mapping[str, object] = {**_allowed(profile.personal, settings), **marks}
    carried: Mapping[str, object] = carried_personal(event, settings)
    late = event.created < profile.as_of.get("personal", 0)
    if not late:
        known = {**known, **dict.fromkeys(_taken_away(event), "")}
    personal = {**carried, **known} if late else {**known, **carried}
    if personal == profile.personal and not carried:
        return profile
    as_of = max(event.created, profile.as_of.get("personal", 0))
    return replace(profile, personal=personal, as_of={**profile.as_of, "personal": as_of})


def _taken_away(event: StripeEvent) -> set[str]:
    """The personal traits that the Customer had before this event and no longer has."""
    gone = {name for name in PERSONAL if event.about == "customer" and event.previous.get(name)}
    gone -= personal_traits(event).keys()
    return gone | {"email_sha256"} if "email" in gone else gone


def shown_digest(event: StripeEvent, profile: Profile) -> str:
    """A digest of the traits, to find out whether the traits that were sent last are still true.

    An unknown mrr is the same, whether it was left out or, after a known one, sent as null.
    """
    traits = {**_subscription_traits(profile), **_card_traits(profile)}
    # A first payment of 0 changes nothing.
    paid = {code: amount for code, amount in profile.paid.items() if amount and _has_lifetime(event, profile)}
    known = [(name, traits[name]) for name in sorted(traits) if name != "mrr" or traits[name] is not None]
    return _digest([*known, *sorted(paid.items())])


def group_digest(event: StripeEvent, group: Profile, settings: Settings) -> str:
    """A digest of the group's traits, without the customer of the event."""
    traits = {**group_traits(event, replace(group, shown=None), settings)}
    traits.pop("stripe_customer_id", None)
    return _digest(sorted(traits.items()))


def _digest(traits: object) -> str:
    return hashlib.sha256(repr(traits).encode()).hexdigest()[:16]


def _has_lifetime(event: StripeEvent, profile: Profile) -> bool:
    """Whether there is a lifetime value: an unknown guest has only one payment."""
    return event.customer is not None or profile.user_id is not None


def left_behind(moved: Profile, left: Others) -> dict[str, object]:
    """The remaining traits of a user after a customer or a guest's payment moved to another user."""
    rest = over_all(Profile("", user_id=left.id, shown=UNSURE), left)
    gone, kept = ({**_subscription_traits(of), **_card_traits(of), **_paid_traits(of)} for of in (moved, rest))
    # The user may have had the currency of the customer that left.
    currency = _currency(rest)
    return _less(gone, kept) | ({} if currency is None else {"currency": currency.upper()})


def group_left_behind(event: StripeEvent, moved: Profile, left: Others, settings: Settings) -> dict[str, object]:
    """The remaining traits of a group after a customer left it, with its name."""
    rest = over_all(Profile("", shown=UNSURE), left)
    gone: Mapping[str, object] = group_traits(event, moved, settings)
    # Several destinations refuse a group without a name, and an amount of 0 is one of its currency.
    stays = {name: gone[name] for name in ("name", "currency") if name in gone}
    less = _less(
        {name: value for name, value in gone.items() if name not in stays}, group_traits(event, rest, settings)
    )
    traits = {**stays, **less}
    traits.pop("stripe_customer_id", None)
    return traits


def _less(gone: Mapping[str, object], kept: Mapping[str, object]) -> dict[str, object]:
    """The remaining traits, with null for each trait that ended."""
    traits = {name: _nothing_of(value) for name, value in gone.items()}
    for name, value in kept.items():
        before = traits.get(name)
        traits[name] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value
    return traits


def _nothing_of(value: object) -> object:
    match value:
        case Decimal() | int():
            return type(value)(0)
        case list():
            return []
        case dict():
            return {name: _nothing_of(entry) for name, entry in value.items()}
        case _:
            return None


def group_traits(event: StripeEvent, profile: Profile, settings: Settings) -> GroupTraits:
    """The traits of a group: plan, mrr, seats and lifetime value of the account."""
    traits: GroupTraits = {}
    if event.customer is not None:
        traits["stripe_customer_id"] = own_id(event.customer, event, settings)
    every: Mapping[str, object] = _subscription_traits(profile)
    if profile.group_name is not None:
        traits["name"] = profile.group_name
    names = ("plan", "mrr", "mrr_by_currency", "subscription_count", "subscription_status")
    traits.update(cast("GroupTraits", {name: every[name] for name in names if name in every} | _paid_traits(profile)))
    if profile.subscriptions:
        traits["seats"] = sum(record.quantity or 0 for record in profile.live)
    currency = _currency(profile)
    if currency is not None and ("mrr" in traits or "lifetime_value" in traits):
        traits["currency"] = currency.upper()
    return traits


def _subscription_traits(profile: Profile) -> UserTraits:
    leading, live = profile.leading, profile.live
    if leading is None:
        return {}
    trials = [record.trial_end for record in live if record.in_trial and record.trial_end is not None]
    traits: UserTraits = {
        "plan": leading.plan if live else None,
        "plans": sorted({record.plan for record in live if record.plan}),
        "subscription_status": leading.status,
        "subscription_count": len(live),
        "billing_period": leading.period if live else None,
        "trial_ends_at": iso_time(min(trials, default=None)),
        "cancels_at": iso_time(leading.cancels_at or None) if live else None,
    }
    if (mrr := _mrr(profile)) is not None or profile.shown is not None:
        # Unknown now (tiers): null, so that Segment does not keep an amount sent before.
        traits["mrr"] = mrr
    traits["mrr_by_currency"] = _mrr_by_currency(profile)
    return traits


def _mrr(profile: Profile) -> Decimal | None:
    """The MRR in the currency of the leading subscription; None where it is unknown, or where there never was one."""
    leading = profile.leading
    if leading is None:
        return None
    amounts = [record.mrr for record in profile.live if record.currency == leading.currency]
    known = [amount for amount in amounts if amount is not None]
    return major(sum(known), leading.currency) if len(known) == len(amounts) else None


def _mrr_by_currency(profile: Profile) -> dict[str, Decimal]:
    """The MRR by currency, with 0 for currencies that ended, and without currencies that have an unknown amount."""
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
    traits: UserTraits = {
        "lifetime_value_by_currency": {code.upper(): major(profile.paid[code], code) for code in sorted(profile.paid)}
    }
    currency = _currency(profile)
    if currency is not None:
        # 0 where all payments were in other currencies: Segment would keep their amount beside the new currency.
        traits["lifetime_value"] = major(profile.paid.get(currency, 0), currency)
    return traits


def _card_traits(profile: Profile) -> UserTraits:
    """The card traits; none for a customer whose cards were never seen, because there may be some."""
    return {"card_expires_at": iso_time(profile.card_expires_at)} if profile.knows_cards else {}


def _currency(profile: Profile) -> str | None:
    """The customer's currency: that of the leading subscription, else the one with the most payments."""
    leading = profile.leading
    if leading is not None and leading.currency is not None:
        return leading.currency
    return max(profile.paid, key=lambda code: (profile.paid[code], code), default=None)


def _allowed(carried: Mapping[str, object], settings: Settings) -> UserTraits:
    """The personal traits among these that are on the allow-list."""
    if not carried:
        return {}
    allowed = {name: carried[name] for name in PERSONAL if carried.get(name) and name in settings.personal_traits}
    if settings.hash_email and "email" in allowed:
        email = str(allowed.pop("email")).strip().lower()
        allowed["email_sha256"] = hashlib.sha256(email.encode()).hexdigest()
    elif settings.hash_email and "email" in settings.personal_traits and carried.get("email_sha256"):
        # Remembered as a hash already.
        allowed["email_sha256"] = carried["email_sha256"]
    return cast("UserTraits", allowed)
