"""The sample events are what Stripe would send: complete, of today's shape, adding up, and one coherent set."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stripe

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment_tools.samples.files import EVENTS, api_gateway_request, body_of, sample, samples, sqs_batch
from stripe_to_segment_tools.samples.freshen import freshen
from stripe_to_segment_tools.samples.inputs import read_events, read_text
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET, sign
from tests.unit.stripe_fields import always_there, known

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = samples()
NOW = 1_800_000_000
CORPUS = os.environ.get("STRIPE_EVENTS_DIR")
TAXES = ("exclusive", "inclusive")

# These kinds have a form of their own; any other is a few letters and what Stripe counts, with a digit in it.
ID = re.compile(
    r"(pi|ch|txn)_3\w{23}|(cus|si|prod)_[TU]\w{13}|cs_test_a1\w{56}|(?!(?:pi|ch|txn|cus|si|prod|cs)_)[a-z]+_(?=\w*\d)\w{8,}"
    # Merchants choose the ids of coupons.
    r"|TEAM2026|COMEBACK|THANKYOU"
)

every_sample = pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value with the path to it."""
    yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from walk(child, f"{path}.{key}")


def objects(kind: str) -> list[dict[str, Any]]:
    """Return the objects of a kind that the events are about, in the order of events."""
    return [each.event["data"]["object"] for each in ALL if each.event["data"]["object"]["object"] == kind]


def of_kind(kind: str) -> pytest.MarkDecorator:
    chosen = [each for each in ALL if each.event["data"]["object"]["object"] == kind]
    assert chosen, kind
    return pytest.mark.parametrize("each", chosen, ids=lambda each: each.name)


def test_every_type_of_the_catalog_has_a_sample() -> None:
    """The types stood in a list of their own here, so a new row of the catalog needed no sample."""
    assert {each.type for each in ALL} == CATALOG.keys()


def test_a_file_is_named_after_its_event_type_and_variant() -> None:
    for each in ALL:
        assert each.name == each.type or each.name.startswith(f"{each.type}.")
    assert sample("customer.updated").type == "customer.updated"


def test_an_unknown_sample_is_answered_with_the_nearest_names() -> None:
    with pytest.raises(LookupError, match=r"did you mean customer\.updated"):
        sample("custmer.updated")


def test_event_ids_are_unique() -> None:
    assert [key for key, count in Counter(each.event["id"] for each in ALL).items() if count > 1] == []


@every_sample
def test_every_object_has_exactly_the_fields_that_stripe_sends(each: Any) -> None:
    for path, value in walk(each.event):
        if path in {".data", ".data.previous_attributes"} or not isinstance(value, dict) or "object" not in value:
            continue
        assert always_there(value["object"]) <= set(value) <= known(value["object"]), f"at {path}"


@every_sample
def test_the_envelope_is_that_of_a_test_mode_delivery(each: Any) -> None:
    event = each.event
    assert event["object"] == "event"
    assert event["api_version"] >= "2025-09-30"
    assert set(event["request"]) == {"id", "idempotency_key"}
    assert set(event["data"]) - {"previous_attributes"} == {"object"}
    # An invoice to come says when it will be created.
    if each.type != "invoice.upcoming":
        assert event["created"] >= event["data"]["object"].get("created", 0)
    assert all(value is False for path, value in walk(event) if path.endswith(".livemode"))


@every_sample
def test_only_updates_and_refunds_say_what_was_before(each: Any) -> None:
    others = {"charge.refunded", "payment_method.detached"}
    expected = each.type.endswith("updated") or each.type in others
    assert ("previous_attributes" in each.event["data"]) == expected


@every_sample
def test_previous_attributes_name_fields_of_the_object_that_differ(each: Any) -> None:
    def slips(previous: dict[str, Any], now: dict[str, Any], path: str) -> Iterator[str]:
        for key, old in previous.items():
            # A metadata key that was added was null before; one that was removed is missing now.
            if key not in now and path != "metadata":
                yield f"{path} {key} is not in the object"
            if now.get(key) == old:
                yield f"{path} {key} did not change"
            if isinstance(old, dict) and isinstance(now.get(key), dict):
                yield from slips(old, now[key], key)

    data = each.event["data"]
    assert [*slips(data.get("previous_attributes", {}), data["object"], "")] == []


