"""docs/destinations.md, as far as it holds without Segment's own code: `make destinations` measures the rest."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.settings import settings_from
from tests.destinations.destinations import DESTINATIONS
from tests.destinations.measure import ADVISED, DEFAULT, ORDERS, RECIPES, calls_under, enrich_of

if TYPE_CHECKING:
    from pathlib import Path

type Body = dict[str, Any]


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    return (project / "docs" / "destinations.md").read_text("utf-8")


def test_each_measured_destination_has_its_section_and_its_rows(page: str) -> None:
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    for each in DESTINATIONS:
        assert each.name in headings
        assert page.count(f"\n| {each.name} |") == 2, "what arrives, and what counts"
    assert "Warehouses" in headings, "which is the twelfth"


def test_each_section_says_what_arrives_what_counts_what_refunds_do_and_the_recipe(page: str) -> None:
    for each in DESTINATIONS:
        (section,) = re.findall(rf"^## {re.escape(each.name)}\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
        for about in ("*Default mappings*", "*Revenue*", "*Refunds*", "*Recipe*"):
            assert about in section, f"{each.name}: {about}"


def test_the_tables_are_those_of_the_pinned_package_over_the_current_samples(project: Path, page: str) -> None:
    """A change of payments or of the package makes them old: `make destinations UPDATE=1` measures again.

    Destinations pass every other event through under its name, so a new one changes only how many calls were counted.
    """
    folder = project / "tests" / "destinations"
    pinned = json.loads((folder / "package.json").read_text("utf-8"))["dependencies"]["@segment/action-destinations"]
    locked = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    assert locked["node_modules/@segment/action-destinations"]["version"] == pinned
    assert all(one.get("integrity") for name, one in locked.items() if name), "each package with its checksum"
    calls = calls_under(DEFAULT, lambda call, _: call)
    paid = [call for call in calls if call.get("properties", {}).get("revenue")]
    refunds = [call for call in calls if call.get("event") == "Order Refunded"]
    text = " ".join(page.split())
    assert f"`@segment/action-destinations` {pinned} took the " in text
    assert f"{len(paid)} state the revenue of a payment and {len(refunds)} are Order Refunded" in text


def test_the_pages_enrich_gives_orders_what_destinations_want_and_changes_nothing_else(page: str) -> None:
    enrich = enrich_of(page)
    for call in calls_under(ORDERS, lambda call, _: call):
        enriched = enrich(deepcopy(call), {})
        assert enriched is not None
        if call.get("event") not in {"Order Completed", "Order Refunded"}:
            assert enriched == call
            continue
        told = enriched["properties"]
        assert told["source"]
        assert all(product["product_id"] and product["variant"] for product in told["products"])
        added = {"source", "products"}
        assert {**enriched, "properties": {name: value for name, value in told.items() if name not in added}} == {
            **call, "properties": {name: value for name, value in call["properties"].items() if name != "products"}
        }  # fmt: skip


def test_the_settings_that_the_page_names_can_be_set(page: str) -> None:
    routed = re.search(r"```json\n(.*?)```", page, re.DOTALL)
    assert routed is not None
    assert settings_from({"INTEGRATIONS": routed[1]}).integrations["Subscription Renewed"]
    assert all(value in page for value in RECIPES[ADVISED].values())
