"""The context that Segment's destinations read: the user's traits, the attribution, and the group's name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.mapping.attribution import CAMPAIGN, DESTINATION_OPTIONS, VISIT
from stripe_to_segment.mapping.properties import AttributionProperties
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import ATTRIBUTION, settings_from
from stripe_to_segment.state.memory_store import MemoryStore
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_customer,
    a_session,
    a_subscription,
    an_event,
    an_intent,
    an_invoice,
)
from tests.unit.worlds import ACCEPTED, World, unchanged

if TYPE_CHECKING:
    from stripe_to_segment.segment_side.calls import Call
    from stripe_to_segment.stripe_side.event import StripeEvent

COMPLETED = "checkout.session.completed"
BILLED = {"customer_email": "jo@example.com", "customer_name": "Jo Example", "customer_phone": "+441225000000"}


def track(world: World, event: StripeEvent, name: str | None = None) -> dict[str, Any]:
    calls = [call for call in world.deliver(event) if call["type"] == "track"]
    return next(call for call in calls if name in {None, call["event"]})


# --- Traits ---


def test_a_track_carries_the_personal_traits_of_its_own_event() -> None:
    """Destinations that match people by email address, as those of ads do, look for it in `context.traits`."""
    world = World()
    invoice = track(world, an_event("invoice.paid", an_invoice(**BILLED)))
    assert invoice["context"]["traits"] == {"email": "jo@example.com", "name": "Jo Example"}
    session = track(world, an_event(COMPLETED, a_session(customer=None)), "Order Completed")
    assert session["context"]["traits"]["email"] == "jo@example.com"
    intent = track(world, an_event("payment_intent.succeeded", an_intent(id="pi_2", receipt_email="jo@example.com")))
    assert intent["context"]["traits"]["email"] == "jo@example.com"


def test_only_allowed_personal_traits_stand_in_the_context_and_an_email_is_hashed_there_too() -> None:
    paid = an_event("invoice.paid", an_invoice(**BILLED))
    hashed = track(World(PERSONAL_TRAITS="email", HASH_EMAIL="true"), paid)["context"]["traits"]
    assert [*hashed] == ["email_sha256"]
    assert "traits" not in track(World(PERSONAL_TRAITS=""), paid)["context"]
    assert track(World(PERSONAL_TRAITS="phone"), paid)["context"]["traits"] == {"phone": "+441225000000"}


def test_plan_and_mrr_stand_beside_them_as_the_event_leaves_them() -> None:
    world = World()
    made = track(world, an_event("customer.subscription.created", a_subscription(), created=NOW))
    assert made["context"]["traits"] == {"plan": "price_basic", "mrr": 20, "currency": "USD"}
    ended = a_subscription(status="canceled", ended_at=NOW + DAY)
    gone = track(world, an_event("customer.subscription.deleted", ended, created=NOW + DAY))
    assert gone["context"]["traits"] == {"mrr": 0, "currency": "USD"}, "the identify takes the plan back"


def test_the_name_on_a_card_is_not_the_customers() -> None:
    refunded = a_charge(billing_details={"email": "payer@example.com", "name": "Somebody Else"})
    event = an_event("charge.refunded", refunded, previous={"amount_refunded": 0})
    assert "traits" not in track(World(), event)["context"]


def test_no_traits_at_all_where_none_are_wanted() -> None:
    world = World(CONTEXT_TRAITS="none")
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    assert "traits" not in track(world, an_event("invoice.paid", an_invoice(**BILLED)))["context"]


def test_what_is_remembered_is_shown_only_where_the_deployer_wants_it() -> None:
    known = an_event("customer.created", a_customer(), created=NOW)
    later = an_event("customer.subscription.created", a_subscription(), created=NOW + 1)
    forgetful, remembering = World(), World(CONTEXT_TRAITS="remembered")
    for world in (forgetful, remembering):
        world.deliver(known)
    assert "email" not in track(forgetful, later)["context"]["traits"]
    assert track(remembering, later)["context"]["traits"]["email"] == "jo@example.com"


def test_nothing_personal_is_kept_unless_it_is_to_be_remembered_and_nothing_once_it_is_not() -> None:
    store = MemoryStore()
    World(store, CONTEXT_TRAITS="remembered").deliver(an_event("customer.created", a_customer(), created=NOW))
    (kept,) = store.profiles.values()
    assert kept.personal == {"email": "jo@example.com", "name": "Jo Example"}
    World(store).deliver(an_event("customer.subscription.created", a_subscription(), created=NOW + 1))
    (kept,) = store.profiles.values()
    assert kept.personal == {}


GONE = {"email": "jo@example.com"}
OPTED_OUT = {"metadata": {"analytics_opt_out": "true"}}


@pytest.mark.parametrize(
    "last",
    [
        an_event("customer.updated", a_customer(**OPTED_OUT), previous={"metadata": {}}, created=NOW + 1),
        an_event("customer.deleted", a_customer(), created=NOW + 1),
    ],
    ids=["opted out", "deleted in Stripe"],
)
def test_nothing_is_remembered_of_who_opted_out_or_was_deleted_in_stripe(last: StripeEvent) -> None:
    """Name and address stayed in the StateTable, for 400 days or for good, and later events brought them back."""
    store = MemoryStore()
    world = World(store, CONTEXT_TRAITS="remembered")
    world.deliver(an_event("customer.created", a_customer(), created=NOW), last)
    world.deliver(an_event("invoice.paid", an_invoice(**BILLED), created=NOW + 2))
    (kept,) = store.profiles.values()
    assert kept.personal == {}


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"PERSONAL_TRAITS": "name"}, {"name"}),
        ({"PERSONAL_TRAITS": ""}, set()),
        ({"HASH_EMAIL": "true"}, {"name", "email_sha256"}),
        ({"HASH_EMAIL": "true", "PERSONAL_TRAITS": "name"}, {"name"}),
    ],
)
def test_what_the_settings_keep_in_since_is_neither_shown_nor_kept(settings: dict[str, str], shown: set[str]) -> None:
    """An address that was remembered went on being sent after `PersonalTraits` or `HashEmail` was to keep it in."""
    store = MemoryStore()
    World(store, CONTEXT_TRAITS="remembered").deliver(an_event("customer.created", a_customer(), created=NOW))
    world = World(store, None, "", CONTEXT_TRAITS="remembered", **settings)
    told = track(world, an_event("customer.subscription.created", a_subscription(), created=NOW + 1))
    assert told["context"]["traits"].keys() - {"plan", "mrr", "currency"} == shown
    (kept,) = store.profiles.values()
    assert kept.personal.keys() == shown


def test_a_trait_that_was_taken_away_in_stripe_is_no_longer_remembered() -> None:
    store = MemoryStore()
    world = World(store, CONTEXT_TRAITS="remembered")
    known = an_event("customer.created", a_customer(), created=NOW)
    world.deliver(known, an_event("customer.updated", a_customer(email=None), previous=GONE, created=NOW + 10))
    world.deliver(an_event("customer.updated", a_customer(name=None), previous={"name": "Jo Example"}, created=NOW + 5))
    (kept,) = store.profiles.values()
    assert kept.personal["name"] == "Jo Example", "a late event takes nothing away"
    assert not kept.personal["email"], "nor does it bring anything back"
    told = track(world, an_event("customer.subscription.created", a_subscription(), created=NOW + 20))
    assert "email" not in told["context"]["traits"]
    back = an_event("customer.updated", a_customer(email="new@example.com"), previous={"email": None}, created=NOW + 30)
    world.deliver(back)
    (kept,) = store.profiles.values()
    assert kept.personal["email"] == "new@example.com"


@pytest.mark.parametrize("shows", ["event", "remembered"])
def test_a_late_event_does_not_show_the_user_of_its_time_as_the_user_of_now(shows: str) -> None:
    """It stood under the former user, with the email address, the plan and the mrr of who has the customer now."""
    world = World(CONTEXT_TRAITS=shows)
    moved = a_customer(metadata={"user_id": "bert"}, email="bert@example.com")
    world.deliver(
        an_event("customer.updated", moved, previous={"email": "jo@example.com"}, created=NOW + DAY),
        an_event("customer.subscription.created", a_subscription(), created=NOW + DAY),
    )
    late = an_event("invoice.paid", an_invoice(metadata={"user_id": "anna"}, **BILLED), created=NOW)
    told = track(world, late)
    assert told["userId"] == "anna"
    assert told["context"]["traits"] == {"email": "jo@example.com", "name": "Jo Example"}, "what the event itself says"


def test_a_late_old_event_does_not_bring_an_old_address_back() -> None:
    world = World(CONTEXT_TRAITS="remembered")
    world.deliver(an_event("customer.updated", a_customer(email="new@example.com"), created=NOW + 10))
    world.deliver(an_event("customer.created", a_customer(email="old@example.com", phone="+441"), created=NOW))
    later = track(world, an_event("customer.subscription.created", a_subscription(), created=NOW + 20))
    assert later["context"]["traits"]["email"] == "new@example.com"


# --- Attribution ---

VISITED = {
    "utm_source": "google",
    "utm_medium": "cpc",
    "utm_campaign": "spring",
    "utm_term": "billing",
    "utm_content": "blue",
    "page_url": "https://www.example.com/pricing?plan=team",
    "referrer": "https://www.google.com/",
    "ip": "203.0.113.7",
    "user_agent": "Mozilla/5.0",
    "locale": "en-GB",
    "gclid": "Cj0KCQ",
    "fbc": "fb.1.1795000000000.AbC",
    "fbp": "fb.1.1795000000000.123",
    "ga_client_id": "123.456",
    "ga_session_id": "1795000000",
}


def test_metadata_of_the_checkout_goes_where_destinations_read_it() -> None:
    """https://github.com/segmentio/action-destinations: `$.context.campaign.name`, `$.properties.fbc`, and so on."""
    session = a_session(metadata=VISITED, created=NOW - 60)
    call = track(World(), an_event(COMPLETED, session), "Order Completed")
    context, properties = call["context"], call["properties"]
    assert context["campaign"] == {
        "source": "google",
        "medium": "cpc",
        "name": "spring",
        "term": "billing",
        "content": "blue",
    }
    assert context["page"] == {
        "url": "https://www.example.com/pricing?plan=team",
        "path": "/pricing",
        "search": "?plan=team",
        "referrer": "https://www.google.com/",
    }
    assert (context["ip"], context["userAgent"], context["locale"]) == ("203.0.113.7", "Mozilla/5.0", "en-GB")
    ids = ("gclid", "fbc", "fbp", "ga_client_id", "ga_session_id")
    assert {name: properties[name] for name in ids} == {name: VISITED[name] for name in ids}