@every_sample
def test_a_subscription_update_carries_its_items_whole(each: Any) -> None:
    items = each.event["data"].get("previous_attributes", {}).get("items")
    if items is None:
        return
    assert set(items) == {"data"}
    now = {item["id"]: item for item in each.event["data"]["object"]["items"]["data"]}
    for item in items["data"]:
        assert set(item) == set(now[item["id"]])


@every_sample
def test_the_file_is_formatted_as_stripe_formats_a_body(each: Any) -> None:
    assert each.body == body_of(each.event)


@every_sample
def test_the_samples_identify_no_real_person(each: Any) -> None:
    text = each.body.decode()
    assert set(re.findall(r"[\w.+-]+@([\w.-]+)", text)) <= {"example.com"}
    assert set(re.findall(r"https?://([\w.-]+)", text)) <= {
        "buy.stripe.com",
        "docs.stripe.com",
        "invoice.stripe.com",
        "pay.stripe.com",
        "www.example.com",
    }
    # 555-0100 to 555-0199 are for fiction; 4242 is Stripe's test card.
    assert all(re.fullmatch(r"\+1\d{3}55501\d\d", phone) for phone in re.findall(r'phone": "([^"]+)"', text))
    assert set(re.findall(r'last4": "(\d+)"', text)) <= {"4242"}


@every_sample
def test_ids_look_like_stripes(each: Any) -> None:
    for path, value in walk(each.event):
        if path.endswith(".id") and isinstance(value, str) and "request" not in path:
            assert ID.fullmatch(value), f"{value} at {path}"


@of_kind("invoice")
def test_an_invoice_adds_up(each: Any) -> None:
    invoice = each.event["data"]["object"]
    lines = invoice["lines"]["data"]
    discounts = sum(one["amount"] for one in invoice["total_discount_amounts"])
    tax = {kind: sum(t["amount"] for t in invoice["total_taxes"] if t["tax_behavior"] == kind) for kind in TAXES}
    assert invoice["lines"]["total_count"] == len(lines)
    assert invoice["subtotal"] == sum(line["amount"] for line in lines) == sum(line["subtotal"] for line in lines)
    assert discounts == sum(one["amount"] for line in lines for one in line["discount_amounts"])
    assert invoice["discounts"] == [one["discount"] for one in invoice["total_discount_amounts"]]
    for kind in TAXES:
        assert tax[kind] == sum(t["amount"] for line in lines for t in line["taxes"] if t["tax_behavior"] == kind)
    assert invoice["subtotal_excluding_tax"] == invoice["subtotal"] - tax["inclusive"]
    assert invoice["total"] == invoice["subtotal"] - discounts + tax["exclusive"]
    assert invoice["total_excluding_tax"] == invoice["total"] - tax["exclusive"] - tax["inclusive"]
    assert invoice["amount_due"] == invoice["total"] == invoice["amount_paid"] + invoice["amount_remaining"]
    assert (invoice["status"] == "paid") == (invoice["amount_remaining"] == 0) == (each.type == "invoice.paid")
    assert (invoice["status_transitions"]["paid_at"] is not None) == (invoice["status"] == "paid")


@of_kind("invoice")
def test_taxes_are_their_rate_of_what_is_taxed(each: Any) -> None:
    invoice = each.event["data"]["object"]
    rates = {rate["id"]: rate["percentage"] for rate in invoice["default_tax_rates"]}
    for tax in invoice["total_taxes"]:
        expected = tax["taxable_amount"] * rates[tax["tax_rate_details"]["tax_rate"]] / 100
        assert abs(tax["amount"] - expected) <= 1, f"{tax['amount']} is not {expected}"


@of_kind("invoice")
def test_an_invoice_line_that_is_no_proration_is_price_times_quantity(each: Any) -> None:
    for line in each.event["data"]["object"]["lines"]["data"]:
        details = line["parent"][line["parent"]["type"]]
        if not details["proration"]:
            assert line["amount"] == int(line["pricing"]["unit_amount_decimal"]) * line["quantity"]


@of_kind("checkout.session")
def test_a_checkout_session_adds_up(each: Any) -> None:
    session = each.event["data"]["object"]
    if session["mode"] == "setup":
        assert session["amount_subtotal"] is session["amount_total"] is session["currency"] is None
        return
    off = session["total_details"]
    expected = session["amount_subtotal"] - off["amount_discount"] + off["amount_tax"] + off["amount_shipping"]
    assert session["amount_total"] == expected


