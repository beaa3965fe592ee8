"""The steps of `register` in Stripe: planned first, then done one by one, so that no event is lost.

A new endpoint first gets one event type that hardly ever happens, and the others only after its signing secret is in
the SigningSecret. The metadata of a replacement names the endpoint that it replaces, which is deleted last. So after an
interrupted run, the next one finds the remaining steps.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from stripe_to_segment.errors import StripeToSegmentError
from stripe_to_segment.secrets import SIGNING_FIELDS
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION, EVENT_TYPES, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stripe_to_segment_tools.commands.register.signing_secrets import Connected, Connections
    from stripe_to_segment_tools.commands.register.thin_destinations import ThinDestinations
    from stripe_to_segment_tools.commands.register.webhook_endpoints import WebhookEndpoints

__all__ = ["Action", "Plan", "Registration", "Role", "Step", "plan"]

# Metadata of the endpoints that `register` creates: the role of the endpoint, and the endpoint that it replaces.
ROLE, REPLACES = "stripe_to_segment", "stripe_to_segment_replaces"
QUIET_TYPE = "customer.subscription.pending_update_expired"


class Role(StrEnum):
    """The accounts of an endpoint's events, own or connected: with Connect, an account needs an endpoint for each."""

    ACCOUNT = "account"
    CONNECT = "connect"

    @property
    def said(self) -> str:
        """The role in words."""
        return "the account's own events" if self is Role.ACCOUNT else "the events of connected accounts"


class Action(StrEnum):
    """The action of a step on an endpoint."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    ASSIGN = "assign"


@dataclass(frozen=True, slots=True)
class Step:
    """One action on an existing endpoint or (without `endpoint`) on a new one; `why` is in words."""

    action: Action
    role: Role
    why: str
    endpoint: str = ""


@dataclass(slots=True)
class Plan:
    """The steps in order, the endpoints that are right already, notes for the user, and problems to solve by hand."""

    steps: list[Step] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def replaced(self) -> list[str]:
        """The endpoints to delete that may still be in use."""
        return [step.endpoint for step in self.steps if step.action is Action.REPLACE]


def plan(found: Sequence[Endpoint], connected: Connected, roles: Sequence[Role], now: float, *, rotate: bool) -> Plan:
    """Plan the steps that correct these endpoints of one mode with the stack's URL; `rotate` replaces each one."""
    made = Plan()
    unmarked = [each for each in found if not each.metadata.get(ROLE)]
    if Role.CONNECT in roles and len(unmarked) > 1:
        made.problems.append(
            f"{_named(unmarked)} have this URL, and Stripe does not say which of them takes the events of connected"
            " accounts: delete them in Stripe and run this again; it creates one for each"
        )
        return made
    why = f"its signing secret must sign only events of {'live' if connected.livemode else 'test'} mode"
    made.steps += [
        Step(Action.ASSIGN, Role.CONNECT if each.metadata.get(ROLE) == Role.CONNECT else Role.ACCOUNT, why, each.id)
        for each in found
        if connected.is_misplaced(each.id)
    ]
    for role in roles:
        mine = [each for each in found if each.metadata.get(ROLE, Role.ACCOUNT) == role]
        _plan_role(made, role, mine, connected, rotate=rotate)
    if Role.CONNECT not in roles and (idle := [each for each in found if each.metadata.get(ROLE) == Role.CONNECT]):
        made.notes.append(f"{_named(idle)} sends events of connected accounts, which ConnectEvents=refuse ignores")
    for endpoint in connected.outdated(now):
        why = "it was replaced over a day ago: its signing secret goes out of the SigningSecret"
        made.steps.append(Step(Action.FORGET, Role.ACCOUNT, why, endpoint))
    return made


def _plan_role(made: Plan, role: Role, mine: list[Endpoint], connected: Connected, *, rotate: bool) -> None:
    drafts = [
        each for each in mine if each.events == {QUIET_TYPE} and ROLE in each.metadata and not connected.has(each.id)
    ]
    replaced = {each.metadata.get(REPLACES) for each in mine if connected.has(each.id)}
    left = [each for each in mine if each not in drafts and each.id not in replaced]
    current = [each for each in left if each.enabled] or left
    for draft in drafts:
        why = "left by a run that was cut off; it never listened"
        made.steps.append(Step(Action.DELETE, role, why, draft.id))
    if len(current) > 1:
        made.problems.append(
            f"{_named(current)} have the same URL, so each event comes {len(current)} times: delete all but one in "
            f"Stripe (Workbench → Webhooks) and run this again"
        )
        return
    if asleep := [each for each in left if each not in current]:
        made.notes.append(f"{_named(asleep)} has this URL too, but is disabled: it can be deleted in Stripe")
    if not current:
        made.steps.append(Step(Action.CREATE, role, f"for {role.said}"))
        return
    (endpoint,) = current
    leftovers = [each for each in mine if each.id in replaced]
    # After an interrupted replacement, finishing it is enough.
    _plan_endpoint(made, role, endpoint, connected, rotate=rotate and not leftovers)
    made.steps += [Step(Action.DELETE, role, f"replaced by {endpoint.id}", each.id) for each in leftovers]


