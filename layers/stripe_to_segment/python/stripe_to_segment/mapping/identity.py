"""Find the user of an event, for which Stripe names only a customer.

The sources, most reliable first:

1. Metadata of the object, of its subscription, of its customer (in the event or read through the API).
2. The user that metadata named for this customer before.
3. A Checkout Session's `client_reference_id`, if `CLIENT_REFERENCE_ID` trusts it.
4. The user that a reference named for this customer before.
5. None: `UNKNOWN_USER_POLICY` decides.

So a reference, which may come from a visitor, never outranks metadata, which the merchant's own code wrote.
"""

from __future__ import annotations

import hashlib
from copy import replace
from dataclasses import field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from stripe_to_segment.frozen import frozen
from stripe_to_segment.mapping.references import user_of
from stripe_to_segment.stripe_side.checkout import consents_of, made_by_payment_link
from stripe_to_segment.stripe_side.customer import business_name_of, email_of
from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import metadata_of, text
from stripe_to_segment.stripe_side.invoice import subscription_metadata_of
from stripe_to_segment.stripe_side.payment_intent import session_of
from stripe_to_segment.stripe_side.refund import payment_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_side import shapes
    from stripe_to_segment.stripe_side.event import StripeEvent

__all__ = [
    "NO_VALUE",
    "SILENT",
    "Identity",
    "IdentitySource",
    "Stated",
    "email_digest",
    "fallback_anonymous_id",
    "metadata_places",
    "own_id",
    "reference_refused",
    "resolve",
    "stated_by",
    "with_name_ahead",
    "with_person",
]

# What programs write where they have no value. Everybody without one would become one user, which nothing undoes.
NO_VALUE = frozenset(
    {"null", "NULL", "undefined", "None", "nil", "<nil>", "NaN", "N/A", "n/a", "#N/A", "\\N", "[object Object]"}
)


class IdentitySource(StrEnum):
    """The source that named the user."""

    METADATA = "metadata"
    CLIENT_REFERENCE = "client_reference_id"
    REMEMBERED = "remembered"
    CUSTOMER_API = "customer_api"
    UNKNOWN = "unknown"


@frozen
class Stated:
    """What the event itself says about the person; None where it says nothing.

    `email` is the short digest of the address, `customer_read` says that the Customer's own metadata is among it.
    `moves` is false where nothing may be sent: then it names a user and a group only if none were known, because the
    user and the group that a customer leaves must be sent their new traits.
    """

    user_id: str | None = None
    identity_source: IdentitySource = IdentitySource.UNKNOWN
    anonymous_id: str | None = None
    group_id: str | None = None
    group_name: str | None = None
    opted_out: bool | None = None
    consent: Mapping[str, bool] = field(default_factory=dict)
    email: str | None = None
    customer_read: bool = False
    moves: bool = True


# An event that says nothing of the person, as most do.
SILENT = Stated()


@frozen
class Identity:
    """The ids of a call; at least one of the two is set."""

    user_id: str | None
    anonymous_id: str | None
    identity_source: IdentitySource


def fallback_anonymous_id(event: StripeEvent) -> str:
    """The anonymousId of an unknown user: the Stripe customer's id, or the session's (or payment's) of a guest.

    What went back of a payment has that of the payment, which may come later.
    """
    paid = payment_of(event.object) if event.type.startswith(("charge.", "refund.")) else None
    return event.customer or session_of(event.object) or paid or text(event.object.get("id")) or event.id


def own_id(identifier: str, event: StripeEvent, settings: Settings) -> str:
    """An id as it is sent: ids of a connected account get its prefix (`acct_…:id`).

    An id that a connected account writes into metadata must not name a user of the platform, unless the deployer says
    that their users are the same (`CONNECT_USERS=platform`).
    """
    if event.account is None or settings.connect_users == "platform":
        return identifier
    prefix = f"{event.account}:"
    return identifier if identifier.startswith(prefix) else prefix + identifier


def reference_refused(event: StripeEvent, settings: Settings) -> bool:
    """Whether the session has a reference that the setting does not trust."""
    given = _reference_of(event) is not None and settings.client_reference_id != "ignore"
    return given and _client_reference(event, settings) is None