@of_kind("charge")
def test_a_refund_is_the_difference_to_the_running_total_before(each: Any) -> None:
    charge, before = each.event["data"]["object"], each.event["data"].get("previous_attributes", {})
    if each.type != "charge.refunded":
        # Other events of a charge state no refund.
        assert "amount_refunded" not in before
        return
    assert before["amount_refunded"] < charge["amount_refunded"] <= charge["amount"]
    assert charge["refunded"] == (charge["amount_refunded"] == charge["amount"])


@of_kind("subscription")
def test_a_subscription_says_the_same_thing_everywhere(each: Any) -> None:
    subscription = each.event["data"]["object"]
    (item,) = subscription["items"]["data"]
    assert item["subscription"] == subscription["id"]
    assert item["price"]["id"] == item["plan"]["id"] == subscription["plan"]["id"]
    assert item["price"]["unit_amount"] == item["plan"]["amount"]
    assert item["quantity"] == subscription["quantity"]
    assert item["price"]["currency"] == subscription["currency"]
    assert item["current_period_start"] < item["current_period_end"]
    assert (subscription["ended_at"] is not None) == (subscription["status"] in {"canceled", "incomplete_expired"})


def test_objects_that_belong_together_name_each_other() -> None:
    subscriptions = {one["id"]: one["customer"] for one in objects("subscription")}
    invoices = {one.get("id"): one for one in objects("invoice")}
    for invoice in objects("invoice"):
        if invoice["parent"] is not None:
            assert subscriptions[invoice["parent"]["subscription_details"]["subscription"]] == invoice["customer"]
    sessions = objects("checkout.session")
    for session in sessions:
        if session["subscription"] is not None:
            assert subscriptions[session["subscription"]] == session["customer"]
            assert invoices[session["invoice"]]["total"] == session["amount_total"]
    payments = objects("invoice_payment")
    for payment in payments:
        whole = invoices[payment["invoice"]]["amount_paid"]
        assert payment["amount_paid"] == whole if payment["is_default"] else payment["amount_paid"] < whole
    intents = {one["payment"]["payment_intent"]: one["amount_paid"] for one in payments}
    intents |= {one["payment_intent"]: one["amount_total"] for one in sessions if one["payment_intent"]}
    intents |= {one["id"]: one["amount_received"] for one in objects("payment_intent") if one["amount_received"]}
    for charge in objects("charge"):
        # One that failed, expired or waits to be captured has brought in nothing.
        if charge["amount_captured"]:
            assert intents[charge["payment_intent"]] == charge["amount"]
    charges = {one["latest_charge"]: one["id"] for one in objects("payment_intent")}
    for one in (*objects("refund"), *objects("dispute")):
        assert charges[one["charge"]] == one["payment_intent"]
        assert 0 < one["amount"] <= intents[one["payment_intent"]]
    for note in objects("credit_note"):
        assert invoices[note["invoice"]]["customer"] == note["customer"]
        assert note["total"] <= invoices[note["invoice"]]["total"]


@of_kind("dispute")
def test_what_a_dispute_moved_stands_in_its_balance_transactions(each: Any) -> None:
    dispute = each.event["data"]["object"]
    kept = -sum(entry["amount"] for entry in dispute["balance_transactions"])
    assert kept == (0 if dispute["status"] in {"won", "warning_needs_response"} else dispute["amount"])


@of_kind("credit_note")
def test_a_credit_note_adds_up(each: Any) -> None:
    note = each.event["data"]["object"]
    assert note["total"] == note["subtotal"] + sum(tax["amount"] for tax in note["total_taxes"])
    assert note["total"] == note["pre_payment_amount"] + note["post_payment_amount"]
    assert (note["voided_at"] is not None) == (note["status"] == "void") == (each.type == "credit_note.voided")


def test_what_a_subscription_update_had_before_is_what_the_event_before_it_showed() -> None:
    """In each scenario the next event starts from where the last one ended, as far as price and quantity go."""
    shown: dict[str, tuple[str, int]] = {}
    for each in ALL:
        one = each.event["data"]["object"]
        if one["object"] != "subscription":
            continue
        before = each.event["data"].get("previous_attributes", {}).get("items", one["items"])["data"][0]
        assert shown.get(one["id"], (before["price"]["id"], before["quantity"])) == (
            before["price"]["id"],
            before["quantity"],
        ), each.name
        now = one["items"]["data"][0]
        shown[one["id"]] = (now["price"]["id"], now["quantity"])


