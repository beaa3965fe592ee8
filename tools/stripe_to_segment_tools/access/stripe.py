"""The Stripe API key of a command, and the address to which it may be sent.

The key is never an option, because other users of the machine and the shell's history would see it. It is sent to
Stripe, and to another address only if the user of the command names that address, because somebody else may have
changed the stack's setting.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import STRIPE_API, settings_from
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment_tools.terminal.output import stop

if TYPE_CHECKING:
    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["VARIABLE", "check_mode", "mode_of", "other_address", "stripe_address", "stripe_key"]

VARIABLE = "STRIPE_API_KEY"


def stripe_address(settings: Settings, given: str) -> str:
    """The address of the Stripe API. Ends the command if it is not clear."""
    if not given and (refused := other_address(settings)):
        stop(refused)
    try:
        return settings_from({"STRIPE_API_BASE": given or STRIPE_API}).stripe_api_base
    except ConfigurationError:
        stop(f"--stripe-api-base {given} is neither an https address nor one of this machine")


def other_address(settings: Settings) -> str:
    """The reason why the API key is not sent: the stack uses another address than Stripe's. Empty if it does not."""
    if settings.stripe_api_base == STRIPE_API:
        return ""
    return (
        f"this stack's StripeApiBase is {settings.stripe_api_base}, and no API key is sent there unless you say so: "
        f"--stripe-api-base {settings.stripe_api_base}, or --stripe-api-base {STRIPE_API} for Stripe itself"
    )


def stripe_key(stack: Stack, needed: str) -> tuple[str, str]:
    """The API key and the place where it was found; a terminal is asked last. Ends the command without one."""
    key = os.environ.get(VARIABLE, "").strip()
    if key:
        return key, VARIABLE
    key = stack.keys().stripe_api_key
    if key:
        return key, "the KeysSecret"
    key = typer.prompt("Stripe API key", hide_input=True, err=True).strip() if sys.stdin.isatty() else ""
    if not key:
        stop(
            f"there is no Stripe API key: set {VARIABLE}, or stripe_api_key in the KeysSecret; "
            f"a restricted key with {needed} is enough"
        )
    return key, "you"


def check_mode(key: str, settings: Settings) -> None:
    """End the command if the stack does not accept events of the key's mode."""
    if not settings.accepts(livemode=is_live(key)):
        stop(f"the API key is of {mode_of(key)} mode, which this stack's StripeMode refuses")


def mode_of(key: str) -> str:
    """The mode of an API key, which reads no data of the other mode."""
    return "live" if is_live(key) else "test"
