"""Each view of the page fits every screen, and can be used by everybody, in light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.samples.scenarios import SCENARIOS
from tests.browser.looking import collisions, contrast, violations
from tests.servers.played_page import PlayedPage, call, event, message, said

if TYPE_CHECKING:
    from tests.browser.conftest import Screen

WIDTHS = (390, 1024, 1366, 1440)
# The layouts are the same in both.
AXE_WIDTHS = {"light": (390, 1440), "dark": (1440,)}
LONG = "an_id_that_somebody_made_up_" * 5
WIDE = "W" * 120
# Each view by its address, with what is there once it is shown.
VIEWS = {
    "events": ("#/", "#list .row"),
    "a filtered list": ("?number=revenue.USD.2026-11-22.revenue#/", "#counted"),
    "an event": ("#/events/evt_long", ".call"),
    "a dead letter": ("#/events/evt_dead", "[data-redrive]"),
    "a waiting event": ("#/events/evt_wait", ".steps [data-until]"),
    "a refused request": ("#/events/request-1", ".detail h2"),
    "nothing": ("#/events/evt_gone", "#detail .empty"),
    "users": ("#/users", "#list .row"),
    "a user": (f"#/users/{LONG}", ".timeline li"),
    "numbers": ("#/numbers/USD", ".chart canvas"),
    "about": ("#/about", ".welcome h2"),
}


@pytest.fixture
def everything(played: PlayedPage) -> PlayedPage:
    """Events of every outcome, with long ids and names, and amounts in many currencies."""
    played.came(event("evt_bad"), 400, f'{{"error": "{WIDE}"}}')
    played.play_samples([step.sample for step in SCENARIOS["subscription"].steps])
    played.came(event("evt_long", f"customer.{LONG}", name=WIDE, text=LONG))
    played.keep(call("evt_long", 1, userId=LONG, traits={"name": WIDE, "email": f"{LONG}@example.com", LONG: WIDE}))
    properties = {"revenue": 123_456_789.25, "total": 123_456_789.25, "plan": LONG}
    for number, currency in enumerate(("USD", "KWD", "UGX", "IDR", "XTS")):
        told = properties | {"currency": currency}
        played.keep(call("evt_long", 2 + number, type="track", event=f"Order {LONG}", userId=LONG, properties=told))
    played.came(event("evt_wait"))
    refused = call("evt_dead", 1, userId=LONG, traits={"name": WIDE})
    played.came(event("evt_dead"))
    played.refuse(refused, f"400: {LONG}")
    played.attempts = [
        said("delivered", "evt_long", message_id="m long", calls=["identify"]),
        said("retry", "evt_wait", message_id="m evt_wait", reason="http_503", detail=LONG, calls=[LONG, "identify"]),
        said("dead", "evt_dead", message_id="m evt_dead", reason="http_400", detail=WIDE, calls=["identify"]),
    ]
    played.queued = Queued((message("evt_wait", 3_000),), (message("evt_dead", 0),))
    played.look()
    return played


def visit(screen: Screen, view: str) -> None:
    address, there = VIEWS[view]
    screen.page.goto("about:blank")
    screen.page.goto(f"{screen.url}/{address}")
    expect(screen.page.locator(there).first).to_be_visible()
    screen.page.evaluate("document.querySelectorAll('.chart details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_overlaps_or_is_cut_off_at_any_width(everything: PlayedPage, alone: Screen, view: str) -> None:
    del everything
    for width in WIDTHS:
        alone.page.set_viewport_size({"width": width, "height": 900})
        visit(alone, view)
        assert collisions(alone) == [], f"{view} at {width} px"
        if not alone.page.locator("#sample").is_visible() and alone.page.locator("#send").is_visible():
            alone.open_sender()
            assert collisions(alone) == [], f"{view} at {width} px, with the form for sending"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_in_any_view(everything: PlayedPage, alone: Screen, view: str, scheme: Any) -> None:
    del everything
    alone.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for width in AXE_WIDTHS[scheme]:
        alone.page.set_viewport_size({"width": width, "height": 900})
        visit(alone, view)
        assert violations(alone) == [], f"{view} at {width} px"
        assert contrast(alone) >= 4.5, f"{view} at {width} px"


def test_an_empty_page_passes_axe_too(alone: Screen) -> None:
    for address, there in (("#/", "#empty"), ("#/numbers", "#numbers .empty"), ("#/users", "#empty")):
        alone.page.goto(f"{alone.url}/{address}")
        expect(alone.page.locator(there)).to_be_visible()
        assert violations(alone) == []


def test_what_finds_violations_and_collisions_would_find_some(alone: Screen) -> None:
    """Checks that cannot fail prove nothing."""
    alone.page.evaluate("""() => {
        document.body.insertAdjacentHTML("beforeend", "<img src='static/icon.svg'><h5>Out of order</h5>"
            + "<p id=one>Some words</p><p id=two>Other words</p><div id=wide>x</div>");
        const [one, two, wide] = ["one", "two", "wide"].map((id) => document.getElementById(id));
        for (const each of [one, two]) Object.assign(each.style, { position: "absolute", top: "300px", left: "300px" });
        Object.assign(wide.style, { position: "absolute", top: "400px", left: "3000px" });
    }""")
    assert {each.partition(" ")[0] for each in violations(alone)} >= {"image-alt", "region", "heading-order"}
    found = " / ".join(collisions(alone))
    for words in ("Some words lies over Other words", "the window cuts off: x", "px too wide"):
        assert words in found
