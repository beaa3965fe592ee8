"""Marks: unique strings in every field that may hold a secret or personal data, to be found in logs and answers."""

from __future__ import annotations

import base64
import itertools
import re
from typing import Any

__all__ = ["Marks"]

# A string that occurs nowhere else. The number after it says which value it replaced.
MARK = "pr1vat3"
NUMBERED = re.compile(rf"{MARK}(\d+)x", re.IGNORECASE)
# The mark's base64, at each of the three offsets at which it can begin in an encoded text.
ENCODED = [base64.b64encode(b"-" * shift + MARK.encode())[shift + (shift > 0) : -4].decode() for shift in range(3)]

# Fields with Stripe's enum values, numbers and versions. All other strings get marks, unless they are ids.
WORDS = {
    *("object", "type", "status", "currency", "mode", "payment_status", "billing_reason", "interval", "api_version"),
    *("billing_scheme", "usage_type", "collection_method", "tax_behavior", "duration", "feedback", "reason"),
    *("amount_decimal", "unit_amount_decimal", "quantity_decimal", "missing_payment_method", "behavior"),
}
ID = re.compile(r"[a-z]{2,10}(_[a-z]+)?_[A-Za-z0-9]{3,}")
# Fields of Stripe's objects that are added to the samples if a sample lacks them.
ADDRESS = {"line1": "1 Street", "line2": "x", "city": "x", "state": "x", "postal_code": "x", "country": "DE"}
PERSON: dict[str, Any] = {"name": "x", "email": "x", "phone": "x", "address": ADDRESS}
CARD = {"brand": "visa", "last4": "4242", "fingerprint": "x", "funding": "credit", "country": "DE"}
PERSONAL: dict[str, Any] = {
    **PERSON,
    "description": "x",
    "receipt_email": "x",
    "client_reference_id": "x",
    "client_secret": "x",
    "client_ip": "203.0.113.9",
    "statement_descriptor": "x",
    "shipping": {**PERSON, "carrier": "x", "tracking_number": "x"},
    "billing_details": PERSON,
    "customer_details": {**PERSON, "tax_ids": [{"type": "eu_vat", "value": "x"}]},
    "custom_fields": [{"key": "x", "label": {"custom": "x"}, "text": {"value": "x"}}],
    "cancellation_details": {"comment": "x", "feedback": "unused", "reason": "cancellation_requested"},
    "payment_method_details": {"card": CARD, "sepa_debit": {"bank_code": "x", "last4": "x"}, "type": "card"},
    "bank_name": "x",
    "after_expiration": {"recovery": {"url": "x"}},
    "last_payment_error": {"message": "x", "payment_method": {"billing_details": PERSON}},
}


class Marks:
    """Creates marks, and finds them in texts."""

    def __init__(self) -> None:
        self._of: dict[int, str] = {}
        self._numbers = itertools.count(1)

    def one(self, name: str) -> str:
        """A new mark for the value with that name."""
        number = next(self._numbers)
        self._of[number] = name
        return f"{MARK}{number}x"

    def all_in(self, value: Any, name: str = "") -> Any:
        """A JSON value with marks for its strings, except enum values and ids; in metadata for all strings."""
        if isinstance(value, dict):
            return {self._key(key, name): self.all_in(each, f"{name}.{key}") for key, each in value.items()}
        if isinstance(value, list):
            return [self.all_in(each, name) for each in value]
        if not isinstance(value, str) or not value:
            return value
        *_, metadata, field = ["", *name.split(".")]
        if metadata != "metadata" and (field in WORDS or ID.fullmatch(value)):
            return value
        return self.one(name)

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A Stripe event with marks in all fields that may be personal, and with more such fields than the samples."""
        body = event["data"]["object"]
        more = {name: value for name, value in PERSONAL.items() if not body.get(name)}
        metadata = {**(body.get("metadata") or {}), "user_id": "x", "note": "x", self.one("metadata key"): "x"}
        filled = {**event, "data": {**event["data"], "object": {**body, **more, "metadata": metadata}}}
        marked: dict[str, Any] = self.all_in(filled, event["type"])
        # These fields are not personal.
        return {**marked, "id": event["id"], "type": event["type"], "api_version": event.get("api_version")}

    def found_in(self, text: str) -> list[str]:
        """The names of the marks in a text, in any case or in base64."""
        names = {self._of[int(number)] for number in NUMBERED.findall(text)}
        names |= {"something in base64" for part in ENCODED if part in text}
        # A mark that is cut off before the end of its number.
        return sorted(names) or ["part of a mark"] * (MARK in text.lower())

    def _key(self, key: str, parent: str) -> str:
        # Metadata keys are private too, except those from which the mapping takes the user.
        return self.one("metadata key") if parent.endswith(".metadata") and key == "note" else key
