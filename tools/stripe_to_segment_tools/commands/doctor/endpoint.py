"""Check the stack's webhook endpoint in Stripe, and whether what is in Stripe was imported."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.reader import is_live
from stripe_to_segment.stripe_api.requests import NotPermittedError
from stripe_to_segment_tools.access.stripe import VARIABLE, other_address, stripe_address
from stripe_to_segment_tools.commands.doctor.check import bad, good, guarded, unknown
from stripe_to_segment_tools.commands.importing.missing import subscriptions_known
from stripe_to_segment_tools.commands.register.signing_secrets import Connections
from stripe_to_segment_tools.commands.register.steps import ROLE, Role
from stripe_to_segment_tools.commands.register.thin_destinations import ThinDestinations
from stripe_to_segment_tools.commands.register.webhook_endpoints import (
    API_VERSION,
    EVENT_TYPES,
    Endpoint,
    WebhookEndpoints,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = ["check_endpoints"]

READ_SUBSCRIPTIONS = "a key with the permission 'Subscriptions: Read'"


def check_endpoints(stack: Stack, settings: Settings, key_of_secret: str, stripe_api_base: str) -> Iterator[Check]:
    """One line for each mode that the stack takes; a mode without an API key is not checked."""
    if not stripe_api_base and (refused := other_address(settings)):
        yield unknown("endpoint", "not checked in Stripe", refused)
        return
    if stack.local and not stripe_api_base:
        said = "Stripe cannot reach a stack on this machine; the Stripe CLI forwards its events"
        yield unknown("endpoint", said, f"stripe listen --forward-to {stack.webhook_url}")
        return
    keys = {is_live(key): key for key in (key_of_secret, os.environ.get(VARIABLE, "").strip()) if key}
    for live in (True, False):
        if not settings.accepts(livemode=live):
            continue
        mode = "live" if live else "test"
        name = f"endpoint, {mode} mode"
        if live not in keys:
            said = f"there is no Stripe API key of {mode} mode"
            yield unknown(name, said, f"{VARIABLE}=rk_{mode}_… with the permission 'Webhook Endpoints: Read'")
            continue
        base = stripe_address(settings, stripe_api_base)
        reads_thin = bool(key_of_secret) and is_live(key_of_secret) is live
        connections = Connections(stack, livemode=live)
        put = f"stripe-to-segment secret set stripe_api_key {' '.join(stack.options)}"
        fix = f"another key: {VARIABLE}=rk_{mode}_…, or for `deliver` too: {put}"
        yield from guarded(
            name,
            partial(_check_mode, stack, settings, connections, name, key=keys[live], base=base, reads_thin=reads_thin),
            fix,
        )
        lists = Lists(keys[live], base)
        yield from guarded(f"import, {mode} mode", partial(_check_import, stack, lists, mode, livemode=live), fix)


def _check_import(stack: Stack, lists: Lists, mode: str, *, livemode: bool) -> Iterator[Check]:
    name = f"import, {mode} mode"
    try:
        subscriptions = subscriptions_known(lists, stack.store(), livemode=livemode)
    except NotPermittedError as error:
        yield unknown(name, str(error), READ_SUBSCRIPTIONS)
        return
    if subscriptions.known == subscriptions.found:
        yield good(name, subscriptions.said)
    else:
        command = " ".join(["stripe-to-segment", "import", *stack.options])
        yield bad(name, subscriptions.said, f"{command}, which sends nothing unless you say so")


def _check_mode(  # noqa: PLR0913 - all that is known of a mode
    stack: Stack, settings: Settings, connections: Connections, name: str, *, key: str, base: str, reads_thin: bool
) -> Iterator[Check]:
    """Check the endpoints of snapshots, or those of thin events where there are only such."""
    found, thin = WebhookEndpoints(key, base).at(stack.webhook_url), list[Endpoint]()
    # Most stacks have none of these, and their key need not be allowed to list them.
    with suppress(StripeToSegmentError):
        thin = ThinDestinations(key, base).at(stack.webhook_url)
    snapshots_from, thin_from = ([each.id for each in kind if each.enabled] for kind in (found, thin))
    if snapshots_from and thin_from:
        said = f"{' and '.join(snapshots_from + thin_from)} send the same events, as snapshots and thin"
        yield bad(name, said, "each is sent once, but comes twice: delete the endpoint in Stripe that you do not want")
    if found or not thin:
        yield from _check(stack, settings, found, connections, name)
        return
    yield from _check(stack, settings, thin, connections, name, option=" --thin")
    if not reads_thin:
        fix = f"stripe-to-segment secret set stripe_api_key {' '.join(stack.options)}"
        yield bad(name, "thin events wait: the KeysSecret has no stripe_api_key of this mode", fix)


def _check(  # noqa: PLR0913 - all that is known of the endpoints of a mode
    stack: Stack, settings: Settings, found: list[Endpoint], connections: Connections, name: str, *, option: str = ""
) -> Iterator[Check]:
    register = f"stripe-to-segment register{option} {' '.join(stack.options)}"
    awake = [each for each in found if each.enabled]
    roles = [Role.ACCOUNT, *([Role.CONNECT] if settings.takes_connect else [])]
    if not found and stack.parameters.get("EventBusName"):
        yield good(name, "none: events come through EventBridge")
    elif not found:
        yield bad(name, f"none has the URL {stack.webhook_url}", register)
    elif len(awake) > len(roles):
        yield bad(name, f"{len(awake)} have this URL, so each event comes {len(awake)} times", f"{register} says which")
    else:
        for endpoint in awake or found:
            sends = f"{len(EVENT_TYPES)} event types, {'thin' if option else API_VERSION}, enabled"
            yield _check_one(endpoint, connections, name, register, sends)
        if settings.takes_connect and len(awake) == 1:
            other = Role.ACCOUNT if awake[0].metadata.get(ROLE) == Role.CONNECT else Role.CONNECT
            yield bad(name, f"none for {other.said}, and ConnectEvents is accept", register)


def _check_one(endpoint: Endpoint, connections: Connections, name: str, register: str, sends: str) -> Check:
    wrong = endpoint.shortcomings()
    if wrong:
        return bad(name, f"{endpoint.id} {', '.join(wrong)}", register)
    connected = connections.read()
    if connected.is_misplaced(endpoint.id):
        return bad(name, f"the signing secret of {endpoint.id} is not among those of its mode alone", register)
    kept = "" if connected.has(endpoint.id) else "; it is unknown whether its signing secret is in the SigningSecret"
    return good(name, f"{endpoint.id}: {sends}{kept}")
