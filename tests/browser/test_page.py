"""The page with odd names, many events, a server that stops, and users in a hurry."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.samples.scenarios import SCENARIOS
from tests.browser.conftest import opened
from tests.browser.looking import contrast
from tests.servers.played_page import PlayedPage, call, event, message, said

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

    from tests.browser.conftest import Screen

MARKUP = '<img src=x onerror="alert(1)"><b>'
READABLE = """() => [document.body.innerText, ...[...document.querySelectorAll("option, [title], [aria-label]")]
  .flatMap((each) => [each.textContent, each.title, each.ariaLabel ?? ""])].join(" ")"""
PHONE = {"width": 400, "height": 860}
REFUSED = (400, '{"error": "the signature matches no active signing secret"}')


def deliver(played: PlayedPage, *ids: str, **more: Any) -> None:
    """Let events come and go well; `more` is in their calls."""
    for each in ids:
        played.came(event(each))
        played.keep(call(each, **more))
        played.attempts.append(said("delivered", each, message_id=each, calls=["identify"]))
    played.look()


def let_wait(played: PlayedPage, event_id: str, attempts: int) -> None:
    """Let an event wait after so many attempts."""
    played.came(event(event_id))
    played.attempts = [
        said("retry", event_id, received=number + 1, reason="http_503", message_id=f"m {event_id}", calls=["identify"])
        for number in range(attempts)
    ]
    played.queued = Queued((message(event_id, 40.0 + attempts),), ())
    played.look()


def test_no_request_from_outside_can_blank_the_page(played: PlayedPage, alone: Screen) -> None:
    """Half an emoji as an id, sent by anybody who reached the webhook, left an empty page until the next start."""
    bodies = [b'{"id": "\\ud83d", "type": "\\ud83d"}', f'{{"id": "{MARKUP}"}}'.encode(), b"\xff", b"[]", b""]
    for body in bodies:
        played.came(body, *REFUSED)
    played.came(event(MARKUP, MARKUP, name=MARKUP))
    deliver(played, "evt_1")
    expect(alone.rows).to_have_count(len(bodies) + 2)
    for number in range(len(bodies) + 2):
        alone.rows.nth(number).click()
        expect(alone.page.locator(".detail h2")).to_have_count(1)
    alone.row(MARKUP).click()
    expect(alone.page.locator(".detail h2")).to_have_text(MARKUP)


def test_no_text_from_outside_is_invisible_or_reverses_a_line(played: PlayedPage, alone: Screen) -> None:
    """An id with a right-to-left override read other than it was, and took the words after it along."""
    evil = "x\u202e\u2066\u200f\u0007\u001b[31m\u009b\u007f\ufeff\u2028y\U000e0041"
    shown = evil.translate({ord(each): json.dumps(each)[1:-1] for each in evil if not each.isprintable()})
    family = "👩\u200d💻"
    body = event("evt_1", f"customer.{evil}", name=evil, text=family)
    played.came(body)
    traits = {"name": evil, "plan": f"{family} שלום", evil: 1}
    played.keep(call("evt_1", userId=evil, traits=traits))
    played.attempts.append(said("dead", "evt_1", reason=evil, detail=evil))
    played.look()
    expect(alone.rows.first).to_contain_text(shown)
    alone.rows.first.click()
    expect(alone.page.locator(".detail h2")).to_have_text(f"customer.{shown}")
    expect(alone.page.locator("#detail")).to_contain_text(family)
    alone.page.locator("#detail summary").first.click()
    text = alone.page.evaluate(READABLE)
    assert {each for each in text if not each.isprintable()} <= {"\n", "\t", "\u200d", "\u00a0", "\u202f"}
    for pre in alone.page.locator("#detail pre").all():
        assert json.loads(pre.text_content() or "") in [body, call("evt_1", userId=evil, traits=traits)]
    assert alone.page.locator(".who").first.evaluate("each => getComputedStyle(each).unicodeBidi") == "isolate"
    alone.page.goto(f"{alone.url}/#/users")
    expect(alone.rows.first).to_contain_text(shown)


def test_a_user_can_be_opened_whatever_the_id(played: PlayedPage, alone: Screen) -> None:
    """The user `..` was asked for at the address above, which is the page itself."""
    ids = ["..", "a/b?c#d%41&e", "100%", "Zoë 💥", MARKUP, "constructor"]
    for number, user in enumerate(ids):
        deliver(played, f"evt_{number}", userId=user, traits={"name": MARKUP, "email": f"{number}@example.com"})
    alone.page.goto(f"{alone.url}/#/users")
    expect(alone.rows).to_have_count(len(ids))
    for number, user in enumerate(reversed(ids)):
        alone.rows.nth(number).click()
        expect(alone.page.get_by_label("What Segment knows").locator(".ids")).to_contain_text(user)
        expect(alone.page.locator(".detail h2")).to_have_text(MARKUP)
    alone.page.reload()
    expect(alone.page.get_by_label("What Segment knows").locator(".ids")).to_contain_text(ids[0])
    alone.page.get_by_role("button", name="Show the events").click()
    expect(alone.page.get_by_label("User, customer or id")).to_have_value(ids[0])
    expect(alone.rows).to_have_count(1)


def test_an_unknown_address_shows_that_nothing_is_there(played: PlayedPage, alone: Screen) -> None:
    deliver(played, "evt_1")
    alone.page.goto(f"{alone.url}/?outcome=delivered#/users/100%")
    alone.page.reload()
    expect(alone.page.locator("#detail")).to_have_text("This is no longer here.")
    expect(alone.rows).to_have_count(1)


def test_filters_combine_and_are_in_the_address(played: PlayedPage, alone: Screen) -> None:
    deliver(played, "evt_1", "evt_2", userId="ada", traits={"email": "ada@example.com"}, anonymousId="cus_1")
    deliver(played, "evt_3", userId=None, anonymousId="cus_1")
    deliver(played, "evt_4", userId="noor", traits={"email": "noor@example.com"})
    played.came(event("evt_5", "invoice.paid", object="invoice", customer="cus_1"), *REFUSED)
    played.look()
    expect(alone.rows).to_have_count(5)
    page = alone.page
    page.get_by_label("User, customer or id").fill("ada@")
    expect(page.locator("#filter-count")).to_have_text("4 of 5")
    page.get_by_label("Stripe event type").select_option("customer.created")
    page.get_by_label("Outcome").select_option("delivered")
    page.get_by_label("Segment call").select_option("identify")
    expect(alone.rows).to_have_count(3)
    page.reload()
    expect(alone.rows).to_have_count(3)
    expect(page.get_by_label("Outcome")).to_have_value("delivered")
    page.get_by_label("Outcome").select_option("refused")
    expect(page.locator("#empty")).to_have_text("Nothing matches these filters.")
    page.get_by_role("button", name="Clear").click()
    expect(alone.rows).to_have_count(5)
    assert page.url == f"{alone.url}/"


def test_calls_that_still_wait_are_found_by_their_name(played: PlayedPage, alone: Screen) -> None:
    let_wait(played, "evt_1", 2)
    alone.page.get_by_label("Segment call").select_option("identify")
    expect(alone.rows).to_have_count(1)


def test_thousands_of_events_do_not_make_the_page_slow(played: PlayedPage, alone: Screen) -> None:
    """Every event was a row, for as long as the page was open."""
    for number in range(5_100):
        played.came(event(f"evt_{number}"))
    played.look()
    page = alone.page
    expect(page.locator(".total", has_text="Events in")).to_contain_text("5,100")
    expect(alone.rows).to_have_count(200)
    assert page.evaluate("document.querySelectorAll('*').length") < 5_000
    page.get_by_role("button", name="Show 200 more of 4,800").click()
    expect(alone.rows).to_have_count(400)
    expect(alone.rows.nth(200)).to_be_focused()
    page.get_by_label("User, customer or id").fill("evt_100")
    expect(page.locator("#filter-count")).to_have_text("11 of 5,000")
    expect(alone.rows).to_have_count(11)


def test_many_users_and_a_long_history_do_not_make_the_page_slow(played: PlayedPage, alone: Screen) -> None:
    for number in range(230):
        played.keep(call("evt_1", number))
        played.keep(call("evt_2", number, userId=f"user_{number}"))
    played.look()
    alone.page.goto(f"{alone.url}/#/users/u")
    expect(alone.page.locator(".timeline li")).to_have_count(200)
    expect(alone.page.locator(".earlier")).to_have_text("and 30 earlier")
    expect(alone.rows).to_have_count(200)
    alone.page.get_by_role("button", name="Show 31 more of 31").click()
    expect(alone.rows).to_have_count(231)


def test_the_raw_event_can_be_copied(played: PlayedPage, alone: Screen) -> None:
    alone.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    played.came(event("evt_1", name=MARKUP))
    played.look()
    alone.rows.first.click()
    alone.page.get_by_role("button", name="Copy").click()
    expect(alone.page.get_by_role("button", name="Copied")).to_be_visible()
    assert json.loads(alone.page.evaluate("navigator.clipboard.readText()")) == event("evt_1", name=MARKUP)


def test_after_a_lost_connection_the_page_connects_again(tab: Page, size: ViewportSize) -> None:
    with PlayedPage() as first:
        deliver(first, "evt_1", "evt_2")
        with opened(tab, first.url, size) as page:
            rows, connection = page.locator("#list .row"), page.locator("#connection")
            expect(rows).to_have_count(2)
            first.parts.stopping.set()
            first.server.stop()
            expect(connection).to_have_text("the local stack does not answer")
            page.get_by_role("radio", name="Down", exact=True).click()
            expect(page.locator("#said")).to_contain_text("is `make run` still running?")
            expect(page.get_by_role("radio", name="Up", exact=True)).to_be_checked()
            with PlayedPage(port=first.server.port, token=first.parts.token) as second:
                deliver(second, "evt_2", "evt_3", "evt_4")
                expect(connection).to_have_text("live")
                expect(rows).to_have_count(3)
                expect(page.locator(".total", has_text="Events in")).to_contain_text("3")


def test_the_page_of_an_earlier_run_says_that_there_is_another(tab: Page, size: ViewportSize) -> None:
    with PlayedPage() as first, opened(tab, first.url, size) as page:
        first.parts.stopping.set()
        first.server.stop()
        with PlayedPage(port=first.server.port):
            expect(page.locator("#connection")).to_have_text(
                "another run is active: open the address that `make run` printed"
            )


def test_a_hidden_page_disconnects_and_is_current_when_it_is_shown_again(played: PlayedPage, alone: Screen) -> None:
    """A browser has six lines to a server: the seventh open tab waited for ever."""
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden === "hidden", configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    }"""
    alone.page.evaluate(hide, "hidden")
    deliver(played, "evt_1")
    alone.page.wait_for_timeout(400)
    expect(alone.rows).to_have_count(0)
    alone.page.evaluate(hide, "seen")
    expect(alone.rows).to_have_count(1)


