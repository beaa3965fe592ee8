"""The changes of the `secret` commands: one value of a field, and the keys in the wrong secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.secrets import KEY_FIELDS, SIGNING_FIELDS, texts
from stripe_to_segment_tools.commands.secret.document import SecretChangedError
from stripe_to_segment_tools.commands.secret.shapes import FIELDS, UNASSIGNED, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.secret.document import StackSecret

__all__ = ["OPPOSITE", "SecretRefusedError", "keys_left", "move", "put", "remove"]

OPPOSITE = {SIGNING_FIELDS["live"]: SIGNING_FIELDS["test"], SIGNING_FIELDS["test"]: SIGNING_FIELDS["live"]}


class SecretRefusedError(StripeToSegmentError):
    """The change would do harm to the secrets; the text says why, and what to do."""


def put(stack: Stack, field: str, value: str) -> None:
    """Write a key, or add a signing secret before the others of its mode; raises SecretRefusedError."""
    secret = stack.secret(FIELDS[field])
    found = secret.read()
    if field in KEY_FIELDS:
        secret.write(found.content | {field: value}, found.version)
        _forget_former(stack, field)
        return
    if value in texts(found.content.get(OPPOSITE[field])) and not stack.local:
        raise SecretRefusedError(
            f"this secret stands in {OPPOSITE[field]} already, and would sign events of both modes:"
            " take it out there first"
        )
    kept = [text for text in texts(found.content.get(field)) if text != value]
    unassigned = [text for text in texts(found.content.get(UNASSIGNED)) if text != value]
    secret.write(_plain(found.content | {field: [value, *kept], UNASSIGNED: unassigned}), found.version)


def remove(stack: Stack, field: str, mark: str) -> None:
    """Remove the value with this fingerprint; raises SecretRefusedError if there is none."""
    secret = stack.secret(FIELDS[field])
    found = secret.read()
    held = texts(found.content.get(field))
    kept = [text for text in held if fingerprint(text) != mark.lower()]
    if kept == held:
        raise SecretRefusedError(f"{field} of the {secret.name} holds nothing with the fingerprint {mark}")
    new: Any = kept if field in SIGNING_FIELDS.values() else ""
    secret.write(_plain(found.content | {field: new}), found.version)
    if field in KEY_FIELDS:
        _forget_former(stack, field)


def keys_left(signing: dict[str, Any]) -> list[str]:
    """The keys that are still in the SigningSecret, where an earlier release kept them."""
    return [field for field in KEY_FIELDS if texts(signing.get(field))]


def move(stack: Stack) -> Iterator[str]:
    """Move the keys from the SigningSecret to the KeysSecret; returns what was done, in words.

    The order keeps them readable for `deliver` at every moment: they are written to the new secret, read back, and only
    then removed from the old one. After an interruption it can be run again. Raises SecretRefusedError,
    SecretChangedError.
    """
    signing, keys = stack.secret("SigningSecret"), stack.secret("KeysSecret")
    if signing.arn == keys.arn:
        raise SecretRefusedError("SigningSecretArn and KeysSecretArn name one secret: deploy with two")
    held = signing.read().content
    left = {field: texts(held.get(field))[0] for field in keys_left(held)}
    found = keys.read()
    wanted = {field: key for field, key in left.items() if not texts(found.content.get(field))}
    if wanted:
        keys.write(found.content | wanted, found.version)
        if wanted.items() - keys.read().content.items():
            raise SecretChangedError("the KeysSecret does not hold what was written, so nothing was removed. Try again")
        yield f"moved to the KeysSecret: {', '.join(wanted)}"
    for field in left.keys() - wanted.keys():
        same = left[field] in texts(found.content.get(field))
        yield f"in the KeysSecret already: {field}{'' if same else ', with another value, which is used and stays'}"
    if _take_out(signing, KEY_FIELDS):
        yield "removed from the SigningSecret and from its previous version"


def _forget_former(stack: Stack, field: str) -> None:
    """Remove a key from the SigningSecret too, or `deliver` would use it after the new one is removed."""
    signing = stack.secret("SigningSecret")
    if signing.arn != stack.secret("KeysSecret").arn:
        _take_out(signing, [field])


def _take_out(secret: StackSecret, fields: Iterable[str]) -> bool:
    """Remove fields from the current and the previous version; True if there were any."""
    fields = [*fields]
    found = secret.read()
    without = {name: value for name, value in found.content.items() if name not in fields}
    done = any(texts(found.content.get(field)) for field in fields)
    if done:
        secret.write(without, found.version)
    if any(texts(secret.previous().get(field)) for field in fields):
        # The previous version can still be read by its label; writing the same content again moves the label to it.
        secret.write(without)
        done = True
    return done


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Without the field that is no longer used, once it is empty."""
    return {name: value for name, value in content.items() if name != UNASSIGNED or value}