def stated_by(event: StripeEvent, settings: Settings, customer: shapes.Customer | None = None) -> Stated:
    """What metadata and `client_reference_id` say, newest place first.

    `customer` is the Customer read from the Stripe API; its metadata is the last place of all.
    """
    places = metadata_places(event)
    user_id, identity_source = _first(places, settings.user_id_keys), IdentitySource.METADATA
    if customer is not None:
        places = [*places, metadata_of(customer)]
        if user_id is None:
            user_id, identity_source = _first(places[-1:], settings.user_id_keys), IdentitySource.CUSTOMER_API
    if user_id is None:
        user_id, identity_source = _client_reference(event, settings), IdentitySource.CLIENT_REFERENCE
    opted = _first(places, ("analytics_opt_out",))
    return Stated(
        user_id,
        identity_source if user_id else IdentitySource.UNKNOWN,
        _first(places, settings.anonymous_id_keys),
        _first(places, settings.group_id_keys),
        _group_name(event, places, settings, customer),
        None if opted is None else _says_yes(opted),
        _consent(places, settings.consent_prefix) | _checkout_consent(event, settings),
        _email(event),
        customer is not None or event.about == "customer",
        not event.silent,
    )


REMEMBERED = ("anonymous_id", "group_id", "group_name", "opted_out")


def with_person(profile: Profile, stated: Stated, created: int) -> Profile:
    """The record with the event's statements about the person, for later events of the customer that make none.

    A late event only adds statements that are missing, and never replaces newer ones; `created` is in epoch seconds.
    """
    if stated == SILENT:
        return profile
    if not stated.moves:
        stated = replace(
            stated,
            user_id=stated.user_id if profile.user_id is None else None,
            group_id=stated.group_id if profile.group_id is None else None,
        )
    newest: dict[str, Any] = {
        name: value
        for name in REMEMBERED
        if (value := getattr(stated, name)) is not None and created >= profile.as_of.get(name, 0)
    }
    newest = _named_as_its_group(newest, stated, profile)
    changes: dict[str, Any] = {}
    if stated.user_id is not None and _outranks(stated, profile, created):
        newest["user_id"] = stated.user_id
        changes["named_by"] = (
            str(IdentitySource.CLIENT_REFERENCE) if stated.identity_source is IdentitySource.CLIENT_REFERENCE else ""
        )
        if stated.user_id != profile.user_id:
            changes["tied"] = False
    if newest.get("group_id") not in {None, profile.group_id}:
        changes["grouped"] = False
    if stated.consent:
        late = created < profile.as_of.get("consent", 0)
        newest["consent"] = {**stated.consent, **profile.consent} if late else {**profile.consent, **stated.consent}
    if stated.email:
        changes["email"] = stated.email
    if stated.customer_read:
        changes["customer_read"] = True
    moments = {name: max(created, profile.as_of.get(name, 0)) for name in newest}
    changes |= newest
    changes["as_of"] = {**profile.as_of, **moments}
    return replace(profile, **changes)


def with_name_ahead(profile: Profile, stated: Stated, created: int) -> Profile:
    """The record with the business name of a Customer whose group other events of the batch may name.

    These are mapped first, because they name the user too, and several destinations refuse a group without a name.
    """
    if stated.group_name is None or stated.group_id is not None or profile.group_name is not None:
        return profile
    return replace(profile, group_name=stated.group_name, as_of={**profile.as_of, "group_name": created})


def _named_as_its_group(newest: dict[str, Any], stated: Stated, profile: Profile) -> dict[str, Any]:
    """The newest statements, without the name of another group: a late event's, or the one that the customer leaves."""
    group_id = newest.get("group_id", profile.group_id)
    if stated.group_id not in {None, group_id}:
        return {name: value for name, value in newest.items() if name != "group_name"}
    leaves = profile.group_id not in {None, group_id}
    return {"group_name": None, **newest} if leaves else newest


def _outranks(stated: Stated, profile: Profile, created: int) -> bool:
    """Whether the event's user replaces the stored one: metadata outranks a reference, then the newer one counts."""
    by_reference, known_by_reference = stated.identity_source is IdentitySource.CLIENT_REFERENCE, bool(profile.named_by)
    if profile.user_id is not None and by_reference is not known_by_reference:
        return known_by_reference
    return created >= profile.as_of.get("user_id", 0)