def test_the_next_attempt_of_an_event_does_not_disturb_its_reader(played: PlayedPage, alone: Screen) -> None:
    """Each attempt drew the whole event anew: keyboard, scrolling and selected text were lost every few seconds."""
    alone.page.set_viewport_size({"width": 1600, "height": 300})
    let_wait(played, "evt_1", 1)
    alone.rows.first.click()
    body = alone.page.get_by_label("From Stripe").locator("pre")
    body.focus()
    scrolled = body.evaluate("(element) => { element.scrollTop = 40; return element.scrollTop; }")
    assert scrolled > 0
    let_wait(played, "evt_1", 2)
    expect(alone.page.locator(".steps")).to_contain_text("Attempt 2")
    expect(body).to_be_focused()
    assert body.evaluate("(element) => element.scrollTop") == scrolled


def test_the_next_attempt_is_shown_with_its_time_and_a_countdown(played: PlayedPage, alone: Screen) -> None:
    let_wait(played, "evt_1", 1)
    until = alone.row("customer.created").locator("[data-until]")
    expect(until).to_have_text(re.compile(r"^in (3\d|4\d) s, at \d\d:\d\d:\d\d$"))
    first = until.text_content()
    expect(until).not_to_have_text(first or "")


@pytest.mark.parametrize("size", [PHONE], ids=["phone"])
def test_on_a_phone_a_newcomer_learns_what_it_is_and_sees_events_arrive(played: PlayedPage, alone: Screen) -> None:
    """A phone never showed what the page is about, and a scenario's button hid the list in which it arrives."""
    alone.page.get_by_role("link", name="What is this?").click()
    welcome = alone.page.locator("#detail")
    expect(welcome).to_contain_text("Stripe events in, Segment calls out")
    assert alone.overflow() == 0
    welcome.get_by_role("button", name="Play a scenario").click()
    expect(alone.page.locator("#note")).to_contain_text("A subscription's life")
    expect(alone.page.locator("#note")).to_contain_text("Watch: There is no revenue in the trial.")
    for _ in range(50):
        played.look()
        if alone.rows.count() == len(SCENARIOS["subscription"].steps):
            break
        alone.page.wait_for_timeout(100)
    expect(alone.page.locator("#note")).to_contain_text("sent")
    expect(alone.rows.first).to_be_in_viewport()