def test_without_metadata_nothing_is_added() -> None:
    call = track(World(), an_event(COMPLETED, a_session(metadata={"cart_id": "1"})), "Order Completed")
    assert not call["context"].keys() & {"campaign", "page", "ip", "userAgent", "locale"}
    assert not call["properties"].keys() & {*AttributionProperties.__annotations__}
    assert "integrations" not in call


def test_what_a_program_writes_where_it_has_no_value_is_no_attribution() -> None:
    """JavaScript writes undefined: that was the campaign of everybody who came without one."""
    metadata = {"utm_source": "undefined", "utm_campaign": "null", "gclid": "None", "user_agent": "undefined"}
    subscription = {"subscription": "sub_basic", "metadata": {"utm_source": "google"}}
    parent = {"type": "subscription_details", "subscription_details": subscription}
    call = track(World(), an_event("invoice.paid", an_invoice(metadata=metadata, parent=parent)), "Order Completed")
    assert call["context"]["campaign"] == {"source": "google"}
    assert "userAgent" not in call["context"]
    assert "gclid" not in call["properties"]


def test_a_renewal_has_the_campaign_but_no_visit() -> None:
    """A subscription hands its metadata to every invoice; the IP address of a year ago is no longer the customer's."""
    parent = {"subscription_details": {"subscription": "sub_basic", "metadata": VISITED}}
    first = track(World(), an_event("invoice.paid", an_invoice(parent=parent)))
    renewal = an_invoice(parent=parent, billing_reason="subscription_cycle", id="in_2")
    later = track(World(), an_event("invoice.paid", renewal))
    assert first["context"]["ip"] == "203.0.113.7"
    assert not later["context"].keys() & {"ip", "userAgent", "page"}
    assert later["context"]["campaign"]["name"] == "spring"
    assert later["properties"]["gclid"] == "Cj0KCQ"
    assert "ga_session_id" not in later["properties"]


