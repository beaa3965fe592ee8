"""The one secret of the stack: Stripe's signing secrets and the write keys, cached and refreshed within bounds."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stripe_to_segment.errors import ConfigurationError, code_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SecretSource", "Secrets", "read_secret"]

MAX_AGE_SECONDS = 300
# A forged request must not cost a call to Secrets Manager; a rotated secret is found within this time.
REFRESH_EVERY_SECONDS = 30
# The same for a secret that cannot be read; shorter, because nothing is accepted meanwhile.
READ_AGAIN_SECONDS = 5


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What the secret holds. Empty means not configured."""

    stripe_signing_secrets: tuple[str, ...] = ()
    segment_write_key: str = ""
    segment_test_write_key: str = ""
    stripe_api_key: str = ""
    client_reference_key: str = ""

    def write_key(self, *, livemode: bool) -> str:
        """The write key of one mode; test events never fall back to the live source."""
        return self.segment_write_key if livemode else self.segment_test_write_key


def read_secret(text: str) -> Secrets:
    """The secret from its JSON text. Raises ConfigurationError, never quoting the text."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(
            'the secret is no JSON object; it holds {"stripe_signing_secrets": ["whsec_…"], "segment_write_key": "…"}'
        )
    signing = found.get("stripe_signing_secrets")
    signing = signing if isinstance(signing, list) else [signing]
    return Secrets(
        stripe_signing_secrets=tuple(_words(signing)),
        **{
            name: next(iter(_words([found.get(name)])), "")
            for name in ("segment_write_key", "segment_test_write_key", "stripe_api_key", "client_reference_key")
        },
    )


def _words(values: list[Any]) -> list[str]:
    return [value.strip() for value in values if isinstance(value, str) and value.strip()]


class SecretSource:
    """Fetches the secret when it is first needed and keeps it for five minutes.

    Parameters
    ----------
    fetch
        Gives the secret's text; it may raise, which becomes a ConfigurationError.
    clock
        Monotonic seconds.
    """

    def __init__(self, fetch: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Know nothing, as at the start."""
        self._secrets: Secrets | None = None
        self._fetched_at = -math.inf
        self._failure = ""

    def get(self) -> Secrets:
        """The secret, at most five minutes old. Raises ConfigurationError."""
        age = self._clock() - self._fetched_at
        if self._secrets is None and self._failure and age < READ_AGAIN_SECONDS:
            raise ConfigurationError(self._failure)
        if self._secrets is None or age > MAX_AGE_SECONDS:
            self._secrets = self._read()
        return self._secrets

    def refresh(self) -> bool:
        """Fetch again unless that was done a moment ago; True where something new was fetched."""
        if self._clock() - self._fetched_at < REFRESH_EVERY_SECONDS:
            return False
        before, self._secrets = self._secrets, self._read()
        return self._secrets != before

    def _read(self) -> Secrets:
        # Set first: a secret that cannot be read must not be asked for by every forged request either.
        self._fetched_at = self._clock()
        try:
            return read_secret(self._fetch())
        except ConfigurationError as error:
            self._failure = str(error)
            raise
        except Exception as error:
            self._failure = f"the secret cannot be read: {code_of(error)}"
            raise ConfigurationError(self._failure) from error
