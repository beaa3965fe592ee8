"""The settings, read once from the environment; no other module reads them there."""

from __future__ import annotations

import json
import os
from dataclasses import field, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["STRIPE_API", "Settings", "on_this_machine", "settings_from", "settings_from_environment"]

# The consents that Checkout collects. https://docs.stripe.com/api/checkout/sessions/object#checkout_session_object-consent
CHECKOUT_CONSENTS = frozenset({"promotions", "terms_of_service"})
STRIPE_API = "https://api.stripe.com"
# What metadata may say of where somebody came from, and under which keys: the best first.
ATTRIBUTION: Mapping[str, tuple[str, ...]] = {
    "utm_source": ("utm_source",),
    "utm_medium": ("utm_medium",),
    "utm_campaign": ("utm_campaign",),
    "utm_term": ("utm_term",),
    "utm_content": ("utm_content",),
    "utm_id": ("utm_id",),
    "page": ("page_url", "page"),
    "referrer": ("referrer", "page_referrer"),
    "ip": ("ip", "ip_address"),
    "user_agent": ("user_agent", "userAgent"),
    "locale": ("locale",),
    "gclid": ("gclid",),
    "gbraid": ("gbraid",),
    "wbraid": ("wbraid",),
    "dclid": ("dclid",),
    "fbc": ("fbc", "_fbc"),
    "fbp": ("fbp", "_fbp"),
    "fbclid": ("fbclid",),
    "ttclid": ("ttclid",),
    "ttp": ("ttp", "_ttp"),
    "msclkid": ("msclkid",),
    "li_fat_id": ("li_fat_id",),
    "qclid": ("qclid",),
    "ndclid": ("ndclid",),
    "rdt_cid": ("rdt_cid",),
    "rdt_uuid": ("rdt_uuid", "_rdt_uuid"),
    "sc_click_id": ("sc_click_id", "ScCid"),
    "scid": ("scid", "_scid"),
    "ga_client_id": ("ga_client_id",),
    "ga_session_id": ("ga_session_id",),
}
# By metadata key.
DEFAULT_ATTRIBUTION = MappingProxyType({key: name for name, keys in ATTRIBUTION.items() for key in keys})
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Segment's own name of a purchase. https://segment.com/docs/connections/spec/ecommerce/v2/#order-completed
ORDER = "Order Completed"
SEGMENT_HOSTS = frozenset({"api.segment.io", "api.segment.com", "events.eu1.segmentapis.com"})


