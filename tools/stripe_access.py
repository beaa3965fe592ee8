"""The Stripe API key of a command: never an option, which other users of the machine and the shell's history see."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from stripe_to_segment.stripe_api import is_live
from tools.stack_access import stop

if TYPE_CHECKING:
    from stripe_to_segment.settings import Settings
    from tools.stack_access import Stack

__all__ = ["VARIABLE", "check_mode", "mode_of", "stripe_key"]

VARIABLE = "STRIPE_API_KEY"


def stripe_key(stack: Stack, needed: str) -> tuple[str, str]:
    """The API key, and where it was found; on a terminal it is asked for in the end. Ends the command without one."""
    key = os.environ.get(VARIABLE, "").strip()
    if key:
        return key, VARIABLE
    key = stack.secrets().stripe_api_key
    if key:
        return key, "the stack's secret"
    key = typer.prompt("Stripe API key", hide_input=True, err=True).strip() if sys.stdin.isatty() else ""
    if not key:
        stop(
            f"there is no Stripe API key: set {VARIABLE}, or stripe_api_key in the stack's secret; "
            f"a restricted key with {needed} is enough"
        )
    return key, "you"


def check_mode(key: str, settings: Settings) -> None:
    """End the command where the stack takes no events of the key's mode."""
    if not settings.accepts(livemode=is_live(key)):
        stop(f"the API key is of {mode_of(key)} mode, which this stack's StripeMode refuses")


def mode_of(key: str) -> str:
    """The mode that an API key sees; it sees nothing of the other."""
    return "live" if is_live(key) else "test"