def test_segments_behaviour_is_explained_while_it_lasts(alone: Screen) -> None:
    note = alone.page.locator("#behaviour-note")
    expect(note).to_be_hidden()
    for behaviour, words in (("429", "Retry-After: 3"), ("400", "dead letters"), ("Slow", "three seconds")):
        alone.segment_is(behaviour)
        expect(note).to_contain_text(words)
    alone.segment_is("Up")
    expect(note).to_be_hidden()


def test_amounts_have_the_decimals_of_their_billing(played: PlayedPage, alone: Screen) -> None:
    """ISO 4217 and browsers round dinars and some other currencies to whole units."""
    amounts = {"JPY": 4980, "KWD": 1.235, "RSD": 10.5, "USD": 1200.1, "XTS9": 3}
    for number, (currency, amount) in enumerate(amounts.items()):
        properties = {"revenue": amount, "currency": currency}
        played.keep(call("evt_1", number, type="track", event="Invoice Paid", properties=properties))
    played.look()
    revenue = alone.page.locator(".total", has_text="Revenue").locator(".sums span")
    expect(revenue).to_have_text(["¥4,980", "KWD 1.235", "RSD 10.50", "$1,200.10", "XTS9 3.00"])


def test_the_calls_lead_and_stripes_type_is_their_small_print(played: PlayedPage, alone: Screen) -> None:
    upgrade = {"type": "track", "event": "Subscription Upgraded", "properties": {"mrr_change": 60, "currency": "EUR"}}
    deliver(played, "evt_1", userId="user_42", traits={"plan": "Team"})
    deliver(played, "evt_2", userId="user_42", traits={"plan": "Team"})
    played.keep(call("evt_2", 2, userId="user_42", **upgrade))
    played.came(event("evt_3", "payout.paid"), 200, '{"ignored": "nothing is made of payout.paid"}')
    let_wait(played, "evt_4", 1)
    headlines = alone.page.locator(".headline")
    expect(headlines).to_contain_text(
        ["identify", "payout.paid", "Subscription Upgraded +€60.00 MRR", "identify user_42: plan Team"]
    )
    upgraded = alone.row("Subscription Upgraded")
    expect(upgraded.locator(".small .type")).to_have_text("customer.created")
    expect(upgraded.locator(".small .chip")).to_contain_text("identify")
    expect(alone.row("payout.paid").locator(".small")).to_have_text("")
    upgraded.click()
    expect(alone.page.locator(".call header").last).to_contain_text(re.compile("Subscription Upgraded ?[+]€60.00 MRR"))
    alone.page.goto(f"{alone.url}/#/users/user_42")
    expect(alone.page.locator(".timeline")).to_contain_text(re.compile("Subscription Upgraded ?[+]€60.00 MRR"))


