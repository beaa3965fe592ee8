"""The cause of a failed payment in Stripe's codes. Stripe's sentences may name a person, and are never sent.

https://docs.stripe.com/error-codes, https://docs.stripe.com/declines/codes and https://docs.stripe.com/failure-codes
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.stripe_side.fields import dig, hash_of, listed, text

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side import shapes

__all__ = ["UNKNOWN_FAILURE", "Failure", "failure_of", "only_type_of"]

# Of the older names, those that are not the newer ones in capital letters.
BRANDS = {"American Express": "amex", "Diners Club": "diners"}
_CODE = re.compile(r"[a-z][a-z0-9_]*")


class Failure(NamedTuple):
    """The cause of a failed payment; a field is None where the payload does not state it.

    Records hold the fields by their places: a new one goes to the end.
    """

    code: str | None = None
    decline_code: str | None = None
    payment_method_type: str | None = None
    card_brand: str | None = None

    @property
    def message(self) -> str | None:
        """The more exact of the two codes as words: "insufficient funds"."""
        code = self.decline_code or self.code
        return None if code is None else code.replace("_", " ")

    def or_else(self, other: Failure) -> Failure:
        """The failure itself or, where it has neither code, with the values of the other added."""
        if self.code or self.decline_code:
            return self
        return Failure(*(theirs or mine for mine, theirs in zip(self, other, strict=True)))


UNKNOWN_FAILURE = Failure()


def failure_of(intent: shapes.PaymentIntent) -> Failure:
    """The cause of a PaymentIntent's last failure, from its `last_payment_error` and, where present, its newest charge.

    The intent lists its charges until 2022-11-15; later it holds the latest one only where that was expanded.
    https://docs.stripe.com/api/payment_intents/object#payment_intent_object-last_payment_error
    """
    error, charge = hash_of(intent.get("last_payment_error")), _newest_charge(intent)
    method, details = hash_of(error.get("payment_method")), hash_of(charge.get("payment_method_details"))
    code = _code(error.get("code")) or _code(charge.get("failure_code"))
    declined = _code(error.get("decline_code"))
    if declined is None and code == "card_declined":
        declined = _code(dig(charge, "outcome", "reason"))
    source = hash_of(error.get("source"))
    return Failure(
        code,
        declined,
        _code(method.get("type"))
        or _code(error.get("payment_method_type"))
        or _code(details.get("type"))
        or ("card" if source.get("object") == "card" else _code(source.get("type")))
        or only_type_of(intent),
        _brand_of(method) or _brand_of(details) or _brand_in_words(source),
    )


def only_type_of(payment: shapes.PaymentIntent | shapes.CheckoutSession) -> str | None:
    """The type of payment method, where an intent or a session allows only one."""
    types = payment.get("payment_method_types")
    return _code(types[0]) if isinstance(types, list) and len(types) == 1 else None


def _brand_of(method: shapes.PaymentMethod | shapes.PaymentMethodDetails) -> str | None:
    """The brand of a card, online or at a reader."""
    card = method.get("card") or method.get("card_present") or method.get("interac_present")
    return _code(dig(card, "brand"))


def _brand_in_words(source: shapes.Source) -> str | None:
    """The brand of a card that was saved before payment methods, which Stripe writes as "Visa" or "American Express".

    https://docs.stripe.com/api/cards/object#card_object-brand
    """
    brand = text(source.get("brand")) or text(dig(source, "card", "brand")) or ""
    return BRANDS.get(brand) or _code(brand.lower())


def _newest_charge(intent: shapes.PaymentIntent) -> shapes.Charge:
    # The list is sorted, the newest charge first.
    charges = listed(intent.get("charges"))
    return hash_of(intent.get("latest_charge")) or (charges[0] if charges else {})


def _code(value: object) -> str | None:
    """The value if it is a code word, None for anything that could be a sentence."""
    word = text(value)
    return word if word and _CODE.fullmatch(word) else None
