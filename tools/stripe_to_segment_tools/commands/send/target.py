"""The target of `send`, with its URL and signing secrets: a deployed stack, any URL, or the local stack."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stripe_to_segment.settings import LOOPBACK
from stripe_to_segment_tools.access.stack import StackAccessError
from stripe_to_segment_tools.commands.secret.asking import from_terminal
from stripe_to_segment_tools.local_stack.stack_file import read_stack_file
from stripe_to_segment_tools.project import MAKE_RUN
from stripe_to_segment_tools.samples.files import body_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["Mode", "Target", "find_target", "in_mode"]


class Mode(StrEnum):
    """Stripe's two modes; a sandbox is test mode."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """A webhook URL, and its signing secrets by mode (the key is `livemode`)."""

    url: str
    secrets: Mapping[bool, tuple[str, ...]]

    def signers(self, body: bytes) -> tuple[str, ...]:
        """The secrets that sign this body. Raises StackAccessError without a secret for its mode."""
        event = _object(body)
        live = bool(event) and event.get("livemode") is True
        if not self.secrets[live]:
            mode, other = ("live", "test") if live else ("test", "live")
            raise StackAccessError(
                f"the stack has no signing secret for {mode} events: register it with a key of {mode} "
                f"mode, or make them {other} events with --mode {other}"
            )
        return self.secrets[live]


def find_target(url: str, given: str, stack: Stack | None) -> Target:
    """The target that the options name, with the given signing secret. Raises StackAccessError if they name none."""
    if stack is not None:
        if given:
            return Target(url or stack.webhook_url, dict.fromkeys((True, False), (given,)))
        signing = stack.signing_secrets()
        return Target(url or stack.webhook_url, {live: signing.vouching(livemode=live)[:1] for live in (True, False)})
    local = read_stack_file()
    known = str(local.get("webhook_url") or "")
    if not url and not known:
        raise StackAccessError(f"no --url or --stack given and no local stack is running: start one with {MAKE_RUN}")
    here = not url or urlsplit(url).hostname in LOOPBACK
    secret = given or (str(local.get("signing_secret") or "") if here else "")
    secret = secret or from_terminal("Signing secret of the endpoint")
    if not secret:
        raise StackAccessError(
            "there is no signing secret: put it into STRIPE_SIGNING_SECRET, or name the stack with --stack"
        )
    return Target(url or known, dict.fromkeys((True, False), (secret,)))


def in_mode(body: bytes, mode: Mode | None) -> bytes:
    """The body with each `livemode` in it set to this mode; None returns it unchanged."""
    event = _object(body)
    return body_of(_rewritten(event, live=mode is Mode.LIVE)) if mode and event else body


def _rewritten(value: Any, *, live: bool) -> Any:
    if isinstance(value, dict):
        return {name: live if name == "livemode" else _rewritten(inner, live=live) for name, inner in value.items()}
    return [_rewritten(inner, live=live) for inner in value] if isinstance(value, list) else value


def _object(body: bytes) -> dict[str, Any]:
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