def test_an_invalid_address_is_left_out() -> None:
    session = a_session(metadata={"ip": "unknown", "page_url": "https://[broken/"})
    context = track(World(), an_event(COMPLETED, session), "Order Completed")["context"]
    assert not context.keys() & {"ip", "page"}


@pytest.mark.parametrize("url", ["pricing", "/pricing", "javascript:alert(1)", "https:", "x" * 500])
def test_a_page_that_is_no_address_is_left_out(url: str) -> None:
    """Each was sent as `url`, with a part of it as `path`."""
    call = track(
        World(), an_event(COMPLETED, a_session(metadata={"page_url": url, "referrer": "https://example.com/"}))
    )
    assert call["context"]["page"] == {"referrer": "https://example.com/"}


def test_a_click_id_that_a_destination_reads_in_its_options_goes_there() -> None:
    """A second id of one destination would have replaced the first."""
    ids = {"rdt_cid": "r1", "_rdt_uuid": "r2", "sc_click_id": "s1", "scid": "s2", "ndclid": "n1"}
    call = track(World(), an_event(COMPLETED, a_session(metadata=ids)), "Order Completed")
    assert call["integrations"] == {
        "Nextdoor Conversions API": {"click_id": "n1"},
        "Reddit Conversions Api": {"click_id": "r1", "uuid": "r2"},
        "Snap Conversions Api": {"click_id": "s1", "uuid_c1": "s2"},
    }