@frozen
class Settings:
    """The settings of all functions. Each field is the environment variable of its name in upper case.

    Except `client_reference_key`, which comes from the secret and is never in the environment.
    """

    segment_endpoint: str = "https://api.segment.io"
    compress_requests: str = "auto"
    delivery_mode: str = "send"
    stripe_mode: str = "both"
    connect_events: str = "refuse"
    connect_users: str = "own"
    user_id_keys: tuple[str, ...] = ("user_id", "userId")
    anonymous_id_keys: tuple[str, ...] = ("anonymous_id", "ajs_anonymous_id")
    group_id_keys: tuple[str, ...] = ("group_id",)
    group_name_keys: tuple[str, ...] = ("group_name",)
    consent_prefix: str = "consent_"
    checkout_consent: Mapping[str, str] = field(default_factory=dict)
    client_reference_id: str = "server"
    unknown_user_policy: str = "anonymous"
    identity_hold_seconds: int = 30
    payment_hold_seconds: int = 300
    personal_traits: tuple[str, ...] = ("email", "name")
    hash_email: bool = False
    context_traits: str = "event"
    attribution_keys: Mapping[str, str] = field(default_factory=lambda: DEFAULT_ATTRIBUTION)
    line_descriptions: str = "send"
    mrr_discounts: str = "forever"
    revenue_events: str = "named"
    rename_events: Mapping[str, str] = field(default_factory=dict)
    drop_events: tuple[str, ...] = ()
    integrations: Mapping[str, Any] = field(default_factory=dict)
    source_name: str = ""
    stack_name: str = "stripe-to-segment"
    stripe_api_base: str = STRIPE_API
    trust_stripe_api_base: bool = False
    retry_base_seconds: int = 30
    retry_cap_seconds: int = 3600
    signing_secret_arn: str = ""
    keys_secret_arn: str = ""
    former_secret_arn: str = ""
    events_queue_url: str = ""
    import_queue_url: str = ""
    dead_letter_queue_url: str = ""
    state_table: str = ""
    client_reference_key: str = field(default="", repr=False)

    def wire_name(self, event: str, *, pays: bool = False) -> str | None:
        """The name under which an event of the catalog is sent; None where it is not sent.

        One that `pays`, by stating revenue, is an Order Completed where `revenue_events` is `orders`, unless
        `rename_events` has a name for it.
        """
        if event in self.drop_events:
            return None
        name = ORDER if pays and self.revenue_events == "orders" and event not in self.rename_events else event
        return self.rename_events.get(name, name)

    def accepts(self, *, livemode: bool) -> bool:
        """Whether this stack takes events of a Stripe mode."""
        return self.stripe_mode in {"both", "live" if livemode else "test"}

    @property
    def source(self) -> str:
        """The name that is part of every messageId."""
        return self.source_name or self.stack_name

    @property
    def sends_to_segment(self) -> bool:
        """Whether calls go to Segment itself."""
        return urlsplit(self.segment_endpoint).hostname in SEGMENT_HOSTS

    @property
    def compresses(self) -> bool:
        """Whether requests are compressed: by default only those to Segment itself, as not every server reads gzip.

        Segment reads it since 2016: https://f2prateek.com/2016/06/05/gzip/
        """
        return self.compress_requests == "on" or (self.compress_requests == "auto" and self.sends_to_segment)

    @property
    def takes_connect(self) -> bool:
        """Whether this stack takes events of connected accounts."""
        return self.connect_events == "accept"

    @property
    def sends_api_key(self) -> bool:
        """Whether the Stripe API key may go to `stripe_api_base`.

        It may go to Stripe itself, to an address that TrustStripeApiBase allows, and to this machine if AWS is an
        emulator on it.
        """
        host = urlsplit(self.stripe_api_base).hostname
        here = host in LOOPBACK and on_this_machine()
        return host == urlsplit(STRIPE_API).hostname or self.trust_stripe_api_base or here

    @property
    def sends_line_descriptions(self) -> bool:
        """Whether calls carry the free text of invoice lines."""
        return self.line_descriptions == "send"


