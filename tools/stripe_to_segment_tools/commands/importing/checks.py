"""The checks before an import starts: the mode and the account of the API key, and the file of users."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.delivery.sender import KEY_FIELD
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.stripe_side.event import Level
from stripe_to_segment_tools.access.stripe import check_mode, mode_of
from stripe_to_segment_tools.commands.importing.steps import KINDS
from stripe_to_segment_tools.commands.importing.users import BadUsersError, Users, read_users
from stripe_to_segment_tools.commands.register.thin_destinations import ThinDestinations
from stripe_to_segment_tools.commands.register.webhook_endpoints import WebhookEndpoints
from stripe_to_segment_tools.terminal.output import say, stop

if TYPE_CHECKING:
    from pathlib import Path

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_api.lists import Lists
    from stripe_to_segment_tools.access.stack import Stack

__all__ = ["Mode", "check_account", "check_modes", "check_readable", "check_sends", "users_in"]


class Mode(StrEnum):
    """Stripe's modes."""

    LIVE = "live"
    TEST = "test"


def users_in(path: Path, settings: Settings, option: str = "") -> Users:
    """The users that a file names. Ends the command with a list of the lines that cannot be used."""
    try:
        return read_users(path, settings)
    except BadUsersError as error:
        stop(f"{option}{path}:\n{error}\nnothing was started")


def check_modes(key: str, settings: Settings, mode: Mode | None) -> None:
    """End the command if the key is of another mode than wanted, or of one that the stack refuses."""
    check_mode(key, settings)
    if mode is not None and mode != mode_of(key):
        stop(f"--mode is {mode}, and the API key is of {mode_of(key)} mode: set STRIPE_API_KEY to one of {mode} mode")


def check_sends(stack: Stack, settings: Settings, level: Level, *, livemode: bool) -> None:
    """End the command if the stack remembers nothing, or cannot send what the level sends."""
    if settings.delivery_mode == "log":
        stop("DeliveryMode is log, so this stack remembers nothing: deploy with DeliveryMode=send first")
    if level is not Level.STATE and not stack.keys().write_key(livemode=livemode):
        name = KEY_FIELD[livemode]
        stop(
            f"{name} in the KeysSecret is empty, so nothing of level {level} can be sent: "
            f"`stripe-to-segment secret set {name}` first, or import with --level state; nothing was started"
        )


def check_readable(lists: Lists) -> None:
    """End the command if the key may not read a list, and name what it may not read."""
    if lacking := lists.unreadable(KINDS):
        them = "these permissions" if len(lacking) > 1 else "this permission"
        stop(
            f"the Stripe API key may not read {', '.join(lacking)}: give it {them} (Read) in the Dashboard, under API "
            f"keys; nothing was started"
        )


def check_account(stack: Stack, key: str, base: str) -> None:
    """End the command if the key's account has no endpoint for the stack: it is another account, or not registered.

    It also ends if the key may not read that. An event bus of a name of its own says nothing of the account.
    """
    bus = stack.parameters.get("EventBusName", "")
    destination = bus.rpartition("/")[2]
    if bus and not destination.startswith("ed_"):
        said = f"the event bus {bus} does not name Stripe's event destination"
        say(f"note: not checked whether the API key is of the account that sends events here: {said}", err=True)
        return
    try:
        leads_here = (
            ThinDestinations(key, base).has(destination)
            if bus
            else bool(WebhookEndpoints(key, base).at(stack.webhook_url))
        )
    except ConfigurationError as error:
        stop(
            f"whether the API key is of the account that sends events here cannot be checked: {error}. "
            f"--unregistered goes on without the check"
        )
    if not leads_here:
        what = f"no event destination for {bus}" if bus else f"no webhook endpoint for {stack.webhook_url}"
        first = "" if bus else "If not, run `stripe-to-segment register` first, so that no event is missed; "
        stop(
            f"the API key's Stripe account ({mode_of(key)} mode) has {what}: is it another account? {first}"
            f"--unregistered continues anyway"
        )