def test_a_click_id_that_a_destination_reads_among_the_properties_goes_there() -> None:
    call = track(World(), an_event(COMPLETED, a_session(metadata={"qclid": "q1", "dclid": "d1"})), "Order Completed")
    assert (call["properties"]["qclid"], call["properties"]["dclid"]) == ("q1", "d1")


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        ({"All": False}, {"All": False}),
        ({"Reddit Conversions Api": False}, {"Reddit Conversions Api": False}),
        (
            {"All": False, "Reddit Conversions Api": True},
            {"All": False, "Reddit Conversions Api": {"click_id": "r1"}},
        ),
    ],
    ids=["all off", "it off", "only it on"],
)
def test_a_click_id_never_enables_a_destination(chosen: dict[str, Any], sent: dict[str, Any]) -> None:
    """Options in `integrations` let a destination in that `All: false` keeps out."""
    world = World(INTEGRATIONS=json.dumps(chosen))
    call = track(world, an_event(COMPLETED, a_session(metadata={"rdt_cid": "r1"})), "Order Completed")
    assert call["integrations"] == sent


def test_a_setting_names_and_drops_the_keys_of_attribution() -> None:
    world = World(ATTRIBUTION_KEYS='{"ip": "client_ip", "fbc": ""}')
    session = a_session(metadata={**VISITED, "client_ip": "198.51.100.1"})
    call = track(world, an_event(COMPLETED, session), "Order Completed")
    assert call["context"]["ip"] == "198.51.100.1"
    assert "fbc" not in call["properties"]
    assert call["properties"]["gclid"] == "Cj0KCQ"


def test_a_setting_switches_attribution_off() -> None:
    world = World(ATTRIBUTION_KEYS='{"*": "", "gclid": "google_click"}')
    session = a_session(metadata={**VISITED, "google_click": "g1"})
    call = track(world, an_event(COMPLETED, session), "Order Completed")
    assert not call["context"].keys() & {"campaign", "page", "ip"}
    assert call["properties"]["gclid"] == "g1"