def _plan_endpoint(made: Plan, role: Role, endpoint: Endpoint, connected: Connected, *, rotate: bool) -> None:
    if rotate:
        made.steps.append(Step(Action.REPLACE, role, "for a new signing secret", endpoint.id))
    elif not connected.vouching and not connected.has(endpoint.id):
        field = SIGNING_FIELDS["live" if connected.livemode else "test"]
        made.problems.append(
            f"{endpoint.id} is registered, but the SigningSecret has no signing secret of its mode, and Stripe's"
            " API returns one only when an endpoint is created: store it with `stripe-to-segment secret set"
            f" {field}` (Stripe "
            f"shows it under Workbench → Webhooks → the endpoint), or let --rotate replace the endpoint"
        )
    elif endpoint.version != API_VERSION:
        why = (
            f"an endpoint's API version cannot be changed: {endpoint.version or 'that of the account'} → {API_VERSION}"
        )
        made.steps.append(Step(Action.REPLACE, role, why, endpoint.id))
    else:
        wrong = endpoint.shortcomings()
        if wrong:
            made.steps.append(Step(Action.UPDATE, role, f"it {' and '.join(wrong)}", endpoint.id))
        else:
            made.kept.append(endpoint.id)
        if not connected.has(endpoint.id):
            made.notes.append(
                f"whether the signing secret of {endpoint.id} is in the SigningSecret is unknown, because this"
                " command did not store it: if Stripe shows that deliveries fail with 400, use --rotate"
            )


@dataclass(frozen=True, slots=True)
class Registration:
    """Carries out a plan.

    Parameters
    ----------
    endpoints, connections
        The endpoints in Stripe, and the stack's SigningSecret.
    url, description
        Those of new endpoints.
    """

    endpoints: WebhookEndpoints | ThinDestinations
    connections: Connections
    url: str
    description: str

    def follow(self, steps: Sequence[Step]) -> Iterator[tuple[Step, str]]:
        """Do the steps; yields each after it is done, with the endpoint that was created, changed or deleted."""
        doing: dict[Action, Callable[[Step], str]] = {
            Action.CREATE: self._create,
            Action.REPLACE: self._replace,
            Action.UPDATE: self._update,
            Action.DELETE: self._delete,
            Action.FORGET: self._forget,
            Action.ASSIGN: self._assign,
        }
        for step in steps:
            yield step, doing[step.action](step)

    def _create(self, step: Step) -> str:
        metadata = {ROLE: step.role} | ({REPLACES: step.endpoint} if step.endpoint else {})
        connect = step.role is Role.CONNECT
        made, secret = self.endpoints.create(
            self.url, [QUIET_TYPE], connect=connect, metadata=metadata, description=self.description
        )
        try:
            self.connections.keep(made.id, secret)
        except Exception:
            # The new endpoint has received no event. If it cannot be deleted now, the next run deletes it.
            with suppress(StripeToSegmentError):
                self.endpoints.delete(made.id)
            raise
        self.endpoints.update(made.id, enabled_events=list(EVENT_TYPES))
        return made.id

    def _replace(self, step: Step) -> str:
        made = self._create(step)
        # For a moment both endpoints get events; events that arrive twice are sent once.
        self._delete(step)
        return made

    def _update(self, step: Step) -> str:
        return self.endpoints.update(step.endpoint, enabled_events=list(EVENT_TYPES), disabled=False).id

    def _delete(self, step: Step) -> str:
        # Recorded first: otherwise the signing secret of a deleted endpoint would stay for good.
        self.connections.retire(step.endpoint)
        self.endpoints.delete(step.endpoint)
        return step.endpoint

    def _assign(self, step: Step) -> str:
        self.connections.assign(step.endpoint)
        return step.endpoint

    def _forget(self, step: Step) -> str:
        self.connections.forget([step.endpoint])
        return step.endpoint


def _named(endpoints: Sequence[Endpoint]) -> str:
    return " and ".join(each.id for each in endpoints)