def test_violations_of_a_call_are_named_and_counted(played: PlayedPage, alone: Screen) -> None:
    played.came(event("evt_1"))
    made = call("evt_1", type="track", event="Ordr Completed", properties={})
    del made["userId"]
    played.keep(made)
    played.look()
    expect(alone.page.locator(".total", has_text="Checks")).to_contain_text("✗ 1 call")
    alone.rows.first.click()
    flaws = alone.page.locator(".checks .bad")
    expect(flaws.filter(has_text="limits")).to_contain_text("neither 'userId' nor 'anonymousId'")
    expect(flaws.filter(has_text="tracking plan")).to_contain_text("'Ordr Completed' is not an event")


def test_a_refused_event_says_what_stripe_listen_needs(played: PlayedPage, alone: Screen) -> None:
    played.came(event("evt_1"), *REFUSED)
    played.look()
    expect(alone.rows.first).to_contain_text("400: the signature matches no active signing secret")
    alone.rows.first.click()
    expect(alone.page.get_by_label("To Segment")).to_contain_text("STRIPE_SECRET=$(stripe listen --print-secret)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_outcome_of_an_event_is_readable(played: PlayedPage, alone: Screen, scheme: Any) -> None:
    alone.page.emulate_media(color_scheme=scheme)
    played.came(event("evt_0"), *REFUSED)
    played.came(event("evt_1"), 200, '{"ignored": "nothing is made of customer.created"}')
    played.attempts = [said("dead", "evt_2", reason="http_400", calls=["identify"])]
    deliver(played, "evt_3", "evt_4")
    played.keep(call("evt_4", 2, type="track", event="Own Event"))
    let_wait(played, "evt_5", 3)
    alone.segment_is("Down")
    expect(alone.rows).to_have_count(6)
    expect(alone.page.locator("#behaviour-note")).to_be_visible()
    for width in (400, 768, 1600):
        alone.page.set_viewport_size({"width": width, "height": 900})
        for place in ("", *(f"events/evt_{number}" for number in range(2, 6)), "about"):
            alone.page.goto(f"{alone.url}/#/{place}")
            expect(alone.page.locator("#detail h2").first if place else alone.rows.first).to_be_visible()
            assert alone.overflow() == 0, f"{place} at {width} px"
            assert contrast(alone) >= 4.5, f"{place} at {width} px"


@pytest.mark.parametrize("size", [PHONE], ids=["phone"])
def test_with_reduced_motion_nothing_is_animated(played: PlayedPage, alone: Screen) -> None:
    alone.page.emulate_media(reduced_motion="reduce")
    deliver(played, "evt_1")
    expect(alone.rows).to_have_count(1)
    assert alone.page.evaluate("document.getAnimations().length") == 0
