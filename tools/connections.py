"""The stack's secret as `register` changes it: signing secrets come and go, everything else stays as it is."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.secrets import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Connected", "Connections"]

SIGNING = "stripe_signing_secrets"
# Which endpoint of Stripe's each signing secret is of. The functions do not read it; Stripe itself does not tell.
ENDPOINTS = "stripe_endpoints"
# As long as Stripe lets a rolled secret live beside the new one.
KEPT_SECONDS = 86_400


@dataclass(frozen=True, slots=True, repr=False)
class Connected:
    """What the secret says of Stripe's endpoints: the signing secrets, and a note on each endpoint by its id."""

    signing: tuple[str, ...]
    endpoints: Mapping[str, Mapping[str, Any]]

    def has(self, endpoint: str) -> bool:
        """Whether this endpoint's signing secret is known to be here; False also where nobody knows."""
        noted = self.endpoints.get(endpoint, {}).get("secret")
        return noted is not None and noted in {_digest(secret) for secret in self.signing}

    def outdated(self, now: float) -> list[str]:
        """The endpoints that were replaced over a day ago, whose signing secrets nobody signs with any more."""
        moments = {endpoint: note.get("replaced_at") for endpoint, note in self.endpoints.items()}
        return [endpoint for endpoint, at in moments.items() if isinstance(at, int) and at < now - KEPT_SECONDS]


class Connections:
    """The secret in Secrets Manager, read anew before each change.

    Parameters
    ----------
    client
        A low-level boto3 client.
    arn
        The secret's.
    clock
        Epoch seconds.
    """

    def __init__(self, client: Any, arn: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._arn = arn
        self._clock = clock

    def read(self) -> Connected:
        """What it says now. Raises ConfigurationError where it is no JSON object."""
        content = self._content()
        return Connected(tuple(content[SIGNING]), content[ENDPOINTS])

    def keep(self, endpoint: str, secret: str) -> None:
        """Put an endpoint's signing secret before the others, and note whose it is: both or, if that fails, neither."""
        content = self._content()
        content[SIGNING] = [secret, *(each for each in content[SIGNING] if each != secret)]
        content[ENDPOINTS][endpoint] = {"secret": _digest(secret)}
        self._put(content)

    def retire(self, endpoint: str) -> None:
        """Note that an endpoint is replaced; its signing secret stays for what is still under way."""
        content = self._content()
        if endpoint in content[ENDPOINTS]:
            content[ENDPOINTS][endpoint]["replaced_at"] = int(self._clock())
            self._put(content)

    def forget(self, endpoints: list[str]) -> None:
        """Take the signing secrets of these endpoints out."""
        content = self._content()
        gone = {content[ENDPOINTS].pop(endpoint, {}).get("secret") for endpoint in endpoints}
        content[SIGNING] = [secret for secret in content[SIGNING] if _digest(secret) not in gone]
        self._put(content)

    def _content(self) -> dict[str, Any]:
        text = self._client.get_secret_value(SecretId=self._arn)["SecretString"]
        signing = list(read_secret(text).stripe_signing_secrets)
        content: dict[str, Any] = json.loads(text)
        noted = content.get(ENDPOINTS)
        notes = (
            {name: note for name, note in noted.items() if isinstance(note, dict)} if isinstance(noted, dict) else {}
        )
        return content | {SIGNING: signing, ENDPOINTS: notes}

    def _put(self, content: dict[str, Any]) -> None:
        self._client.put_secret_value(SecretId=self._arn, SecretString=json.dumps(content, indent=2))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
