"""The stack's two secrets: Stripe's signing secrets for `receive`, the keys for the other functions.

Each is cached and refreshed at bounded intervals; if a refresh fails, the cached value stays in use.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from copy import replace
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from stripe_to_segment.errors import ConfigurationError, code_of
from stripe_to_segment.key_shapes import api_key_flaw, reference_key_flaw, signing_secret_flaw
from stripe_to_segment.observability import count, logger
from stripe_to_segment.settings import on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stripe_to_segment.settings import Settings

__all__ = [
    "KEY_FIELDS",
    "SIGNING_FIELDS",
    "Keys",
    "KeysReader",
    "SecretSource",
    "SigningSecrets",
    "keys_source",
    "read_keys",
    "read_signing_secrets",
    "secret_object",
    "signing_secrets_source",
    "texts",
]

MAX_AGE_SECONDS = 300
# The shortest time between two refreshes: forged requests must not each cost a call to Secrets Manager, and a rotated
# secret is found within this time. Also the pause after a failed refresh.
REFRESH_EVERY_SECONDS = 30
# The pause until the first successful read; shorter, because no request is accepted meanwhile.
READ_AGAIN_SECONDS = 5


@dataclass(frozen=True, slots=True, repr=False)
class SigningSecrets:
    """Stripe's signing secrets by the mode whose events they may sign.

    Attributes
    ----------
    live, test
        The secrets of endpoints of this mode; a sandbox is test mode.
    unassigned
        Secrets that an earlier version stored without a mode: they may sign events of both.
    refused
        The number of texts in the secret that are not signing secrets, by the reason (`signing_secret_flaw`).
    """

    live: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    unassigned: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def every(self) -> tuple[str, ...]:
        """All signing secrets, each once."""
        return tuple(dict.fromkeys((*self.live, *self.test, *self.unassigned)))

    def vouching(self, *, livemode: bool) -> tuple[str, ...]:
        """The secrets that may sign events of a mode."""
        return tuple(dict.fromkeys((*(self.live if livemode else self.test), *self.unassigned)))


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The stack's keys for Segment, the Stripe API and signed references. Empty means not configured."""

    segment_write_key: str = ""
    segment_test_write_key: str = ""
    stripe_api_key: str = ""
    client_reference_key: str = ""

    def write_key(self, *, livemode: bool) -> str:
        """The write key of one mode; test events never fall back to the live source."""
        return self.segment_write_key if livemode else self.segment_test_write_key

    def filled_from(self, other: Keys) -> Keys:
        """These keys, with the other's in place of empty ones."""
        return replace(other, **{each.name: key for each in fields(self) if (key := getattr(self, each.name))})


# The fields of the two secrets that the functions read.
SIGNING_FIELDS = {
    "live": "stripe_live_signing_secrets",
    "test": "stripe_test_signing_secrets",
    "unassigned": "stripe_signing_secrets",
}
KEY_FIELDS = tuple(each.name for each in fields(Keys))
# The write keys are not checked here: the sender reports a bad one, and its events wait.
_FLAW_OF = {"stripe_api_key": api_key_flaw, "client_reference_key": reference_key_flaw}


def read_signing_secrets(text: str, *, strict: bool = True) -> SigningSecrets:
    """The signing secrets from the SigningSecret's JSON text. Raises ConfigurationError, never quoting the text.

    `strict`, as on AWS, leaves out texts that are not signing secrets of Stripe (a placeholder, the public sample); an
    emulator on this machine takes any text.
    """
    found = secret_object(text, "SigningSecret")
    refused: Counter[str] = Counter()
    lists = {}
    for name, entry in SIGNING_FIELDS.items():
        given = texts(found.get(entry))
        flaws = [signing_secret_flaw(each) if strict else "" for each in given]
        refused.update(flaw for flaw in flaws if flaw)
        lists[name] = tuple(each for each, flaw in zip(given, flaws, strict=True) if not flaw)
    return SigningSecrets(**lists, refused=refused)


def read_keys(text: str, name: str = "KeysSecret") -> Keys:
    """The keys from a secret's JSON text. Raises ConfigurationError, never quoting the text."""
    found = secret_object(text, name)
    return Keys(**{entry: next(iter(texts([found.get(entry)])), "") for entry in KEY_FIELDS})


