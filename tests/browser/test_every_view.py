"""Each view of the page fits every screen, and can be used by everybody, in light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.samples.scenarios import SCENARIOS
from tests.browser.conftest import Screen, opened
from tests.browser.looking import collisions, contrast, violations
from tests.servers.played_page import PlayedPage, call, event, message, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

WIDTHS = (390, 1024, 1366, 1440)
# Where axe looks, and at what: the dark colours change no more than the colours.
LOOKS: tuple[tuple[int, Literal["light", "dark"], tuple[str, ...]], ...] = (
    (1440, "light", ()),
    (1440, "dark", ("color-contrast", "link-in-text-block")),
    (390, "light", ()),
)
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


@pytest.fixture(scope="module")
def everything(tab: Page) -> Iterator[Screen]:
    """Events of every outcome, with long ids and names, and amounts in many currencies; who looks changes nothing."""
    with PlayedPage() as played, played.sender:
        play_everything(played)
        with opened(tab, played.url, {"width": 1440, "height": 900}) as page:
            yield Screen(page, played.url, played.parts.webhook_url, played.record)


def play_everything(played: PlayedPage) -> None:
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


def visit(screen: Screen, view: str, width: int) -> None:
    """Load the page anew with this view, in a window of this width."""
    address, there = VIEWS[view]
    resize(screen, width)
    screen.page.goto("about:blank")
    screen.page.goto(f"{screen.url}/{address}")
    expect(screen.page.locator(there).first).to_be_visible()
    screen.page.evaluate("document.querySelectorAll('.chart details').forEach((each) => { each.open = true; })")


def resize(screen: Screen, width: int) -> None:
    """Make the window as wide, and wait until what follows its width has been drawn."""
    screen.page.set_viewport_size({"width": width, "height": 900})
    screen.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def fold_sender(screen: Screen, *, is_open: bool) -> None:
    screen.page.evaluate("(open) => { document.getElementById('send').open = open; }", is_open)


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_overlaps_or_is_cut_off_at_any_width(everything: Screen, view: str) -> None:
    visit(everything, view, WIDTHS[0])
    for width in WIDTHS:
        resize(everything, width)
        for is_open in (False, True):
            fold_sender(everything, is_open=is_open)
            assert collisions(everything) == [], f"{view} at {width} px, the form for sending is open: {is_open}"


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_in_any_view(everything: Screen, view: str) -> None:
    visit(everything, view, LOOKS[0][0])
    for width, scheme, rules in LOOKS:
        resize(everything, width)
        everything.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert violations(everything, *rules) == [], f"{view} at {width} px, {scheme}"
        assert contrast(everything) >= 4.5, f"{view} at {width} px, {scheme}"
    everything.page.emulate_media(color_scheme="light")


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
