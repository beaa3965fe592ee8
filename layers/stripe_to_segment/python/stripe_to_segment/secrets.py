"""The stack's two secrets: Stripe's signing secrets for `receive`, the keys for `deliver` and `reconcile`.

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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "KEY_FIELDS",
    "SIGNING_FIELDS",
    "Keys",
    "KeysReader",
    "SecretSource",
    "SigningSecrets",
    "read_keys",
    "read_signing_secrets",
    "secret_object",
    "texts",
]

MAX_AGE_SECONDS = 300
# A forged request must not cost a call to Secrets Manager; a rotated secret is found within this time. Also the pause
# after a refresh that failed.
REFRESH_EVERY_SECONDS = 30
# The pause where nothing is known yet; shorter, because nothing is accepted meanwhile.
READ_AGAIN_SECONDS = 5


@dataclass(frozen=True, slots=True, repr=False)
class SigningSecrets:
    """Stripe's signing secrets by the mode they vouch for.

    Attributes
    ----------
    live, test
        Those of endpoints of this mode; a sandbox is test mode.
    unassigned
        Those of an earlier version, whose mode nobody has noted: they vouch for both.
    refused
        How many texts in the secret are no signing secrets, by the reason (`signing_secret_flaw`).
    """

    live: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    unassigned: tuple[str, ...] = ()
    refused: Mapping[str, int] = field(default_factory=dict)

    @property
    def every(self) -> tuple[str, ...]:
        """Each of them once."""
        return tuple(dict.fromkeys((*self.live, *self.test, *self.unassigned)))

    def vouching(self, *, livemode: bool) -> tuple[str, ...]:
        """Those that may sign events of a mode."""
        return tuple(dict.fromkeys((*(self.live if livemode else self.test), *self.unassigned)))


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys that speak for the stack. Empty means not configured."""

    segment_write_key: str = ""
    segment_test_write_key: str = ""
    stripe_api_key: str = ""
    client_reference_key: str = ""

    def write_key(self, *, livemode: bool) -> str:
        """The write key of one mode; test events never fall back to the live source."""
        return self.segment_write_key if livemode else self.segment_test_write_key

    def filled_from(self, other: Keys) -> Keys:
        """These keys, and the other's where one is empty."""
        return replace(other, **{each.name: key for each in fields(self) if (key := getattr(self, each.name))})


# What the two secrets hold. The functions read nothing else of them.
SIGNING_FIELDS = {
    "live": "stripe_live_signing_secrets",
    "test": "stripe_test_signing_secrets",
    "unassigned": "stripe_signing_secrets",
}
KEY_FIELDS = tuple(each.name for each in fields(Keys))
# Of the write keys the sender says itself what is wrong, for their events wait.
_FLAW_OF = {"stripe_api_key": api_key_flaw, "client_reference_key": reference_key_flaw}


def read_signing_secrets(text: str, *, strict: bool = True) -> SigningSecrets:
    """The signing secrets from the SigningSecret's JSON text. Raises ConfigurationError, never quoting the text.

    `strict` leaves out what is no signing secret of Stripe's (a placeholder, a sample that everybody can read), as on
    AWS; an emulator on this machine takes any text.
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
    """The texts in a field of a secret, which holds a list or one of them; empty ones do not count."""
    values = given if isinstance(given, list) else [given]
    return [value.strip() for value in values if isinstance(value, str) and value.strip()]


class KeysReader:
    """Reads the keys; what is empty is taken from where an earlier version kept it, until nothing is left there.

    Parameters
    ----------
    read
        Gives the text of the secret with an ARN; it may raise anything.
    arn, former_arn
        The secret with the keys, and the one that held them before there were two; empty where there is none.
    strict
        Leave out an API key and a key of references that are none (a placeholder, a key of something else), as on AWS;
        on an emulator, and for who judges them, they are what they are.
    """

    def __init__(self, read: Callable[[str], str], arn: str, former_arn: str, *, strict: bool) -> None:
        self._read = read
        self._arn = arn
        self._former_arn = former_arn
        self._strict = strict

    def __call__(self) -> Keys:
        """The keys as they are now."""
        # The former place first: `secret move` fills the new one before it empties that, so no key is missed between.
        former = read_keys(self._read(self._former_arn), "SigningSecret") if self._former_arn else Keys()
        keys = read_keys(self._read(self._arn))
        if former == Keys():
            self._former_arn = ""
        keys = keys.filled_from(former)
        return _usable(keys) if self._strict else keys


def _usable(keys: Keys) -> Keys:
    """The keys without those that are none; says which."""
    flaws = {
        name: flaw for name, flaw_of in _FLAW_OF.items() if (key := getattr(keys, name)) and (flaw := flaw_of(key))
    }
    if not flaws:
        return keys
    logger.error("some keys are not used: `stripe-to-segment secret set` mends them", extra={"refused": flaws})
    return replace(keys, **dict.fromkeys(flaws, ""))


class SecretSource[Held]:
    """Reads a secret when it is first needed, keeps it for five minutes, and beyond them while it cannot be read again.

    Parameters
    ----------
    fetch
        Gives what the secret holds; it may raise anything.
    clock
        Monotonic seconds.
    """

    def __init__(self, fetch: Callable[[], Held], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self.forget()

    def forget(self) -> None:
        """Know nothing, as at the start."""
        self._held: Held | None = None
        self._tried_at = self._due = -math.inf
        self._failure = ""

    def get(self) -> Held:
        """What the secret held when it was last read. Raises ConfigurationError where it never could be."""
        if self._clock() >= self._due:
            self._renew()
        if self._held is None:
            raise ConfigurationError(self._failure)
        return self._held

    def refresh(self) -> bool:
        """Read again unless that was tried a moment ago; True where something new was found."""
        if self._clock() - self._tried_at < REFRESH_EVERY_SECONDS:
            return False
        before = self._held
        self._renew()
        return self._held != before

    def _renew(self) -> None:
        # Noted first: a secret that cannot be read must not be asked for by every forged request either.
        self._tried_at = self._clock()
        self._due = self._tried_at + (READ_AGAIN_SECONDS if self._held is None else REFRESH_EVERY_SECONDS)
        try:
            self._held = self._fetch()
        except ConfigurationError as error:
            self._failed(str(error), "unreadable")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, what is known still serves
            code = code_of(error)
            self._failed(f"the secret cannot be read: {code}", code)
        else:
            self._due = self._tried_at + MAX_AGE_SECONDS

    def _failed(self, failure: str, reason: str) -> None:
        self._failure = failure
        # Where nothing is known yet, whoever asked says so.
        if self._held is not None:
            logger.warning("the secret was not refreshed: the one known before serves on", extra={"reason": reason})
            count("SecretRefreshFailed")