def test_a_name_that_is_no_attribution_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"ATTRIBUTION_KEYS.*utm_source"):
        settings_from({"ATTRIBUTION_KEYS": '{"utm_sauce": "x"}'})


def test_all_other_keys_can_only_be_switched_off() -> None:
    """A word for it, such as "off", left all of them on."""
    with pytest.raises(ConfigurationError, match="ATTRIBUTION_KEYS"):
        settings_from({"ATTRIBUTION_KEYS": '{"*": "off"}'})


def test_everything_that_metadata_may_say_has_one_place() -> None:
    context = {*CAMPAIGN, "page", "referrer", "ip", "user_agent", "locale"}
    places = [context, {*AttributionProperties.__annotations__}, {*DESTINATION_OPTIONS}]
    assert sorted(name for place in places for name in place) == sorted(ATTRIBUTION)
    assert {*ATTRIBUTION} >= VISIT


# --- What the group is called ---


def group(world: World, *events: StripeEvent) -> list[dict[str, Any]]:
    return [call["traits"] for call in world.deliver(*events) if call["type"] == "group"]


def test_a_group_has_the_name_that_metadata_gives_it() -> None:
    """Several destinations refuse a group without a name, or show its id for one."""
    metadata = {"group_id": "team_1", "group_name": "Example Ltd"}
    (traits,) = group(World(), an_event("customer.subscription.created", a_subscription(metadata=metadata)))
    assert traits["name"] == "Example Ltd"


def test_without_one_it_has_the_business_name_that_stripe_knows() -> None:
    customer = a_customer(business_name="Example Ltd", metadata={"group_id": "team_1"})
    world = World()
    assert [one["name"] for one in group(world, an_event("customer.created", customer))] == ["Example Ltd"]
    (traits,) = group(world, an_event("customer.subscription.created", a_subscription(), created=NOW + 1))
    assert traits["name"] == "Example Ltd", "it is remembered"


def test_a_name_that_comes_later_is_sent_in_its_own_group_call() -> None:
    world = World()
    made = a_subscription(metadata={"group_id": "team_1"})
    assert "name" not in group(world, an_event("customer.subscription.created", made, created=NOW))[0]
    renamed = a_customer(business_name="Example Ltd")
    event = an_event("customer.updated", renamed, created=NOW + 1, previous={"business_name": None})
    assert [one["name"] for one in group(world, event)] == ["Example Ltd"]


def test_a_name_that_comes_in_the_same_batch_is_in_every_group_call() -> None:
    """The event that names the user and the group is mapped before that of the customer, so its call had no name."""
    world, made = World(), a_subscription(metadata={"user_id": "u_1", "group_id": "team_1"})
    world.batch(
        an_event("customer.created", a_customer(business_name="Example Ltd"), created=NOW),
        an_event("customer.subscription.created", made, created=NOW + 1),
    )
    names = [call["traits"].get("name") for call in world.calls if call["type"] == "group"]
    assert names == ["Example Ltd"] * len(names) != []