def resolve(
    stated: Stated, profile: Profile, fallback_id: str, event: StripeEvent, settings: Settings
) -> Identity | None:
    """The ids to send under, or None where the user is unknown and the policy is to skip.

    `profile` is the record after the event. Never a random id: an unknown user is the same fallback id each time.
    """
    anonymous_id = stated.anonymous_id or profile.anonymous_id
    # A reference is ignored if metadata has named the user before.
    outranked = stated.identity_source is IdentitySource.CLIENT_REFERENCE and not profile.named_by
    user_id, identity_source = (None, IdentitySource.UNKNOWN) if outranked else (stated.user_id, stated.identity_source)
    if not user_id and profile.user_id:
        user_id, identity_source = profile.user_id, IdentitySource.REMEMBERED
    if not user_id:
        match settings.unknown_user_policy:
            case "skip":
                return None
            case "customer_id":
                user_id = fallback_id
            case _:
                anonymous_id = anonymous_id or fallback_id
    return Identity(
        user_id and own_id(user_id, event, settings),
        anonymous_id and own_id(anonymous_id, event, settings),
        identity_source,
    )


def email_digest(address: str) -> str:
    """The first 16 hex digits of the SHA-256 of an address, as the trait `email_sha256` has all 64 of them."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()[:16]


def _email(event: StripeEvent) -> str | None:
    address = email_of(event)
    return email_digest(address) if address else None


def _group_name(
    event: StripeEvent, places: list[dict[str, str]], settings: Settings, customer: shapes.Customer | None
) -> str | None:
    """The name of the company or team, where there are groups at all: metadata, else the name of the business."""
    if not settings.group_id_keys:
        return None
    return _first(places, settings.group_name_keys) or business_name_of(event, customer)


@asked_once
def metadata_places(event: StripeEvent) -> list[dict[str, str]]:
    """Metadata where there is any, newest place first.

    Subscription and customer are ids in Stripe's payloads, objects where expanded.
    """
    stripe_object = event.object
    expanded = [metadata_of(stripe_object.get(name)) for name in ("subscription", "customer")]
    places = [metadata_of(stripe_object), subscription_metadata_of(stripe_object), *expanded]
    return [place for place in places if place]


def _reference_of(event: StripeEvent[shapes.CheckoutSession]) -> str | None:
    reference = (text(event.object.get("client_reference_id")) or "").strip()
    return reference if reference and reference not in NO_VALUE else None


def _client_reference(event: StripeEvent[shapes.CheckoutSession], settings: Settings) -> str | None:
    """The user that the session's reference names, None if the setting does not trust it."""
    reference, trusted = _reference_of(event), settings.client_reference_id
    if reference is None or trusted == "ignore":
        return None
    signed = user_of(reference, settings.client_reference_key)
    if signed is not None:
        return signed
    by_server = trusted == "server" and not made_by_payment_link(event.object)
    return reference if by_server or trusted == "always" else None


def _says_yes(value: str) -> bool:
    return value.lower() in {"true", "1", "yes", "y", "on"}


def _consent(places: list[dict[str, str]], prefix: str) -> dict[str, bool]:
    """Consent by category, from keys such as `consent_Analytics`; the newest place has the last word."""
    if not prefix:
        return {}
    return {
        key.removeprefix(prefix): _says_yes(value)
        for place in reversed(places)
        for key, value in place.items()
        if key.startswith(prefix) and key != prefix
    }


def _checkout_consent(event: StripeEvent[shapes.CheckoutSession], settings: Settings) -> dict[str, bool]:
    """What the customer consented to in Checkout, under the categories that the setting gives it."""
    chosen = settings.checkout_consent
    if not chosen or not event.type.startswith("checkout.session."):
        return {}
    return {chosen[name]: given for name, given in consents_of(event.object).items() if name in chosen}


def _first(places: list[dict[str, str]], keys: tuple[str, ...]) -> str | None:
    for place in places:
        for key in keys:
            if key in place and place[key] not in NO_VALUE:
                return place[key]
    return None
