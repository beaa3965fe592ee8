"""The Numbers view: charts of what was sent, each number with its events."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Position, expect

from tests.servers.played_page import PlayedPage, call, event

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import Screen

CHARTS = [
    "Revenue by day",
    "MRR over time",
    "MRR movements by month",
    "Trials by the month in which they began",
    "Customers with MRR by month",
]


MONTHS = ("May", "Jun", "Jul", "Aug", "Sep")
# What charts write from now on: each text with the middle of its line.
WRITTEN = """() => {
  const charts = new Map();
  const write = CanvasRenderingContext2D.prototype.fillText;
  window.written = [];
  CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...more) {
    if (!charts.has(this.canvas)) charts.set(this.canvas, charts.size);
    window.written.push({ chart: charts.get(this.canvas), text, x, y, width: this.measureText(text).width });
    return write.call(this, text, x, y, ...more);
  };
}"""


def paid(
    played: PlayedPage, event_id: str, at: str, revenue: float, currency: str = "EUR", **more: float | str
) -> None:
    """An order has been paid; `more` is in its properties."""
    properties = {"revenue": revenue, "total": revenue, "currency": currency, **more}
    played.came(event(event_id))
    played.keep(call(event_id, type="track", event="Order Completed", properties=properties, timestamp=at))
    played.look()


def chart(screen: Screen, title: str) -> Locator:
    return screen.page.get_by_role("region", name=title)


def table(screen: Screen, title: str) -> Locator:
    """The table of a chart, unfolded."""
    within = chart(screen, title)
    if not within.get_by_role("table").is_visible():
        within.locator("summary").click()
    return within.get_by_role("table")


def test_without_numbers_the_view_says_what_to_do(alone: Screen) -> None:
    alone.page.get_by_role("navigation").get_by_role("link", name="Numbers").click()
    numbers = alone.page.get_by_label("Numbers", exact=True)
    expect(numbers).to_contain_text("No numbers yet")
    numbers.get_by_role("button", name="Play a scenario").click()
    expect(alone.page.locator("#note")).to_contain_text("A subscription's life")


def test_every_chart_has_a_name_a_picture_and_a_table(played: PlayedPage, alone: Screen) -> None:
    played.play_samples()
    alone.page.goto(f"{alone.url}/#/numbers/USD")
    expect(alone.page.locator(".chart h3")).to_have_text(CHARTS)
    for title in CHARTS:
        picture = chart(alone, title).get_by_role("img")
        expect(picture).to_have_accessible_name(f"Chart: {title}, USD. The table below has its numbers.")
        drawn = picture.locator("canvas").evaluate(
            "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)"
        )
        assert drawn, f"{title} is drawn"
    rows = table(alone, "MRR movements by month").locator("tbody tr")
    expect(rows.last.locator("th")).to_have_text("May 2026")
    expect(rows.last.locator("td")).to_have_text(["$0.00", "$29.00", "$50.00", "$0.00", "$79.00"])


@pytest.mark.parametrize("width", [390, 1024, 1366, 1440])
def test_the_dates_below_a_chart_lie_apart_and_name_months_as_its_table_does(
    played: PlayedPage, alone: Screen, width: int
) -> None:
    """At 1440 pixels five months lay over one another, and September was Sept below a chart and Sep in its table."""
    for number in range(20):
        at = f"2026-{5 + number // 4:02}-{1 + 7 * (number % 4):02}T12:00:00Z"
        paid(played, f"evt_{number}", at, 100, mrr_change=10, mrr_movement="new")
    alone.page.set_viewport_size({"width": width, "height": 900})
    alone.page.goto(f"{alone.url}/#/")
    alone.page.evaluate(WRITTEN)
    alone.page.goto(f"{alone.url}/#/numbers/EUR")
    alone.page.locator(".chart canvas").last.wait_for()
    alone.page.wait_for_function("window.written.some(({ text }) => /Sep/.test(text))")
    written = [each for each in alone.page.evaluate("window.written") if re.search(r"[A-Z][a-z]{2}", each["text"])]
    assert {word for each in written for word in re.findall("[A-Z][a-z]+", each["text"])} <= {*MONTHS}
    for one, other in pairwise(written):
        alike = (one["chart"], one["y"]) == (other["chart"], other["y"]) and one["x"] < other["x"]
        apart = other["x"] - one["x"] - (one["width"] + other["width"]) / 2
        assert not alike or apart > 2, (one, other)


def test_the_currency_is_chosen_and_in_the_address(played: PlayedPage, alone: Screen) -> None:
    played.play_samples()
    alone.page.goto(f"{alone.url}/#/numbers")
    choice = alone.page.get_by_label("Currency")
    expect(choice).to_have_value("EUR")
    expect(chart(alone, "Trials by the month")).to_contain_text("Nothing in EUR yet.")
    choice.select_option("JPY")
    expect(alone.page).to_have_url(f"{alone.url}/#/numbers/JPY")
    alone.page.reload()
    expect(choice).to_have_value("JPY")
    expect(table(alone, "Revenue by day")).to_contain_text("¥3,980")
    alone.page.go_back()
    expect(choice).to_have_value("EUR")


def test_a_number_links_to_its_events(played: PlayedPage, alone: Screen) -> None:
    played.play_samples()
    alone.page.goto(f"{alone.url}/#/numbers/USD")
    link = table(alone, "MRR movements by month").get_by_role("link", name="Expansion, May 2026: $50.00, 1 event")
    link.click()
    expect(alone.rows).to_have_count(1)
    expect(alone.rows.first).to_contain_text("Subscription Upgraded +$50.00 MRR")
    expect(alone.page.locator("#counted")).to_have_text(
        "The events of MRR movements by month: Expansion: May 2026, USD"
    )
    expect(alone.page.locator("#filter-count")).to_contain_text("1 of ")
    alone.page.reload()
    expect(alone.rows).to_have_count(1)
    alone.page.go_back()
    expect(chart(alone, "MRR movements by month")).to_be_visible()
    alone.page.go_forward()
    alone.page.get_by_role("button", name="Clear").click()
    expect(alone.rows).not_to_have_count(1)
    expect(alone.page.locator("#counted")).to_be_hidden()
    assert alone.page.url == f"{alone.url}/#/"


def test_a_bar_links_to_its_events(played: PlayedPage, alone: Screen) -> None:
    for day in range(1, 10):
        paid(played, f"evt_{day}", f"2026-11-0{day}T12:00:00Z", 100)
    alone.page.goto(f"{alone.url}/#/numbers")
    over = chart(alone, "Revenue by day").locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    # The days are between 0.6 of a day before the first one and 0.6 of a day after the last one.
    at = Position(x=box["width"] * 2.6 / 9.2, y=box["height"] / 2)
    over.hover(position=at)
    expect(chart(alone, "Revenue by day").locator(".readout")).to_have_text("3 Nov 2026: Revenue €100.00 · Net €100.00")
    over.click(position=at)
    expect(alone.rows).to_have_count(1)
    expect(alone.rows.first).to_have_attribute("href", "#/events/evt_3")


@pytest.mark.parametrize(("height", "title"), [(0.25, "Revenue: 1 Nov"), (0.75, "Refunded: 1 Nov"), (0.05, "1 Nov")])
def test_a_bar_links_to_what_it_shows_and_the_space_beside_it_to_all_of_the_day(
    played: PlayedPage, alone: Screen, height: float, title: str
) -> None:
    paid(played, "evt_1", "2026-11-01T12:00:00Z", 100)
    paid(played, "evt_2", "2026-11-01T12:00:00Z", 0, revenue_refunded=100)
    alone.page.goto(f"{alone.url}/#/numbers")
    over = chart(alone, "Revenue by day").locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    over.click(position=Position(x=box["width"] / 2, y=box["height"] * height))
    expect(alone.page.locator("#counted")).to_have_text(f"The events of Revenue by day: {title} 2026, EUR")
    expect(alone.rows).to_have_count(2 if title == "1 Nov" else 1)


def test_new_calls_are_counted_without_disturbing_the_reader(played: PlayedPage, alone: Screen) -> None:
    paid(played, "evt_1", "2026-11-01T12:00:00Z", 100)
    alone.page.goto(f"{alone.url}/#/numbers")
    link = table(alone, "Revenue by day").get_by_role("link", name=re.compile("^Revenue, 1 Nov 2026"))
    link.focus()
    paid(played, "evt_2", "2026-11-01T13:00:00Z", 11.5)
    expect(link).to_have_text("€111.50")
    expect(link).to_be_focused()
    paid(played, "evt_3", "2026-11-01T13:00:00Z", 7, "USD")
    expect(alone.page.get_by_label("Currency").locator("option")).to_have_text(["EUR", "USD"])


def test_events_that_come_into_a_number_come_into_its_list(played: PlayedPage, alone: Screen) -> None:
    paid(played, "evt_1", "2026-11-01T12:00:00Z", 100)
    paid(played, "evt_2", "2026-11-02T12:00:00Z", 100)
    alone.page.goto(f"{alone.url}/?number=revenue.EUR.2026-11-01#/")
    expect(alone.rows).to_have_count(1)
    paid(played, "evt_3", "2026-11-01T13:00:00Z", 100)
    expect(alone.rows).to_have_count(2)


def test_an_address_that_names_no_number_says_so(played: PlayedPage, alone: Screen) -> None:
    paid(played, "evt_1", "2026-11-01T12:00:00Z", 100)
    alone.page.goto(f"{alone.url}/?number=revenue.EUR.2026-11-09#/")
    expect(alone.page.locator("#counted")).to_contain_text("nothing is counted there any more")
    expect(alone.page.locator("#empty")).to_have_text("Nothing matches these filters.")


def test_charts_follow_the_window_and_the_colour_scheme(played: PlayedPage, alone: Screen) -> None:
    played.play_samples()
    alone.page.goto(f"{alone.url}/#/numbers/USD")
    canvas = chart(alone, "MRR over time").locator("canvas")
    light = canvas.screenshot()
    alone.page.emulate_media(color_scheme="dark")
    expect(canvas).to_be_visible()
    alone.page.wait_for_timeout(500)
    assert canvas.screenshot() != light
    alone.page.set_viewport_size({"width": 390, "height": 900})
    alone.page.wait_for_timeout(500)
    box, place = canvas.bounding_box(), chart(alone, "MRR over time").locator(".plot").bounding_box()
    assert box is not None
    assert place is not None
    assert abs(box["width"] - place["width"]) <= 1