def test_a_group_that_its_customer_leaves_keeps_its_name_and_its_amounts_their_currency() -> None:
    """Its last call had no name, and a currency of null, which the tracking plan forbids."""
    world = World()
    one, two = ({"group_id": f"team_{name}", "group_name": name} for name in ("One", "Two"))
    world.deliver(
        an_event("customer.created", a_customer(metadata=one), created=NOW),
        an_event("customer.subscription.created", a_subscription(), created=NOW + 1),
    )
    moved = an_event("customer.updated", a_customer(metadata=two), previous={"metadata": one}, created=NOW + DAY)
    told = {call["groupId"]: call["traits"] for call in world.deliver(moved) if call["type"] == "group"}
    assert {group: traits["name"] for group, traits in told.items()} == {"team_One": "One", "team_Two": "Two"}
    assert (told["team_One"]["mrr"], told["team_One"]["currency"], told["team_Two"]["mrr"]) == (0, "USD", 20)


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the first group's event last"])
def test_a_group_does_not_get_the_name_of_the_one_that_its_customer_leaves(*, late: bool) -> None:
    """It had that name until an event named it, also if the name came with a late event of the first group."""
    world, one = World(), {"group_id": "team_1", "group_name": "One"}
    moved = a_subscription(metadata={"group_id": "team_2"})
    events = [
        an_event("customer.subscription.created", a_subscription(metadata=one), created=NOW),
        an_event("customer.subscription.updated", moved, previous={"metadata": one}, created=NOW + DAY),
    ]
    world.deliver(*(events[::-1] if late else events))
    told = {call["groupId"]: call["traits"] for call in world.calls if call["type"] == "group"}
    assert "name" not in told["team_2"]
    world.deliver(an_event("customer.updated", a_customer(business_name="Two"), created=NOW + 2 * DAY))
    told = {call["groupId"]: call["traits"] for call in world.calls if call["type"] == "group"}
    assert told["team_2"]["name"] == "Two"


def test_a_group_is_never_named_after_its_id_or_a_person() -> None:
    """The product's own group call may have named it."""
    customer = a_customer(name="Jo Example", metadata={"group_id": "team_1"})
    assert "name" not in group(World(), an_event("customer.created", customer))[0]


# --- What is written down ---


def test_a_claimed_call_is_stored_without_personal_data_and_sent_again_unchanged() -> None:
    """The StateTable held email addresses in the calls of each customer's last delivery."""
    store, said = MemoryStore(), list[bytes]()
    metadata = {"user_id": "u1", "ip": "203.0.113.7", "user_agent": "Mozilla/5.0"}
    paid = an_event("invoice.paid", an_invoice(metadata=metadata, **BILLED))
    world = World(store)

    def unlucky(call: Call) -> Answer:
        said.append(call.encoded)
        return Answer(Meaning.RETRY)

    world.answer = unlucky
    world.batch(paid)
    (kept,) = store.profiles.values()
    claimed = [encoded for claim in kept.claims.values() for encoded in claim.tracks.values()]
    assert claimed
    assert not [each for each in claimed if "jo@example.com" in each or "203.0.113.7" in each or "Mozilla" in each]
    first = [each for each in said if b'"type":"track"' in each]
    said.clear()
    world.batch(paid)
    assert [each for each in said if b'"type":"track"' in each] == first
    assert b"jo@example.com" in first[0]


def test_a_claimed_call_with_personal_data_is_left_to_the_event_that_has_them() -> None:
    """The payment intent of a guest's session sent the session's claimed call again, without the address in it."""
    said, world = list[bytes](), World()
    session = a_session(customer=None, payment_status="unpaid", payment_intent="pi_guest")
    failed = an_event("checkout.session.async_payment_failed", session)
    intent = {"id": "pi_guest", "object": "payment_intent", "amount": 5000, "currency": "usd", "metadata": {}}
    again = an_event("payment_intent.payment_failed", intent | {"status": "requires_payment_method"})

    def unlucky(call: Call) -> Answer:
        if call.body.get("event") == "Payment Failed":
            said.append(call.encoded)
        return Answer(Meaning.RETRY)

    world.answer = unlucky
    for event in (failed, again, failed):
        world.batch(event)
    first, second = said
    assert b"jo@example.com" in first
    assert second == first


def test_a_value_that_enrich_removed_stays_removed_when_the_call_is_sent_again() -> None:
    def without_address(call: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        call["context"].get("traits", {}).pop("email", None)
        return call

    world = World()
    world.enrich = without_address
    world.answer = lambda _: Answer(Meaning.RETRY)
    paid = an_event("invoice.paid", an_invoice(**BILLED))
    world.batch(paid)
    world.enrich, world.answer = unchanged, lambda _: ACCEPTED
    (call,) = [call for call in world.deliver(paid) if call["type"] == "track"]
    assert call["context"]["traits"] == {"name": "Jo Example"}
