"""The page's server: it forwards webhooks byte for byte, reports events and calls, and obeys the page."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests

from stripe_to_segment_tools.local_stack.emulator import Message
from stripe_to_segment_tools.local_stack.stack import Queued
from stripe_to_segment_tools.page.app import STATIC
from stripe_to_segment_tools.receiver import Mode
from stripe_to_segment_tools.receiver.runner import ServerThread
from stripe_to_segment_tools.samples.files import sample
from tests.servers.played_page import BODY, PlayedPage, Webhook, call, event, message, said

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def webhook() -> Webhook:
    return Webhook()


@pytest.fixture
def page(webhook: Webhook) -> Iterator[PlayedPage]:
    with ServerThread(webhook.app) as behind, PlayedPage(f"{behind.url}/hook") as page, page.sender:
        yield page


def post(page: PlayedPage, body: bytes = BODY) -> requests.Response:
    headers = {"Stripe-Signature": "t=1,v1=0", "X-Other": "1"}
    return requests.post(page.parts.webhook_url, data=body, headers=headers, timeout=30)


def test_a_webhook_is_passed_on_to_the_byte_and_its_answer_comes_back(page: PlayedPage, webhook: Webhook) -> None:
    answer = post(page)
    assert (answer.status_code, answer.json()) == (400, {"error": "no signature"})
    ((body, headers),) = webhook.seen
    assert body == BODY
    assert headers["stripe-signature"] == "t=1,v1=0"
    assert headers["host"] not in page.url


def test_the_stream_begins_with_all_entries(page: PlayedPage) -> None:
    post(page)
    post(page, b"no event")
    page.look()
    hello = page.hello()
    assert [(each["key"], each["outcome"]) for each in hello["entries"]] == [
        ("request-1", "refused"),
        ("request-2", "refused"),
    ]
    assert hello["entries"][0]["reason"] == "400: no signature"
    assert (hello["state"]["events"], hello["state"]["behaviour"]) == (2, "up")


def test_a_stack_that_is_gone_is_answered_with_502() -> None:
    with PlayedPage() as page:
        answer = post(page)
        assert answer.status_code == 502
        assert "does not answer" in answer.json()["error"]
        page.look()
        assert page.hello()["entries"][0]["outcome"] == "refused"


def test_an_event_that_did_not_come_through_the_webhook_is_shown_from_the_log(page: PlayedPage) -> None:
    page.attempts = [said("retry", reason="http_503"), said("dead", reason="http_400", received=2)]
    page.look()
    detail = page.get("/events/evt_1")
    assert (detail["type"], detail["outcome"], detail["reason"]) == ("customer.created", "dead letter", "http_400")
    assert [step["name"] for step in detail["steps"]] == [
        "In the queue",
        "Attempt 1: deliver will try again",
        "Attempt 2: dead-lettered",
    ]


def test_a_call_that_violates_limits_or_plan_is_shown_with_the_violation(page: PlayedPage) -> None:
    page.keep({"type": "track", "event": "Ordr Completed", "messageId": "1", "context": {"stripe": {"event_id": "e"}}})
    page.look()
    (sent,) = page.get("/events/e")["sent"]
    assert any("neither 'userId' nor 'anonymousId'" in flaw for flaw in sent["checks"]["limits"])
    assert sent["checks"]["plan"] == ["track: 'Ordr Completed' is not an event of the tracking plan"]
    assert page.hello()["state"]["flawed"] == 1


def test_a_user_is_found_by_any_of_the_joined_ids(page: PlayedPage) -> None:
    page.keep({"type": "identify", "messageId": "1", "anonymousId": "cus_1", "traits": {"plan": "a", "mrr": 1}})
    page.keep({"type": "identify", "messageId": "2", "userId": "u", "anonymousId": "cus_1", "traits": {"plan": "b"}})
    page.look()
    for key in ("u", "cus_1"):
        person = page.get(f"/user?id={key}")
        assert person["traits"] == [{"name": "mrr", "value": 1}, {"name": "plan", "value": "b"}]
        assert [entry["as"] for entry in person["timeline"]] == ["u", "cus_1"]
    assert requests.get(f"{page.url}/user?id=nobody", timeout=30).status_code == 404


def test_calls_of_an_import_are_named_so_and_are_no_events_that_came_in(page: PlayedPage) -> None:
    """The rows said "no Stripe event", and each call counted among the events that came in."""
    page.attempts = [said("delivered")]
    for number, level in enumerate(("traits", "opening")):
        stripe = {"import": level, "identity": "remembered"}
        page.keep({"type": "identify", "messageId": str(number), "userId": "u", "context": {"stripe": stripe}})
    page.look()
    hello = page.hello()
    shown = {each["type"] for each in hello["entries"]}
    assert shown == {"customer.created", "import, level traits", "import, level opening"}
    assert (hello["state"]["events"], hello["state"]["calls"]) == (1, 2)
    timeline = page.get("/user?id=u")["timeline"]
    assert {page.get(f"/events/{each['event']}")["type"] for each in timeline} == shown - {"customer.created"}, (
        "a user's history links to them, as the numbers do"
    )


def test_totals_are_reset_when_the_stand_in_for_segment_is_emptied(page: PlayedPage) -> None:
    properties = {"revenue": 10.5, "mrr_change": -2, "currency": "USD"}
    page.keep({"type": "track", "event": "Invoice Paid", "messageId": "1", "userId": "u", "properties": properties})
    page.look()
    assert page.hello()["state"]["totals"] == {"revenue": ["$10.50"], "mrr": ["\N{MINUS SIGN}$2.00"], "refunds": []}
    page.record.clear()
    page.look()
    assert page.hello()["state"]["totals"] == {"revenue": [], "mrr": [], "refunds": []}


def test_a_refund_that_failed_was_not_given_back(page: PlayedPage) -> None:
    """The page said $166.04 of refunds where the audit said 126.04: it left a refund in that had failed."""
    for number, (name, total) in enumerate((("Order Refunded", 60.5), ("Order Refunded", 40), ("Refund Failed", 40))):
        told = {"total": total, "currency": "USD"}
        page.keep({"type": "track", "event": name, "messageId": str(number), "userId": "u", "properties": told})
    page.look()
    assert page.hello()["state"]["totals"]["refunds"] == ["\N{MINUS SIGN}$60.50"]


def test_stripes_imitated_lists_show_what_the_page_has_sent(page: PlayedPage) -> None:
    """They had only what `make run` posted: after an event from the page the audit left its amount unexplained."""
    page.came(event("evt_forged"), 400)
    page.came({**event("evt_live"), "livemode": True})
    page.came({**event("evt_connected"), "account": "acct_1"})
    assert page.parts.journal.stripe_objects() == []
    for _ in range(2):
        page.play_samples(["invoice.paid.manual"])
    (invoice,) = page.parts.journal.stripe_objects()
    assert (invoice["object"], invoice["status"]) == ("invoice", "paid")


def test_samples_are_sent_fresh_and_signed(page: PlayedPage, webhook: Webhook) -> None:
    for _ in range(2):
        assert page.order("/send", {"sample": "customer.created"}).status_code == 202
    for _ in range(3_000):
        if len(webhook.seen) == 2 and page.sender.sending is None:
            break
        page.parts.stopping.wait(0.01)
    ids = {json.loads(body)["id"] for body, _ in webhook.seen}
    assert len(ids | {sample("customer.created").event["id"]}) == 3
    assert all(headers["stripe-signature"].startswith("t=") for _, headers in webhook.seen)


def test_an_unknown_sample_or_scenario_is_not_sent(page: PlayedPage) -> None:
    bodies: list[Any] = [{"sample": "no.such"}, {"scenario": "no such"}, {}, []]
    for body in bodies:
        assert page.order("/send", body).status_code == 404
    assert page.order("/segment", {"behaviour": "sad"}).status_code == 404


def test_the_page_sets_the_behaviour_of_segment(page: PlayedPage) -> None:
    assert page.order("/segment", {"behaviour": "limited"}).json() == {"behaviour": "limited"}
    assert (page.record.behaviour.mode, page.record.behaviour.status) == (Mode.STATUS, 429)
    assert page.hello()["state"]["behaviour"] == "limited"


def test_dead_letters_are_moved_back_on_demand(page: PlayedPage) -> None:
    assert page.order("/redrive", {}).json() == {"moved": 3}
    assert page.redriven is None


def test_one_dead_letter_is_moved_back_and_the_others_stay(page: PlayedPage) -> None:
    for event_id in ("evt_1", "evt_2"):
        page.attempts.append(said("dead", event_id, message_id=f"m {event_id}", reason="http_400"))
    page.queued = Queued((), (message("evt_1", 0), message("evt_2", 0)))
    page.look()
    assert page.order("/redrive", {"event": "evt_1"}).json() == {"moved": 1}
    assert page.redriven == {"m evt_1"}
    assert page.order("/redrive", {"event": "evt_9"}).json() == {"moved": 0}
    assert page.redriven == frozenset(), "an unknown event is not all events"


def test_a_dead_letter_is_shown_with_the_payload_that_segment_refused(page: PlayedPage) -> None:
    page.refuse(call("evt_1", 1), "400: told to")
    page.refuse(call("evt_1", 2), "400: told to")
    page.keep(call("evt_1", 2))
    page.attempts = [said("dead", reason="http_400")]
    page.queued = Queued((), (message("evt_1", 0),))
    page.look()
    detail = page.get("/events/evt_1")
    assert (detail["outcome"], detail["reason"], detail["letters"]) == ("dead letter", "http_400", 1)
    (refused,) = detail["refused"]
    assert (refused["name"], refused["call"], refused["answer"]) == ("identify", call("evt_1", 1), "400: told to")
    page.keep(call("evt_1", 1))
    page.attempts = [said("delivered", received=2)]
    page.queued = Queued((), ())
    page.look()
    assert (page.get("/events/evt_1")["refused"], page.get("/events/evt_1")["letters"]) == ([], 0)


def test_a_dead_letter_that_is_no_event_is_shown_as_it_lies_in_the_queue(page: PlayedPage) -> None:
    page.queued = Queued((), (Message("m1", "not even JSON", {}, 1, 0),))
    page.attempts = [said("dead", "", reason="not_an_event")]
    page.look()
    assert page.get("/events/message-m1")["text"] == "not even JSON"


def test_another_web_site_can_neither_send_events_nor_change_segments_behaviour(page: PlayedPage) -> None:
    assert page.order("/segment", {"behaviour": "down"}, **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    form = requests.post(f"{page.url}/segment", data='{"behaviour": "down"}', timeout=30)
    assert form.status_code == 403
    assert page.record.behaviour.mode is Mode.OK


def test_a_request_with_a_foreign_host_name_is_refused(page: PlayedPage) -> None:
    for path in ("/", "/stream", "/users"):
        answer = requests.get(f"{page.url}{path}", headers={"Host": "evil.example:4242"}, timeout=30)
        assert answer.status_code == 403
    webhook = requests.post(page.parts.webhook_url, data=BODY, headers={"Host": "tunnel.example"}, timeout=30)
    assert webhook.status_code == 400, "a tunnel may lead to the webhook"


@pytest.mark.parametrize("path", ["/", "/static/base.css", "/static/page.js", "/static/icon.svg", "/static/plot.js"])
def test_the_page_needs_no_other_server_and_no_inline_code(page: PlayedPage, path: str) -> None:
    answer = requests.get(f"{page.url}{path}", timeout=30)
    assert answer.status_code == 200
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "'unsafe" not in answer.headers["content-security-policy"]


def test_a_request_without_a_signature_cannot_replace_an_event(page: PlayedPage) -> None:
    """A forged body with the id of an event to come was shown as that event."""
    page.came(event("evt_1", name="Forged"), 400, '{"error": "no signature"}')
    page.came(event("evt_1", name="Ada"))
    page.look()
    assert page.get("/events/evt_1")["raw"]["data"]["object"]["name"] == "Ada"
    assert [(each["key"], each["outcome"]) for each in page.hello()["entries"]] == [
        ("request-1", "refused"),
        ("evt_1", "waiting"),
    ]


@pytest.mark.parametrize("event_id", ["evt/1", "..", "a?b", "<b>", "e" * 300])
def test_every_entry_has_an_address_whatever_its_id(page: PlayedPage, event_id: str) -> None:
    page.came(event(event_id))
    page.attempts = [said("delivered", event_id)]
    page.look()
    (entry,) = page.hello()["entries"]
    assert page.get(f"/events/{entry['key']}")["outcome"] == "no calls"


def test_a_number_that_no_browser_reads_does_not_hide_the_event(page: PlayedPage) -> None:
    """1e999 is infinite once it is read, and infinity is no JSON: the answer was a 500."""
    page.came(b'{"id": "evt_1", "object": "event", "type": "x", "created": 1, "data": {"object": {"n": 1e999}}}')
    detail = page.get("/events/evt_1")
    assert detail["raw"] is None
    assert "1e999" in detail["text"]


def test_a_repeat_that_was_ignored_leaves_the_event_delivered(page: PlayedPage) -> None:
    """An event that Stripe sent twice was shown as ignored, though its calls had gone out."""
    page.came(event("evt_1"))
    page.keep(call("evt_1"))
    page.attempts = [said("delivered"), said("ignored", message_id="m2", reason="already_delivered")]
    page.came(event("evt_1"))
    page.look()
    detail = page.get("/events/evt_1")
    assert (detail["outcome"], detail["times"], detail["reason"]) == ("delivered", 2, "")
    assert "already_delivered" in [step["text"] for step in detail["steps"]]


def test_only_the_latest_events_are_kept_and_dropped_ones_in_the_queue_do_not_come_back() -> None:
    """If more events waited than were kept, each look at the queue brought the dropped ones back as new."""
    with PlayedPage(kept=3) as page:
        for number in range(5):
            page.came(event(f"evt_{number}"))
            page.attempts.append(said("retry", f"evt_{number}", message_id=f"m evt_{number}"))
        page.queued = Queued(tuple(message(f"evt_{number}", 60) for number in range(5)), ())
        page.look()
        version = page.parts.journal.version
        page.attempts = [said("retry", "evt_0", message_id="m evt_0", received=2)]
        page.look()
        hello = page.hello()
        assert [entry["key"] for entry in hello["entries"]] == ["evt_2", "evt_3", "evt_4"]
        assert (hello["state"]["events"], hello["state"]["waiting"]) == (5, 5)
        assert page.parts.journal.version == version, "nothing that is shown has changed"
        page.came(event("evt_0"))
        assert page.hello()["entries"][-1]["key"] == "evt_0", "but Stripe may send it again"


@pytest.mark.parametrize("user", ["..", "a/b?c#d%41&e", "Zoë 💥", "<b>", "__proto__", " "])
def test_a_user_is_found_whatever_the_id(page: PlayedPage, user: str) -> None:
    page.keep(call("evt_1", userId=user))
    page.look()
    found = requests.get(f"{page.url}/user", params={"id": user}, timeout=30)
    assert found.json()["ids"] == [{"kind": "userId", "value": user}]


def test_traits_that_are_no_texts_do_not_hide_the_users(page: PlayedPage) -> None:
    page.keep(call("evt_1", traits={"name": 7, "email": None, "plan": {"a": 1}}))
    page.look()
    (person,) = page.get("/users")
    assert (person["title"], person["email"]) == ("7", "")


def test_the_timeline_is_newest_first_within_a_second_too(page: PlayedPage) -> None:
    page.keep(call("evt_1", 1))
    page.keep(call("evt_1", 2, type="track", event="Trial Started"))
    page.look()
    assert [entry["name"] for entry in page.get("/user?id=u")["timeline"]] == ["Trial Started", "identify"]


def test_each_call_is_shown_with_its_meaning(page: PlayedPage) -> None:
    page.keep(call("evt_1", 1))
    page.keep(call("evt_1", 2, type="track", event="Trial Started"))
    page.keep(call("evt_1", 3, type="track", event="Own Event"))
    page.look()
    assert [sent["meaning"] for sent in page.get("/events/evt_1")["sent"]] == [
        "who the user is, and the traits as they are now",
        "sent when a trial begins, free or paid",
        "",
    ]


def test_a_header_that_is_no_ascii_is_passed_on(page: PlayedPage, webhook: Webhook) -> None:
    """It ended in a 500, and the request was not shown."""
    headers = {"Stripe-Signature": "t=1,v1=ü".encode()}
    answer = requests.post(page.parts.webhook_url, data=BODY, headers=headers, timeout=30)
    assert answer.status_code == 400
    assert webhook.seen[0][1]["stripe-signature"].encode("latin-1") == headers["Stripe-Signature"]


def test_a_web_site_cannot_post_events_through_its_visitors_browser(page: PlayedPage) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"}
    answer = requests.post(page.parts.webhook_url, data="{}", headers=headers, timeout=30)
    assert answer.status_code == 403
    page.look()
    assert page.hello()["entries"] == []


def test_this_machine_may_be_called_by_each_of_its_names(page: PlayedPage) -> None:
    for host, status in (("localhost", 200), ("127.0.0.1", 200), ("LOCALHOST:4242", 200), ("[::1", 403), ("", 403)):
        answer = requests.get(f"{page.url}/menu", headers={"Host": host}, timeout=30)
        assert answer.status_code == status, host


@pytest.mark.parametrize("path", ["/", "/stream", "/events/evt_1", "/users", "/numbers", "/menu", "/static/page.js"])
def test_without_the_token_nothing_is_shown(page: PlayedPage, path: str) -> None:
    """Every user of the machine could open 127.0.0.1:4242 and read the events that had come."""
    page.came(event("evt_1", name="Ada"))
    page.look()
    token = page.parts.token
    for wrong in ("", "/", f"/{token[:-1]}", f"/{token}x", "/of-another-run", "/webhooks/..", "/%00"):
        answer = requests.get(f"{page.parts.origin}{wrong}{path}", timeout=30)
        assert answer.status_code == 403, wrong
        assert "the whole address" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/send", "/segment", "/redrive"])
def test_without_the_token_nothing_can_be_changed(page: PlayedPage, path: str) -> None:
    body = {"sample": "customer.created", "behaviour": "down"}
    assert requests.post(f"{page.parts.origin}{path}", json=body, timeout=30).status_code == 403
    assert page.record.behaviour.mode is Mode.OK
    assert page.sender.sending is None


def test_each_run_has_another_address() -> None:
    with PlayedPage() as one, PlayedPage() as other:
        assert one.parts.token != other.parts.token
        assert min(len(one.parts.token), len(other.parts.token)) >= 20


@pytest.mark.parametrize(("reason", "words"), [("circuit_open", "pauses"), ("under_way", "of this customer")])
def test_an_event_that_was_put_back_untried_says_so_and_keeps_its_calls(
    page: PlayedPage, reason: str, words: str
) -> None:
    page.attempts = [
        said("retry", reason="http_503", calls=["identify"]),
        said("retry", reason=reason, received=2),
    ]
    page.look()
    detail = page.get("/events/evt_1")
    assert (detail["pending"], detail["tried"]) == (["identify"], False)
    assert detail["steps"][-1]["name"] == "Attempt 2: put back"
    assert words in detail["reason"]


def test_the_page_gives_the_numbers_and_the_events_of_one(page: PlayedPage) -> None:
    properties = {"revenue": 10.5, "currency": "USD"}
    page.keep(call("evt_1", type="track", event="Invoice Paid", properties=properties))
    page.look()
    ((chart, *_),) = [each["charts"] for each in page.get("/numbers")["currencies"]]
    assert chart["rows"][0]["cells"][0] == {"value": 10.5, "text": "$10.50", "events": 1}
    assert page.get("/counted?number=revenue.USD.2026-11-22")["events"] == ["evt_1"]
    assert requests.get(f"{page.url}/counted?number=revenue.USD.2026-11-23", timeout=30).status_code == 404
    page.record.clear()
    page.look()
    assert page.get("/numbers") == {"currencies": []}


VENDORED = {
    "uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uplot/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}


def test_what_is_vendored_is_unchanged_and_has_its_licence(page: PlayedPage) -> None:
    folder = STATIC / "vendor"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - {"uplot/README.md"} == set(VENDORED)
    for path, digest in VENDORED.items():
        served = requests.get(f"{page.url}/static/vendor/{path}", timeout=30).content
        assert hashlib.sha256(served).hexdigest() == digest, f"{path} is that of the npm package"
