"""A Stripe event, read from the verified text of the request."""

from __future__ import annotations

import json
import re
from copy import replace
from dataclasses import field
from enum import StrEnum
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, NoReturn

from stripe_to_segment.errors import MalformedEventError
from stripe_to_segment.frozen import frozen, frozen_with_cache
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.fields import JsonObject, hash_of, integer, merged, reference, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "THIN",
    "EventHead",
    "Level",
    "Listing",
    "StripeEvent",
    "asked_once",
    "decoded",
    "event_from",
    "owner_key",
    "parse_event",
    "read_json",
    "scope_of",
]


def asked_once[T](question: Callable[[StripeEvent], T]) -> Callable[[StripeEvent], T]:
    """Cache a function's result on its event, because lookup, mapping and learning call the same functions."""

    @wraps(question)
    def answer(event: StripeEvent) -> T:
        answers = event.answers
        if question not in answers:
            answers[question] = question(event)
        found: T = answers[question]
        return found

    return answer


class Level(StrEnum):
    """The level of an import."""

    STATE = "state"
    TRAITS = "traits"
    OPENING = "opening"
    HISTORY = "history"


@frozen
class Listing:
    """The import that listed an object: its level, and the epoch second as of which the object is true.

    `integrations` stand on its calls in place of the setting's; `enriched` says that `enrich` sees them.
    """

    level: Level
    moment: int
    integrations: JsonObject
    enriched: bool = False


@frozen_with_cache
class EventHead:
    """What an event states whether or not it carries its object; `created` is in epoch seconds."""

    id: str
    type: str
    created: int
    livemode: bool
    account: str | None


@frozen_with_cache
class StripeEvent[T: Mapping[str, Any] = Any](EventHead):
    """A snapshot event; `object`, `previous` and the whole `body` are plain dicts.

    `payer` is the customer, found elsewhere, where the object names none; `keeper` is the key of the record in which
    the payment is stored while its customer is unknown, if that is not the payment's own. `listing` says that an import
    brought the object, and no event. `created` is 0 where neither event nor object has one. `answers`
    are those of `asked_once`. https://docs.stripe.com/api/events/object
    """

    object: T
    previous: T
    body: JsonObject
    payer: str | None = None
    keeper: str | None = None
    listing: Listing | None = None
    answers: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def scope(self) -> str:
        """Account and mode, the prefix of every key and messageId, so that two of them never mix."""
        return scope_of(self.account, livemode=self.livemode)

    @property
    def silent(self) -> bool:
        """Whether it is only stored, and nothing is sent for it."""
        return self.listing is not None and self.listing.level is Level.STATE

    @property
    def sends_payments(self) -> bool:
        """Whether the payment that it states is sent; an import sends payments at its highest level only."""
        return self.listing is None or self.listing.level is Level.HISTORY

    @cached_property
    def about(self) -> str:
        """The beginning of the event's type, without the verb: "customer", "customer.subscription", "charge"."""
        return self.type.rpartition(".")[0]

    @cached_property
    def before(self) -> T:
        """The object before this event, by its `previous_attributes`."""
        before: T = merged(self.object, self.previous)
        return before

    @cached_property
    def customer(self) -> str | None:
        """The Stripe customer that the object belongs to, or belonged to until this event; or the customer itself.

        A detached payment method names no customer any more; `previous_attributes` does.
        """
        if self.object.get("object") == "customer" or self.about == "customer":
            return text(self.object.get("id"))
        for holder in (self.object, self.previous):
            if named := reference(holder.get("customer")) or reference(holder.get("customer_account")):
                return named
        return self.payer

    @cached_property
    def profile_key(self) -> str:
        """The key of the record this event belongs to: the customer's, or for a guest that of the payment.

        A guest's session and a later refund of it share the payment intent and nothing else; payments of parts of one
        invoice share the invoice while its customer is unknown.
        """
        if self.keeper is not None:
            return self.keeper
        return owner_key(self.scope, self.customer or self._tie or self.id)

    @property
    def _tie(self) -> str | None:
        """What the events of a payment have in common, where they name no customer."""
        body = self.object
        invoice = text(body.get("invoice")) if self.about == "invoice_payment" else None
        return text(body.get("payment_intent")) or invoice or text(body.get("id"))

    def belonging_to(self, customer: str) -> StripeEvent[T]:
        """The event with its customer set, where the object does not name one; it is that customer's from now on."""
        return replace(self, payer=customer, keeper=None)

    def kept_in(self, record: str) -> StripeEvent[T]:
        """The event with the record of this key, for an unknown customer."""
        return replace(self, keeper=record)


