"""Who did it: a Stripe event names a customer, the product knows a user. A ladder of sources, the surest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.stripe_side.event import asked_once
from stripe_to_segment.stripe_side.fields import metadata_of, text
from stripe_to_segment.stripe_side.invoice import subscription_metadata_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment.profile import Profile
    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.event import StripeEvent
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = [
    "Identity",
    "Rung",
    "Stated",
    "names_user",
    "owner_key",
    "profile_key",
    "resolve",
    "stated_by",
    "stranger_id",
]


class Rung(StrEnum):
    """Which source named the user."""

    METADATA = "metadata"
    CLIENT_REFERENCE = "client_reference_id"
    REMEMBERED = "remembered"
    CUSTOMER_API = "customer_api"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Stated:
    """What the event itself says about the person; None where it says nothing."""

    user_id: str | None = None
    rung: Rung = Rung.UNKNOWN
    anonymous_id: str | None = None
    group_id: str | None = None
    opted_out: bool | None = None
    consent: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Identity:
    """Under which ids a call goes out; at least one of the two is set."""

    user_id: str | None
    anonymous_id: str | None
    rung: Rung


def owner_key(scope: str, owner: str) -> str:
    """The key of the record of a customer (or a guest's payment) within its scope, the account and mode."""
    return f"{scope}:{owner}"


@asked_once
def profile_key(event: StripeEvent) -> str:
    """The key of the record this event belongs to: the customer, or for a guest what ties a payment together.

    A guest's session and a later refund of it share the payment intent and nothing else.
    """
    owner = event.customer or text(event.object.get("payment_intent")) or text(event.object.get("id")) or event.id
    return owner_key(event.scope, owner)


def stranger_id(event: StripeEvent) -> str:
    """The anonymousId of an unknown user: the Stripe customer's id, or the session's (or payment's) of a guest."""
    return event.customer or text(event.object.get("id")) or event.id


def names_user(event: StripeEvent, settings: Settings) -> bool:
    """Whether the event itself says who the user is."""
    return bool(_first(_places(event), settings.user_id_keys) or _client_reference(event))


def stated_by(event: StripeEvent, settings: Settings, customer: JsonObject | None = None) -> Stated:
    """What metadata and `client_reference_id` say, newest place first.

    `customer` is the Customer read from the Stripe API, asked last of all.
    """
    places = _places(event)
    user_id = _first(places, settings.user_id_keys)
    rung = Rung.METADATA if user_id else Rung.UNKNOWN
    if user_id is None and (reference := _client_reference(event)):
        user_id, rung = reference, Rung.CLIENT_REFERENCE
    if customer is not None:
        places = [*places, metadata_of(customer)]
        if user_id is None and (user_id := _first(places, settings.user_id_keys)):
            rung = Rung.CUSTOMER_API
    opted = _first(places, ("analytics_opt_out",))
    return Stated(
        user_id=user_id,
        rung=rung,
        anonymous_id=_first(places, settings.anonymous_id_keys),
        group_id=_first(places, settings.group_id_keys),
        opted_out=None if opted is None else _says_yes(opted),
        consent=_consent(places, settings.consent_prefix),
    )


def resolve(stated: Stated, profile: Profile, stranger: str, settings: Settings) -> Identity | None:
    """The ids to send under, or None where the user is unknown and the policy is to skip.

    Never a random id: an unknown user is the same stranger each time.
    """
    anonymous_id = stated.anonymous_id or profile.anonymous_id
    if stated.user_id:
        return Identity(stated.user_id, anonymous_id, stated.rung)
    if profile.user_id:
        return Identity(profile.user_id, anonymous_id, Rung.REMEMBERED)
    match settings.unknown_user_policy:
        case "skip":
            return None
        case "customer_id":
            return Identity(stranger, anonymous_id, Rung.UNKNOWN)
        case _:
            return Identity(None, anonymous_id or stranger, Rung.UNKNOWN)


@asked_once
def _places(event: StripeEvent) -> list[dict[str, str]]:
    """Metadata, newest place first; subscription and customer are ids in what Stripe sends, whole where expanded."""
    stripe_object = event.object
    expanded = [metadata_of(stripe_object.get(name)) for name in ("subscription", "customer")]
    return [metadata_of(stripe_object), subscription_metadata_of(stripe_object), *expanded]


def _client_reference(event: StripeEvent) -> str | None:
    return (text(event.object.get("client_reference_id")) or "").strip() or None


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


def _first(places: list[dict[str, str]], keys: tuple[str, ...]) -> str | None:
    for place in places:
        for key in keys:
            if key in place:
                return place[key]
    return None
