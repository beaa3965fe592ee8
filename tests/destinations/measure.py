"""Send the calls of all samples through Segment's destination code, under each recipe, and count what arrives."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.inputs import Input
from tests.destinations.destinations import DESTINATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.destinations.destinations import Destination

__all__ = ["ADVISED", "DEFAULT", "ORDERS", "Measured", "calls_under", "enrich_of", "measured"]

type Json = dict[str, Any]
type Enrich = Callable[[Json, Json], Json | None]

DEFAULT, ORDERS, ADVISED = "default", "orders", "advised"
RECIPES: Mapping[str, Mapping[str, str]] = {
    DEFAULT: {},
    ORDERS: {"REVENUE_EVENTS": "orders"},
    ADVISED: {"REVENUE_EVENTS": "orders", "CONTEXT_TRAITS": "remembered"},
}
MODULES = PROJECT / ".tools" / "destinations" / "node_modules"
SEND = PROJECT / "tests" / "destinations" / "send.cjs"


@dataclass(slots=True)
class Measured:
    """What one destination makes of the calls under one recipe.

    `arrived` and `meant` count calls by kind: those of which a request leaves, and those that a mapping is for.
    `refused` counts the reasons by mapping. `paid` and `refunded` have each payment and refund that counts as such, as
    the amount there beside the call's properties; `told` are refunds that arrive in any form.
    """

    arrived: Counter[str] = field(default_factory=Counter)
    meant: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    paid: list[tuple[Decimal, Json]] = field(default_factory=list)
    refunded: list[tuple[Decimal, Json]] = field(default_factory=list)
    told: int = 0


def enrich_of(page: str) -> Enrich:
    """The page's own `enrich`."""
    found = re.search(r"```python\n(def enrich.*?)```", page, re.DOTALL)
    if found is None:
        message = "docs/destinations.md has no block of Python with `def enrich`"
        raise ValueError(message)
    names: dict[str, Any] = {}
    exec(found[1], names)  # noqa: S102 - the project's own page
    enrich: Enrich = names["enrich"]
    return enrich


def calls_under(recipe: str, enrich: Enrich) -> list[Json]:
    """The calls of all samples, as they happened."""
    inputs = [Input(each.name, each.body, each.event) for each in samples()]
    lines = explain(inputs, settings_from(dict(RECIPES[recipe])))
    found = []
    for given, line in zip(inputs, lines, strict=True):
        for call in line.calls:
            told = enrich(call, given.event) if recipe == ADVISED else call
            if told is not None:
                found.append(told)
    return found


def measured(page: str) -> dict[str, dict[str, Measured]]:
    """What each destination makes of the calls, by recipe and name."""
    enrich = enrich_of(page)
    return {recipe: _measured(calls_under(recipe, enrich), advised=recipe == ADVISED) for recipe in RECIPES}


def _measured(calls: list[Json], *, advised: bool) -> dict[str, Measured]:
    given = {"destinations": [each.told(advised=advised) for each in DESTINATIONS], "calls": calls}
    done = subprocess.run(
        ["node", str(SEND)],  # noqa: S607 - the user's own
        input=json.dumps(given),
        env={**os.environ, "NODE_PATH": str(MODULES)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout, parse_float=Decimal, parse_int=Decimal)
    by_id = {call["messageId"]: call for call in calls}
    return {each.name: _counted(each, found[each.name], by_id) for each in DESTINATIONS}


def _counted(destination: Destination, sent: list[Json], calls: Mapping[str, Json]) -> Measured:
    counted = Measured()
    arrived: dict[str, bool] = {}
    for one in sent:
        call = calls[one["messageId"]]
        fine = not one["refused"] and bool(one["requests"])
        arrived[one["messageId"]] = arrived.get(one["messageId"], False) or fine
        if one["refused"]:
            counted.refused[f"{one['action']}: {one['refused']}"] += 1
            continue
        bodies = [request["body"] for request in one["requests"] if request["body"]]
        properties = call.get("properties", {})
        if properties.get("revenue"):
            counted.paid += [(amount, properties) for body in bodies for amount in destination.revenue(body)]
        if call.get("event") == "Order Refunded":
            counted.refunded += [(amount, properties) for body in bodies for amount in destination.refunds(body)]
            counted.told += fine
    for message_id, fine in arrived.items():
        counted.meant[calls[message_id]["type"]] += 1
        counted.arrived[calls[message_id]["type"]] += fine
    return counted
