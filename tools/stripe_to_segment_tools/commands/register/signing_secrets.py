"""The changes of `register` to the SigningSecret: it adds and removes signing secrets and keeps all other fields."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.secrets import SIGNING_FIELDS, read_signing_secrets, secret_object, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stripe_to_segment.secrets import SigningSecrets
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["ENDPOINTS", "Connected", "Connections"]

# The field that names the endpoint and the mode of each signing secret, which Stripe's API does not return. The
# functions do not read it.
ENDPOINTS = "stripe_endpoints"
# The time for which Stripe keeps a rolled secret valid beside the new one.
KEPT_SECONDS = 86_400


@dataclass(frozen=True, slots=True, repr=False)
class Connected:
    """The SigningSecret's content about Stripe's endpoints of one mode.

    The signing secrets are those that `receive` uses; the notes are about the endpoints of both modes, by their ids.
    """

    signing: SigningSecrets
    endpoints: Mapping[str, Mapping[str, Any]]
    livemode: bool

    @property
    def vouching(self) -> tuple[str, ...]:
        """The signing secrets that may sign events of this mode."""
        return self.signing.vouching(livemode=self.livemode)

    def has(self, endpoint: str) -> bool:
        """Whether this endpoint's signing secret is known to be stored; False also where that is unknown."""
        return self._is_in(endpoint, self.signing.every)

    def is_misplaced(self, endpoint: str) -> bool:
        """Whether this endpoint's signing secret is known to be stored, but not in the list of the mode."""
        placed = self.signing.live if self.livemode else self.signing.test
        return self.has(endpoint) and not self._is_in(endpoint, placed)

    def outdated(self, now: float) -> list[str]:
        """The endpoints that were replaced over a day ago; Stripe no longer signs with their secrets."""
        moments = {endpoint: note.get("replaced_at") for endpoint, note in self.endpoints.items()}
        return [endpoint for endpoint, at in moments.items() if isinstance(at, int) and at < now - KEPT_SECONDS]

    def _is_in(self, endpoint: str, secrets: Iterable[str]) -> bool:
        noted = self.endpoints.get(endpoint, {}).get("secret")
        return noted is not None and noted in {_digest(secret) for secret in secrets}


class Connections:
    """The SigningSecret of a stack, read anew before each change, for endpoints of one mode."""

    def __init__(self, stack: Stack, *, livemode: bool) -> None:
        self._secret = stack.secret("SigningSecret")
        self._strict = not stack.local
        self._livemode = livemode
        self._mode = SIGNING_FIELDS["live" if livemode else "test"]

    def read(self) -> Connected:
        """Its current content. Raises ConfigurationError if that is not a JSON object."""
        text, _ = self._secret.text()
        notes = _notes(secret_object(text, self._secret.name))
        return Connected(read_signing_secrets(text, strict=self._strict), notes, self._livemode)

    def keep(self, endpoint: str, secret: str) -> None:
        """Store an endpoint's signing secret first in the list of its mode, with its note; both in one write."""
        content = self._content()
        content[self._mode] = [secret, *(each for each in content[self._mode] if each != secret)]
        content[ENDPOINTS][endpoint] = {"secret": _digest(secret), "livemode": self._livemode}
        self._put(content)

    def assign(self, endpoint: str) -> None:
        """Move an endpoint's signing secret into the list of its mode, and note the mode."""
        content = self._content()
        note = content[ENDPOINTS][endpoint]
        held = [secret for field in SIGNING_FIELDS.values() for secret in content[field]]
        moved = {secret: None for secret in held if _digest(secret) == note.get("secret")}
        for field in SIGNING_FIELDS.values():
            content[field] = [secret for secret in content[field] if secret not in moved]
        content[self._mode] += moved
        note["livemode"] = self._livemode
        self._put(content)

    def retire(self, endpoint: str) -> None:
        """Note that an endpoint is replaced; its signing secret stays for requests that are still on their way."""
        content = self._content()
        if endpoint in content[ENDPOINTS]:
            content[ENDPOINTS][endpoint]["replaced_at"] = int(time.time())
            self._put(content)

    def forget(self, endpoints: list[str]) -> None:
        """Remove the signing secrets of these endpoints."""
        content = self._content()
        gone = {content[ENDPOINTS].pop(endpoint, {}).get("secret") for endpoint in endpoints}
        for field in SIGNING_FIELDS.values():
            content[field] = [secret for secret in content[field] if _digest(secret) not in gone]
        self._put(content)

    def _content(self) -> dict[str, Any]:
        content = self._secret.read().content
        lists = {field: texts(content.get(field)) for field in SIGNING_FIELDS.values()}
        return content | lists | {ENDPOINTS: _notes(content)}

    def _put(self, content: dict[str, Any]) -> None:
        unassigned = SIGNING_FIELDS["unassigned"]
        # The field of secrets without a mode is obsolete: remove it when it is empty.
        self._secret.write({name: value for name, value in content.items() if name != unassigned or value})


def _notes(content: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    noted = content.get(ENDPOINTS)
    return {name: note for name, note in noted.items() if isinstance(note, dict)} if isinstance(noted, dict) else {}


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
