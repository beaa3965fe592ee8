"""What a person sees and does on the page of `make run`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.samples.scenarios import SCENARIOS
from tests.browser.looking import contrast

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.browser.conftest import Screen

SIZES = [(400, 860), (1024, 768), (1600, 1000)]


def sums(screen: Screen, label: str) -> Any:
    return screen.page.locator(".total", has_text=label).locator(".sums")


def test_a_sample_event_appears_by_itself_with_its_calls(screen: Screen) -> None:
    expect(screen.page.locator("#empty")).to_contain_text("No events yet")
    screen.send("customer.subscription.created.trialing")
    row = screen.row("customer.subscription.created")
    expect(row).to_contain_text("delivered")
    expect(row.locator(".told strong")).to_have_text(["Subscription Created", "Trial Started"])
    expect(row.locator(".small .chip")).to_have_text(["identify"])
    row.click()
    detail = screen.page.locator("#detail")
    expect(detail.locator(".steps .name")).to_have_text([re.compile("Received"), "Queued", re.compile("1: delivered")])
    expect(detail.locator(".call h4")).to_have_text(["identify", "Subscription Created", "Trial Started"])
    expect(detail.locator(".call .checks .good")).to_have_count(6)
    expect(detail.locator(".call .checks .bad")).to_have_count(0)
    expect(detail.get_by_label("From Stripe")).to_contain_text('"customer.subscription.created"')


def test_the_switch_stays_where_it_was_put_last(screen: Screen) -> None:
    """Put twice within a second, it showed the first choice again until Segment had the second one."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    screen.segment_is("Slow")
    screen.page.route("**/segment", hold)
    up = screen.page.get_by_role("radio", name="Up", exact=True)
    up.click()
    screen.page.wait_for_timeout(1_500)
    expect(up).to_be_checked(timeout=1)
    with screen.switched():
        held[0].continue_()
    screen.page.unroute("**/segment")
    expect(up).to_be_checked()


def test_an_event_waits_while_segment_is_down_and_is_delivered_when_it_returns(screen: Screen) -> None:
    screen.segment_is("Down")
    screen.send("customer.created")
    row = screen.row("customer.created")
    expect(row).to_contain_text("waiting")
    expect(row).to_contain_text(re.compile(r"attempt \d failed: .* · next (now|in \d+ s)"))
    expect(sums(screen, "Waiting")).to_have_text("1")
    row.click()
    expect(screen.page.locator(".steps")).to_contain_text(re.compile("Attempt 2: deliver will try again"))
    expect(screen.page.locator(".steps")).to_contain_text("Next attempt")
    screen.segment_is("Up")
    expect(row).to_contain_text("delivered")
    expect(screen.page.locator(".steps li").last).to_contain_text(re.compile(r"Attempt \d+: delivered"))
    expect(screen.page.locator(".call")).to_have_count(1)
    expect(sums(screen, "Waiting")).to_have_text("0")


def test_a_dead_letter_says_why_and_is_delivered_after_a_redrive(screen: Screen) -> None:
    screen.segment_is("400")
    screen.send("customer.created")
    row = screen.row("customer.created")
    expect(row).to_contain_text("dead letter")
    expect(row).to_contain_text("http_400")
    screen.send("customer.created.jpy")
    expect(sums(screen, "Dead letters")).to_contain_text("2")
    screen.segment_is("Up")
    row.last.click()
    refused = screen.page.locator(".call", has_text="Segment refused it: 400: configured to answer 400")
    expect(refused.locator(".json")).to_contain_text('"messageId"')
    screen.page.get_by_role("button", name="Redrive this event").click()
    expect(screen.page.locator("#said")).to_have_text("1 dead letter moved back into the queue.")
    expect(row.last).to_contain_text("delivered")
    expect(refused).to_have_count(0)
    expect(sums(screen, "Dead letters")).to_contain_text("1")
    screen.page.get_by_role("button", name="Redrive all").click()
    expect(screen.row("delivered")).to_have_count(2)
    expect(screen.page.locator(".steps")).to_contain_text("Redriven")
    expect(screen.page.get_by_role("button", name="Redrive")).to_have_count(0)


def test_a_scenario_ends_in_one_user_with_both_ids_and_in_the_totals(screen: Screen) -> None:
    screen.tell("A guest who signs up later")
    expect(screen.rows).to_have_count(len(SCENARIOS["guest"].steps))
    expect(screen.row("delivered")).to_have_count(4)
    expect(sums(screen, "Revenue")).to_contain_text("$38.00")
    expect(sums(screen, "Refunds")).to_contain_text("\N{MINUS SIGN}$10.00")
    screen.page.get_by_role("navigation").get_by_role("link", name="Users").click()
    person = screen.row("Noor Haddad")
    expect(person).to_contain_text("user_4902")
    person.click()
    known = screen.page.get_by_label("What Segment knows")
    expect(known.locator(".ids")).to_contain_text("user_4902")
    expect(known.locator(".ids")).to_contain_text("cus_")
    expect(known).to_contain_text("noor@example.com")
    expect(screen.page.locator(".timeline li").first).to_contain_text("Order Refunded")
    screen.page.locator(".timeline a").first.click()
    expect(screen.page.locator(".detail h2")).to_have_text("charge.refunded")