# The `object` of a thin event.
THIN = "v2.core.event"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# The year 10000: Python's dates, and the ISO form that Segment reads, end before it.
END_OF_TIME = 253_402_300_800
# A float holds every whole number up to this one.
EXACT = 2**53


def scope_of(account: str | None, *, livemode: bool) -> str:
    """The scope of an account (None for the stack's own) in a mode."""
    return f"{account or 'own'}:{'live' if livemode else 'test'}"


def owner_key(scope: str, owner: str) -> str:
    """The key of the record of a customer (or a guest's payment) within its scope, the account and mode."""
    return f"{scope}:{owner}"


def parse_event(raw: str | bytes) -> StripeEvent:
    """Parse a snapshot event from its JSON text; raises MalformedEventError for anything else, with the reason."""
    return event_from(read_json(raw))


def read_json(raw: str | bytes) -> object:
    """The value in a JSON text from Stripe; raises MalformedEventError, with the reason."""
    try:
        # Decoded as UTF-8 here, because the JSON decoder would also accept UTF-16, which the queue refuses.
        return decoded(raw if isinstance(raw, str) else raw.decode())
    except UnicodeDecodeError:
        raise MalformedEventError(Reason.NOT_UTF8, "the body is not UTF-8") from None
    except RecursionError:
        raise MalformedEventError(Reason.NESTED_TOO_DEEP, "the body is nested too deep") from None
    except ValueError:
        # Not chained: the decoder's error carries the whole document, which may hold personal data.
        raise MalformedEventError(Reason.NOT_JSON, "the body is not JSON") from None


def decoded(document: str) -> Any:
    """Decode JSON from Stripe into values that log, queue and Segment can hold. Raises ValueError, RecursionError."""
    data = _DECODER.decode(document)
    # Most documents hold no backslash, and the search for one is quick.
    if "\\" in document and _ESCAPED_SURROGATE.search(document):
        # Half an emoji, left where something cut a text. UTF-8 cannot hold it, so neither can log, queue and Segment.
        data = json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
    return data


def event_from(data: object) -> StripeEvent:
    """The event from a decoded JSON value; raises the errors of `parse_event`."""
    if not isinstance(data, dict):
        raise MalformedEventError(Reason.NOT_AN_EVENT, "the body is JSON but no Stripe event: not an object")
    if data.get("object") == THIN:
        raise MalformedEventError(Reason.NOT_AN_EVENT, "a thin event carries no object, and has to be read from Stripe")
    body: Any = hash_of(data.get("data")).get("object")
    id_, type_, created = text(data.get("id")), text(data.get("type")), data.get("created")
    if created is None:
        created = integer(hash_of(body).get("created")) or 0
    if integer(created) is None or not 0 <= created < END_OF_TIME:
        created = None
    if id_ is None or type_ is None or created is None or not isinstance(body, dict):
        usable = {"id": id_, "type": type_, "created": created, "data.object": body if isinstance(body, dict) else None}
        missing = ", ".join(name for name, value in usable.items() if value is None)
        raise MalformedEventError(Reason.NOT_AN_EVENT, f"the body is no Stripe event: no usable {missing}")
    livemode, account = data.get("livemode") is True, text(data.get("account"))
    previous = hash_of(data["data"].get("previous_attributes"))
    return StripeEvent(id_, type_, created, livemode, account, body, previous, data)


def _refuse_constant(name: str) -> NoReturn:
    # Python's decoder accepts NaN and Infinity, which are not JSON and could not be sent.
    message = f"{name} is no JSON"
    raise ValueError(message)


def _number(written: str) -> int | float:
    # JSON has one type of number: a service that passes an event on (EventBridge, say) may write 2000 as 2000.0 or 2E3.
    value = float(written)
    return int(value) if value.is_integer() and abs(value) < EXACT else value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_number)