def on_this_machine() -> bool:
    """Whether AWS is an emulator on this machine, by the SDK's variable `AWS_ENDPOINT_URL`.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    return urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname in LOOPBACK


def settings_from_environment() -> Settings:
    """The settings of this function, from its environment."""
    return settings_from(os.environ)


def settings_from(given: Mapping[str, str], *, strict: bool = False) -> Settings:
    """Settings from texts by name; names may be written `USER_ID_KEYS`, `user_id_keys` or `UserIdKeys`.

    Parameters
    ----------
    given
        The texts. An empty text means the default.
    strict
        Refuse unknown names, for command lines; an environment holds other variables too.

    Raises
    ------
    ConfigurationError
        with the setting's name, the wrong value, and the allowed values.
    """
    readers = {_plain(name): (name, reader) for name, reader in _READERS.items()}
    values: dict[str, Any] = {}
    for key, given_text in given.items():
        name, reader = readers.get(_plain(key), (None, None))
        if name is None or reader is None:
            if strict:
                known = ", ".join(sorted(name.upper() for name in _READERS))
                message = f"{key} is not a setting; the settings are {known}"
                raise ConfigurationError(message)
            continue
        if not given_text.strip() and name not in _MAY_BE_EMPTY:
            continue
        values[name] = reader(name, given_text.strip())
    return Settings(**values)


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _text(_: str, value: str) -> str:
    return value


def _names(_: str, value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _choice(*allowed: str) -> Callable[[str, str], str]:
    def read(name: str, value: str) -> str:
        if value.lower() not in allowed:
            _refuse(name, value, f"one of {', '.join(allowed)}")
        return value.lower()

    return read


def _switch(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        _refuse(name, value, "true or false")
    return value.lower() == "true"


def _seconds(name: str, value: str) -> int:
    if not value.isdigit() or int(value) > 43_200:  # noqa: PLR2004 - SQS hides a message for twelve hours at most
        _refuse(name, value, "whole seconds from 0 to 43200")
    return int(value)


def _endpoint(name: str, value: str) -> str:
    if not _is_endpoint(value):
        # Not quoted: it may hold a password or a key, and a function that cannot start logs this text.
        message = (
            f"{name.upper()} cannot be used as an address; it takes an https:// address without a password and a "
            "query, such as https://api.segment.io or https://events.eu1.segmentapis.com"
        )
        raise ConfigurationError(message)
    # Many people paste the whole address of the batch endpoint.
    return value.rstrip("/").removesuffix("/v1/batch").removesuffix("/v1")


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return secure and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username or parts.password)


def _object(name: str, value: str, takes: str = 'a JSON object such as {"All": true}') -> Mapping[str, Any]:
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        _refuse(name, value, takes)
    return MappingProxyType(read)


def _consents(name: str, value: str) -> Mapping[str, str]:
    takes = 'a JSON object such as {"promotions": "Advertising", "terms_of_service": "Functional"}'
    read = _object(name, value, takes)
    if not all(key in CHECKOUT_CONSENTS and isinstance(category, str) and category for key, category in read.items()):
        _refuse(name, value, takes)
    return read


def _attribution(name: str, value: str) -> Mapping[str, str]:
    known = ", ".join(ATTRIBUTION)
    takes = f'a JSON object of metadata keys such as {{"ip": "client_ip", "fbc": ""}}, out of {known}'
    read = _object(name, value, takes)
    if read.get("*") or not all(key in {*ATTRIBUTION, "*"} and isinstance(keys, str) for key, keys in read.items()):
        _refuse(name, value, takes)
    # "*" stands for all that are not named; an empty text means no value.
    defaults = {} if read.get("*") == "" else ATTRIBUTION
    chosen = {**defaults, **{key: _names(name, keys) for key, keys in read.items() if key != "*"}}
    return MappingProxyType({key: slot for slot, keys in chosen.items() for key in keys})


def _renames(name: str, value: str) -> Mapping[str, str]:
    takes = 'a JSON object of names such as {"Order Completed": "Purchase Completed"}'
    read = _object(name, value, takes)
    if not all(isinstance(new, str) and new for new in read.values()):
        _refuse(name, value, takes)
    return read


def _refuse(name: str, value: str, takes: str) -> None:
    message = f"{name.upper()} is {value!r}; it takes {takes}"
    raise ConfigurationError(message)


_MAY_BE_EMPTY = frozenset(
    {
        *("personal_traits", "drop_events", "consent_prefix"),
        *("group_id_keys", "group_name_keys", "anonymous_id_keys", "user_id_keys"),
    }
)

# By a field's type as it is written in the class.
_READERS_OF_TYPES: Mapping[Any, Callable[[str, str], object]] = {
    "bool": _switch,
    "int": _seconds,
    "str": _text,
    "tuple[str, ...]": _names,
    "Mapping[str, Any]": _object,
}

# Of the fields that not every value of their type suits.
_READERS_OF_FIELDS: Mapping[str, Callable[[str, str], object]] = {
    "segment_endpoint": _endpoint,
    "stripe_api_base": _endpoint,
    "compress_requests": _choice("auto", "on", "off"),
    "delivery_mode": _choice("send", "log"),
    "stripe_mode": _choice("live", "test", "both"),
    "connect_events": _choice("refuse", "accept"),
    "connect_users": _choice("own", "platform"),
    "client_reference_id": _choice("server", "signed", "always", "ignore"),
    "checkout_consent": _consents,
    "line_descriptions": _choice("send", "omit"),
    "mrr_discounts": _choice("forever", "all", "none"),
    "revenue_events": _choice("named", "orders"),
    "attribution_keys": _attribution,
    "context_traits": _choice("event", "remembered", "none"),
    "unknown_user_policy": _choice("anonymous", "customer_id", "skip"),
    "rename_events": _renames,
}

_READERS: Mapping[str, Callable[[str, str], object]] = {
    entry.name: _READERS_OF_FIELDS.get(entry.name) or _READERS_OF_TYPES[entry.type]
    for entry in fields(Settings)
    if entry.name != "client_reference_key"
}
