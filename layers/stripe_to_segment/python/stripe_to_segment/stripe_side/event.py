"""A Stripe event, read from the text that was verified."""

from __future__ import annotations

import json
import re
from copy import replace
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, NoReturn

from stripe_to_segment.errors import MalformedEventError, ThinEventError
from stripe_to_segment.reasons import Reason
from stripe_to_segment.stripe_side.fields import JsonObject, hash_of, integer, merged, reference, text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StripeEvent", "asked_once", "decoded", "event_from", "parse_event", "scope_of"]


def asked_once[T](question: Callable[[StripeEvent], T]) -> Callable[[StripeEvent], T]:
    """A question to an event that it keeps the answer to: looking up, mapping and learning ask the same ones."""

    @wraps(question)
    def answer(event: StripeEvent) -> T:
        answers = event.answers
        if question not in answers:
            answers[question] = question(event)
        found: T = answers[question]
        return found

    return answer


@dataclass(frozen=True)
class StripeEvent:
    """A snapshot event; `object`, `previous` and the whole `body` are plain dicts.

    `payer` is the customer where the object does not name one. `created` is in epoch seconds, 0 where not even the
    object has one. No slots: what it works out once, it keeps.
    https://docs.stripe.com/api/events/object
    """

    id: str
    type: str
    created: int
    livemode: bool
    account: str | None
    object: JsonObject
    previous: JsonObject
    body: JsonObject
    payer: str | None = None
    answers: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def scope(self) -> str:
        """Account and mode, which never mix: the prefix of every key and messageId."""
        return scope_of(self.account, livemode=self.livemode)

    @cached_property
    def about(self) -> str:
        """What kind of object it is about, as event types begin: "customer", "customer.subscription", "charge"."""
        return self.type.rpartition(".")[0]

    @cached_property
    def before(self) -> JsonObject:
        """The object as it was before this event, as far as `previous_attributes` tells."""
        return merged(self.object, self.previous)

    @cached_property
    def customer(self) -> str | None:
        """The Stripe customer the object belongs to, or has belonged to until now; or the customer itself.

        What was taken from a customer, as a payment method is, names none any more.
        """
        if self.object.get("object") == "customer" or self.about == "customer":
            return text(self.object.get("id"))
        named = (reference(one.get(name)) for one in (self.object, self.previous) for name in _CUSTOMER_FIELDS)
        return next(filter(None, named), None) or self.payer

    def belonging_to(self, customer: str) -> StripeEvent:
        """The same event as one of a customer whom its object does not name."""
        return replace(self, payer=customer)


_CUSTOMER_FIELDS = ("customer", "customer_account")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
# The year 10000: no clock, no queue and no calendar knows what comes after it.
END_OF_TIME = 253_402_300_800
# Up to here a float holds every whole number.
EXACT = 2**53


def scope_of(account: str | None, *, livemode: bool) -> str:
    """The scope of an account (None for the stack's own) in a mode."""
    return f"{account or 'own'}:{'live' if livemode else 'test'}"


def parse_event(raw: str | bytes) -> StripeEvent:
    """The event in a JSON text.

    Raises
    ------
    ThinEventError
        for `v2.core.event`, which has no object to map.
    MalformedEventError
        for anything else that is no Stripe event, with the reason.
    """
    try:
        # Decoded here: the decoder would also take UTF-16, which the queue would not.
        data = decoded(raw if isinstance(raw, str) else raw.decode())
    except UnicodeDecodeError:
        raise MalformedEventError(Reason.NOT_UTF8, "the body is not UTF-8") from None
    except RecursionError:
        raise MalformedEventError(Reason.NESTED_TOO_DEEP, "the body is nested too deep") from None
    except ValueError:
        # Not chained: the decoder's error carries the whole document, which may hold personal data.
        raise MalformedEventError(Reason.NOT_JSON, "the body is not JSON") from None
    return event_from(data)


def decoded(document: str) -> Any:
    """The value of a JSON text of Stripe's, as everything behind it can hold it. Raises ValueError, RecursionError."""
    data = _DECODER.decode(document)
    # Most documents hold no backslash, which is found out in no time.
    if "\\" in document and _ESCAPED_SURROGATE.search(document):
        # Half an emoji, left by somebody who cut a text: no UTF-8 holds it, so neither log, queue nor Segment does.
        data = json.loads(json.dumps(data, ensure_ascii=False).encode(errors="replace"))
    return data


def event_from(data: object) -> StripeEvent:
    """The event in an already decoded JSON value; raises as `parse_event` does."""
    if not isinstance(data, dict):
        raise MalformedEventError(Reason.NOT_AN_EVENT, "the body is JSON but no Stripe event: not an object")
    if data.get("object") == "v2.core.event":
        raise ThinEventError(text(data.get("id")), text(data.get("type")))
    body: Any = hash_of(data.get("data")).get("object")
    created = data.get("created")
    if created is None:
        created = integer(hash_of(body).get("created")) or 0
    required = {
        "id": text(data.get("id")),
        "type": text(data.get("type")),
        "created": created if integer(created) is not None and 0 <= created < END_OF_TIME else None,
        "data.object": body if isinstance(body, dict) else None,
    }
    missing = [name for name, value in required.items() if value is None]
    if missing:
        raise MalformedEventError(Reason.NOT_AN_EVENT, f"the body is no Stripe event: no usable {', '.join(missing)}")
    return StripeEvent(
        id=data["id"],
        type=data["type"],
        created=created,
        livemode=data.get("livemode") is True,
        account=text(data.get("account")),
        object=body,
        previous=hash_of(hash_of(data["data"]).get("previous_attributes")),
        body=data,
    )


def _refuse_constant(name: str) -> NoReturn:
    # Python's decoder takes NaN and Infinity, which are no JSON and could not be sent on.
    message = f"{name} is no JSON"
    raise ValueError(message)


def _number(written: str) -> int | float:
    # JSON has one kind of number: whoever hands an event on (EventBridge, say) may write 2000 as 2000.0 or 2E3.
    value = float(written)
    return int(value) if value.is_integer() and abs(value) < EXACT else value


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_number)