def test_the_sample_requests_hold_events_of_their_own() -> None:
    ids = {value for each in ALL for _, value in walk(each.event) if isinstance(value, str) and ID.fullmatch(value)}
    furniture = re.compile(r"(price|prod|txr|txcd)_|TEAM2026")
    found = list(read_events([EVENTS / "requests"]))
    assert [each.error for each in found] == [None] * 5
    for each in found:
        own = {value for _, value in walk(each.event) if isinstance(value, str) and ID.fullmatch(value)}
        assert not {value for value in own & ids if not furniture.match(value)}, each.source


def test_the_sample_request_is_signed_with_the_documented_secret() -> None:
    request = json.loads((EVENTS / "requests" / "api-gateway-request.json").read_bytes())
    stamp = request["requestContext"]["timeEpoch"] // 1000
    assert request["headers"]["stripe-signature"] == sign(request["body"].encode(), SAMPLE_SECRET, stamp)


# --- freshen ---


def test_freshened_events_end_now_and_keep_their_distances() -> None:
    events = [each.event for each in ALL]
    fresh = freshen(events, NOW)
    assert max(event["created"] for event in fresh) == NOW
    shift = NOW - max(event["created"] for event in events)
    for before, after in zip(events, fresh, strict=True):
        for (path, old), (_, new) in zip(walk(before), walk(after), strict=True):
            if isinstance(old, int) and not isinstance(old, bool):
                moved = shift if old > 1_000_000_000 else 0
                assert new == old + moved, path


def test_freshened_ids_are_new_and_the_same_everywhere() -> None:
    events = [each.event for each in ALL]
    fresh = freshen(events, NOW)
    renamed: dict[str, str] = {}
    for before, after in zip(events, fresh, strict=True):
        for (path, old), (_, new) in zip(walk(before), walk(after), strict=True):
            if isinstance(old, str) and ID.fullmatch(old):
                assert renamed.setdefault(old, new) == new, path
                assert len(new) == len(old), path
    kept = {old.split("_")[0] for old, new in renamed.items() if old == new}
    kept -= {"TEAM2026", "COMEBACK", "THANKYOU"}
    assert kept == {"price", "prod", "txr", "txcd", "promo", "shr"}, "the shop's furniture stays, the rest is new"
    assert len(set(renamed.values())) == len(renamed)


def test_freshened_ids_are_replaced_inside_urls_too() -> None:
    (fresh,) = freshen([sample("invoice.paid.manual").event], NOW)
    invoice = fresh["data"]["object"]
    assert invoice["lines"]["url"] == f"/v1/invoices/{invoice['id']}/lines"


@pytest.mark.parametrize(
    "identifier",
    [
        "dp_1TrW2kKfLhV2TnWpQ8ZsYw3B",
        "cn_1TrW2kKfLhV2TnWpQ8ZsYw3B",
        "sub_sched_1Hm86MFz0jfFqjGsc5iEdZee",
        "il_tmp_1Pgc6sB7WZ01zgkWrG16hkdl",
        "cs_live_a1LFuyKHsmzBxr6SvxfFu184ISK2sNebnb60DloY",
        "cus_NffrFeUfNVzHib",
    ],
)
def test_an_id_of_any_kind_is_freshened(identifier: str) -> None:
    """`freshen` had a list of kinds: events of a dispute or a schedule, sent twice, counted as one in Segment."""
    (fresh,) = freshen([{"object": {"id": identifier, "url": f"/v1/them/{identifier}/lines"}}], NOW)
    new = fresh["object"]["id"]
    kind, _, old = identifier.rpartition("_")
    assert new != identifier
    assert re.fullmatch(rf"{kind}_{old[:2]}[A-Za-z0-9]{{{len(old) - 2}}}", new)
    assert fresh["object"]["url"] == f"/v1/them/{new}/lines"


def test_a_value_of_stripe_with_an_underscore_is_no_id() -> None:
    """All words that Stripe's library knows as values: `card_present`, `payment_method_provider_decline`, …"""
    folder = Path(stripe.__file__).parent
    texts = (path.read_text("utf-8") for path in folder.glob("_*.py"))
    words = sorted({word for text in texts for found in _LITERALS.findall(text) for word in _WORD.findall(found)})
    assert len(words) > 1_000
    assert freshen([{"words": words}], NOW) == [{"words": words}]


_LITERALS = re.compile(r"Literal\[([^\]]+)\]")
_WORD = re.compile(r'"([^"]+)"')


