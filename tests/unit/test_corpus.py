"""The calls of recorded and sample events, compared with a summary that a person has checked against the payloads.

The summary says, for each file, what came out and the numbers in it. `make golden` writes it anew; read the difference.
The recorded events lie outside of this project: the setting STRIPE_EVENTS_DIR names their folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.mapping.properties import Kind, Property
from stripe_to_segment.settings import Settings
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.samples.inputs import Input, read_events
from stripe_to_segment_tools.tracking_plan import violations
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS, GROUP_TRAITS, USER_TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GOLDEN = Path(__file__).parent / "golden"
CORPUS = os.environ.get("STRIPE_EVENTS_DIR")
UPDATE = os.environ.get("UPDATE_GOLDEN")

# Those of `objects-by-api-version/` that were reviewed.
WRAPPED = {"subscription", "invoice", "checkout.session", "charge", "customer"}
COUNTED = {Kind.MONEY, Kind.INTEGER, Kind.DECIMAL, Kind.CURRENCY, Kind.BOOLEAN, Kind.STRINGS}

recorded = pytest.mark.skipif(not CORPUS, reason="STRIPE_EVENTS_DIR names no folder of recorded events")


def events_below(folder: Path) -> Iterator[Input]:
    """Every event in a folder, under its path there; requests and objects left out."""
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder)
        if name.parts[0] not in {"objects-by-api-version", "requests"}:
            for found in read_events([path]):
                yield Input(name.as_posix(), found.raw, found.event, found.error)


def objects_below(folder: Path) -> Iterator[Input]:
    """Every object of every API version, as the body of each event type that is about such an object."""
    for path in sorted((folder / "objects-by-api-version").glob("*/*.json")):
        for kind in _types_about(path.stem):
            envelope = {
                "id": "evt_wrapped",
                "object": "event",
                "created": 1_700_000_000,
                "data": {"object": json.loads(path.read_text(encoding="utf-8"))},
                "livemode": False,
                "type": kind,
            }
            name = f"{path.relative_to(folder).as_posix()} as {kind}"
            yield Input(name, json.dumps(envelope).encode(), envelope)


def _types_about(name: str) -> list[str]:
    return [kind for kind in CATALOG if name in WRAPPED and kind.rpartition(".")[0] == OBJECTS[name].about]


def summary(inputs: Iterable[Input]) -> dict[str, Any]:
    """What each event becomes in a world that knows nothing else; every call keeps to the plan and to the catalog."""
    found: dict[str, Any] = {}
    for given in inputs:
        (told,) = explain([given], Settings())
        wrong = [sentence for call in told.calls for sentence in violations(call)]
        assert not wrong, f"{given.source}: {wrong}"
        assert {call["event"] for call in told.calls if call["type"] == "track"} <= {*_names(told.type)}, given.source
        found[given.source] = {
            "outcome": f"{told.outcome}: {told.reason}" if told.reason else told.outcome,
            "calls": [_shown(call) for call in told.calls],
        }
    assert found, "no events there"
    return found


def _names(kind: str | None) -> Iterable[str]:
    return {event.event_name for event in CATALOG[kind].events} if kind in CATALOG else ()


def _shown(call: dict[str, Any]) -> str:
    """A call's name, and the amounts, counts and answers in it."""
    of_traits = {"identify": USER_TRAITS, "group": GROUP_TRAITS}
    described = of_traits[call["type"]] if call["type"] in of_traits else EVENT_PLANS[call["event"]].properties
    values = call.get("properties", call.get("traits", {}))
    shown = [f"{name} {json.dumps(value)}" for name, value in values.items() if _counted(described.get(name))]
    if "products" in values:
        lines = [f"{product.get('quantity')} at {product.get('price')}" for product in values["products"]]
        shown.append(f"products {' and '.join(lines)}")
    return ": ".join(filter(None, (call.get("event", call["type"]), ", ".join(shown))))


def _counted(described: Property | None) -> bool:
    return described is not None and described.kind in COUNTED


def differences(name: str, found: dict[str, Any]) -> str:
    """The first differences from the summary that was reviewed; none where asked to write it anew."""
    path = GOLDEN / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    golden = json.loads(path.read_text(encoding="utf-8"))
    differing = sorted(key for key in {*golden, *found} if golden.get(key) != found.get(key))
    head = f"{len(differing)} events differ from {path.name}; if that is right: `make golden`, and review it"
    lines = [f"{key}\n  was {golden.get(key)}\n  is  {found.get(key)}" for key in differing[:5]]
    return "\n".join([head, *lines]) if differing else ""


def test_the_sample_events_become_what_was_reviewed(project: Path) -> None:
    assert differences("events.json", summary(events_below(project / "events"))) == ""


@recorded
def test_the_recorded_events_become_what_was_reviewed() -> None:
    assert differences("corpus.json", summary(events_below(Path(str(CORPUS))))) == ""


@recorded
def test_the_objects_of_every_api_version_become_what_was_reviewed() -> None:
    assert differences("objects.json", summary(objects_below(Path(str(CORPUS))))) == ""