def test_values_that_differ_from_the_subscriptions_last_event_are_marked(screen: Screen) -> None:
    # Of a scenario, functions that start one after the other may deliver a later event first.
    screen.send("customer.created.jpy")
    expect(screen.row("delivered")).to_have_count(1)
    screen.tell("A company on a yearly plan")
    expect(screen.row("Subscription Upgraded")).to_contain_text("delivered")
    # The scenario has ended, so no row moves any more: ten percent off for ever.
    expect(sums(screen, "MRR")).to_have_text("€144.00")
    screen.row("Subscription Upgraded").click()
    upgrade = screen.page.locator(".call", has_text="Subscription Upgraded")
    changed = upgrade.locator("tr.changed", has_text="amount")
    expect(changed.locator("del")).to_have_text("1200")
    expect(changed).to_contain_text("1920")
    expect(upgrade.locator("tr.changed", has_text="currency")).to_have_count(0)
    expect(screen.page.get_by_label("From Stripe").locator("mark").first).to_be_visible()


def test_the_list_can_be_filtered_by_type_call_user_and_outcome(screen: Screen) -> None:
    screen.send("customer.created.jpy")
    screen.send("customer.subscription.created.jpy")
    screen.send("invoice_payment.paid")
    expect(screen.rows).to_have_count(3)
    expect(screen.row("delivered")).to_have_count(2)
    choose = {name: screen.page.get_by_label(name) for name in ("Stripe event type", "Segment call", "Outcome")}
    for name, value, left in (
        ("Stripe event type", "invoice_payment.paid", 1),
        ("Segment call", "identify", 2),
        ("Segment call", "Subscription Created", 1),
        ("Outcome", "no calls", 1),
        ("Outcome", "refused", 0),
    ):
        choose[name].select_option(value)
        expect(screen.rows).to_have_count(left)
        expect(screen.page.locator("#filter-count")).to_have_text(f"{left} of 3")
        screen.page.get_by_role("button", name="Clear").click()
        expect(screen.rows).to_have_count(3)
    screen.page.get_by_label("User, customer or id").fill("user_5590")
    expect(screen.rows).to_have_count(2)


def test_a_request_without_a_good_signature_is_shown_as_refused(screen: Screen) -> None:
    (answer,) = send([b'{"id": "evt_1", "object": "event"}'], screen.webhook_url, "whsec_of_someone_else")
    assert answer.status == 400
    expect(screen.row("refused")).to_contain_text("400")


def test_everything_can_be_reached_with_the_keyboard(screen: Screen) -> None:
    screen.send("customer.created")
    screen.send("product.created")
    expect(screen.rows).to_have_count(2)
    keyboard = screen.page.keyboard
    screen.page.get_by_label("Outcome", exact=True).focus()
    keyboard.press("Tab")
    expect(screen.rows.first).to_be_focused()
    width = screen.rows.first.evaluate("(row) => getComputedStyle(row).outlineWidth")
    assert width == "2px", "one sees where one is"
    keyboard.press("ArrowDown")
    keyboard.press("Enter")
    expect(screen.page.locator(".detail h2")).to_have_text("customer.created")
    expect(screen.rows.nth(1)).to_have_attribute("aria-current", "true")
    screen.page.get_by_role("radio", name="Up", exact=True).focus()
    with screen.switched():
        keyboard.press("ArrowRight")
    expect(screen.page.get_by_role("radio", name="Slow", exact=True)).to_be_checked()
    assert screen.segment.behaviour.seconds == 3


@pytest.mark.parametrize("size", [{"width": 400, "height": 800}], ids=["phone"])
def test_on_a_phone_the_detail_replaces_the_list_until_it_is_closed(screen: Screen) -> None:
    screen.send("customer.created")
    row = screen.row("customer.created")
    # A browser drops a click on what is replaced between press and release.
    expect(row).to_contain_text("delivered")
    row.click()
    expect(screen.page.locator(".detail h2")).to_be_visible()
    expect(row).not_to_be_visible()
    screen.page.get_by_role("link", name="← All events").click()
    expect(row).to_be_focused()
    screen.page.keyboard.press("Enter")
    expect(screen.page.locator("#detail")).to_be_focused()
    screen.page.keyboard.press("Escape")
    expect(row).to_be_focused()


def test_new_events_are_announced_to_screen_readers(screen: Screen) -> None:
    screen.send("customer.created")
    news = screen.page.locator("#news")
    expect(news).to_have_attribute("aria-live", "polite")
    expect(news).to_have_text("customer.created: delivered, 1 call")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_at_every_width_in_light_and_dark(screen: Screen, scheme: Any) -> None:
    screen.tell("A guest who signs up later")
    expect(screen.row("delivered")).to_have_count(4)
    screen.page.emulate_media(color_scheme=scheme)
    for width, height in SIZES:
        screen.page.set_viewport_size({"width": width, "height": height})
        screen.page.goto(f"{screen.url}/#/")
        assert screen.overflow() == 0, f"the list at {width} px"
        screen.row("checkout.session.completed").click()
        expect(screen.page.locator(".call")).to_have_count(3)
        assert screen.overflow() == 0, f"the event at {width} px"
        screen.page.goto(f"{screen.url}/#/users")
        screen.row("Noor").click()
        expect(screen.page.locator(".timeline li")).not_to_have_count(0)
        assert screen.overflow() == 0, f"the user at {width} px"
        assert contrast(screen) >= 4.5, f"{scheme} at {width} px"