def secret_object(text: str, name: str) -> dict[str, object]:
    """The JSON object in a secret of this name. Raises ConfigurationError, never quoting the text."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError(f"the {name} is no JSON object: `stripe-to-segment secret edit` mends it")
    return found


def texts(given: object) -> list[str]:
    """The texts in a field of a secret, which holds a list or a single one, without empty ones."""
    values = given if isinstance(given, list) else [given]
    return [value.strip() for value in values if isinstance(value, str) and value.strip()]


class KeysReader:
    """Reads the keys; a key that is empty is read from the secret in which an earlier version kept it.

    Parameters
    ----------
    read
        Returns the text of the secret with an ARN; it may raise any error.
    arn, former_arn
        The secret with the keys, and the one that held them before there were two; empty where there is none.
    strict
        As on AWS, leave out an API key or a reference key that cannot be one (a placeholder, a key of another service).
        Without it, as on an emulator and in the commands that check the keys, they are returned as they are.
    """

    def __init__(self, read: Callable[[str], str], arn: str, former_arn: str, *, strict: bool) -> None:
        self._read = read
        self._arn = arn
        self._former_arn = former_arn
        self._strict = strict

    def __call__(self) -> Keys:
        """The current keys."""
        # Read the former secret first: `secret move` fills the new one before it empties the former, so a read in
        # between misses no key.
        former = read_keys(self._read(self._former_arn), "SigningSecret") if self._former_arn else Keys()
        keys = read_keys(self._read(self._arn))
        if former == Keys():
            self._former_arn = ""
        keys = keys.filled_from(former)
        return _usable(keys) if self._strict else keys


def _usable(keys: Keys) -> Keys:
    """The keys without those that cannot be used, which are logged by name."""
    flaws = {
        name: flaw for name, flaw_of in _FLAW_OF.items() if (key := getattr(keys, name)) and (flaw := flaw_of(key))
    }
    if not flaws:
        return keys
    logger.error("some keys are not used: `stripe-to-segment secret set` mends them", extra={"refused": flaws})
    return replace(keys, **dict.fromkeys(flaws, ""))


class SecretSource[Held]:
    """Reads a secret when it is first needed and caches it for five minutes, or longer while reading it again fails.

    Parameters
    ----------
    fetch
        Returns the content of the secret; it may raise any error.
    clock
        Epoch seconds. Not the monotonic clock, which can stand still while Lambda has frozen the environment: where
        requests are rare, a secret would then be kept for days.
    """

    def __init__(self, fetch: Callable[[], Held], clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Drop the cached value."""
        self._held: Held | None = None
        self._tried_at, self._lasts = -math.inf, 0
        self._failure = ""

    def get(self) -> Held:
        """The content of the secret as last read. Raises ConfigurationError where it was never read successfully."""
        if not self._tried_within(self._lasts):
            self._renew()
        if self._held is None:
            raise ConfigurationError(self._failure)
        return self._held

    def refresh(self) -> bool:
        """Read the secret again, unless that was tried a moment ago; True where its content has changed."""
        if self._tried_within(REFRESH_EVERY_SECONDS):
            return False
        before = self._held
        self._renew()
        return self._held != before

    def _tried_within(self, seconds: int) -> bool:
        # A clock that was set back says nothing about the time since.
        return 0 <= self._clock() - self._tried_at < seconds

    def _renew(self) -> None:
        # Set before the attempt: where the secret cannot be read, forged requests must not each try again.
        self._tried_at = self._clock()
        self._lasts = READ_AGAIN_SECONDS if self._held is None else REFRESH_EVERY_SECONDS
        try:
            self._held = self._fetch()
        except ConfigurationError as error:
            self._failed(str(error), "unreadable")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, what is known still serves
            code = code_of(error)
            self._failed(f"the secret cannot be read: {code}", code)
        else:
            self._lasts = MAX_AGE_SECONDS

    def _failed(self, failure: str, reason: str) -> None:
        self._failure = failure
        # Without a cached value, the caller logs the error.
        if self._held is not None:
            logger.warning("the secret was not refreshed: the one known before serves on", extra={"reason": reason})
            count("SecretRefreshFailed")


def signing_secrets_source(settings: Settings, read: Callable[[str], str]) -> SecretSource[SigningSecrets]:
    """The signing secrets of this stack; those that cannot be Stripe's are logged, by their number.

    `read` returns the text of a secret by its ARN.
    """

    def fetch() -> SigningSecrets:
        found = read_signing_secrets(read(settings.signing_secret_arn), strict=not on_this_machine())
        if found.refused:
            said = "configured signing secrets are not used: they cannot be Stripe's"
            logger.error(said, extra={"refused": dict(found.refused)})
        return found

    return SecretSource(fetch)


def keys_source(settings: Settings, read: Callable[[str], str]) -> SecretSource[Keys]:
    """The keys of this stack; `read` returns the text of a secret by its ARN."""
    return SecretSource(
        KeysReader(read, settings.keys_secret_arn, settings.former_secret_arn, strict=not on_this_machine())
    )