def test_a_fresh_event_keeps_the_merchants_own_values() -> None:
    user = "user_1Hm86MFz0jfFqjGsc5iEdZee"
    (fresh,) = freshen(
        [
            {
                "id": "sub_1Hm7q6Fz0jfFqjGs",
                "client_reference_id": user,
                "metadata": {"u": user, "s": "sub_1Hm7q6Fz0jfFqjGs"},
            }
        ],
        NOW,
    )
    assert fresh["client_reference_id"] == fresh["metadata"]["u"] == user
    assert fresh["metadata"]["s"] == fresh["id"], "an object of the events has one id everywhere"


@pytest.mark.skipif(not CORPUS, reason="STRIPE_EVENTS_DIR names no folder of recorded events")
def test_each_object_of_a_recorded_event_gets_a_new_id() -> None:
    """Ids of products, prices and the like stay, and texts without the form of Stripe's ids (`sub_1`, `basic-plan`)."""
    kept: set[str] = set()
    for found in read_events([Path(str(CORPUS))]):
        if not isinstance(found.event, dict) or "requests" in found.source:
            continue
        (fresh,) = freshen([found.event], NOW)
        for (path, old), (fresh_path, new) in zip(walk(found.event), walk(fresh), strict=True):
            if isinstance(old, dict) and isinstance(old.get("id"), str) and "object" in old and old["id"] == new["id"]:
                kept.add(f"{old['object']} {old['id']}")
            assert path == fresh_path, "keys stay, those of metadata included"
            if path.endswith((".type", ".status")) and isinstance(old, str):
                assert new == old, path
    of_stripes_form = {each for each in kept if re.search(r" [a-z_]+_[A-Za-z0-9]{14,}$", each)}
    assert {each.split(" ")[0] for each in of_stripes_form} <= SHOPS


# What a shop sells with. Their ids stay.
SHOPS = {"account", "plan", "price", "product", "promotion_code", "shipping_rate", "tax_code", "tax_rate"}


def test_freshening_keeps_the_user_and_the_amounts() -> None:
    (fresh,) = freshen([sample("checkout.session.completed.subscription.trial").event], NOW)
    session = fresh["data"]["object"]
    assert session["metadata"]["user_id"] == "user_4821"
    assert session["customer_details"]["email"] == "ada@example.com"


def test_freshening_is_decided_by_the_seed() -> None:
    events = [each.event for each in ALL]
    assert freshen(events, NOW, seed="a") == freshen(events, NOW, seed="a")
    assert freshen(events, NOW, seed="a")[0]["id"] != freshen(events, NOW, seed="b")[0]["id"]
    assert freshen(events, NOW)[0]["id"] != freshen(events, NOW + 1)[0]["id"]
    assert [each.event for each in samples()] == events, "the originals are left alone"


# --- signatures and envelopes ---


@every_sample
def test_stripe_accepts_the_signature(each: Any) -> None:
    header = sign(each.body, SAMPLE_SECRET, NOW)
    assert stripe.WebhookSignature.verify_header(each.body.decode(), header, SAMPLE_SECRET, None)


def test_with_several_secrets_each_accepts_the_signature() -> None:
    header = sign(b"{}", ["whsec_old", "whsec_new"], NOW)
    assert stripe.WebhookSignature.verify_header("{}", header, "whsec_old", None)
    assert stripe.WebhookSignature.verify_header("{}", header, "whsec_new", None)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header("{}", header, "whsec_other", None)


@pytest.mark.parametrize("encoded", [False, True])
def test_a_request_carries_the_body_to_the_byte(encoded: bool) -> None:
    body = sample("customer.created.jpy").body
    assert "森".encode() in body, "raw UTF-8, as Stripe sends it"
    request = api_gateway_request(body, SAMPLE_SECRET, NOW, base64=encoded)
    assert request["isBase64Encoded"] is encoded
    (found,) = read_back(request)
    assert found == body
    assert stripe.WebhookSignature.verify_header(
        body.decode(), request["headers"]["stripe-signature"], SAMPLE_SECRET, None
    )


def test_a_batch_carries_the_bodies_in_order() -> None:
    bodies = [each.body for each in ALL[:3]]
    batch = sqs_batch(bodies, "arn:aws:sqs:eu-central-1:123456789012:events", NOW)
    assert read_back(batch) == bodies
    assert len({record["messageId"] for record in batch["Records"]}) == 3
    assert {record["awsRegion"] for record in batch["Records"]} == {"eu-central-1"}


def read_back(envelope: dict[str, Any]) -> list[bytes]:
    return [each.raw for each in read_text(json.dumps(envelope).encode(), "envelope")]
