"""Calls have the right ids, and an anonymous history is joined to the user once."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from stripe_to_segment.reasons import Reason
from tests.unit.shapes import (
    DAY,
    NOW,
    a_charge,
    a_customer,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World, names

CREATED = "customer.subscription.created"
UPDATED = "customer.subscription.updated"
COMPLETED = "checkout.session.completed"


def ids(call: dict[str, Any]) -> tuple[str | None, str | None]:
    return call.get("userId"), call.get("anonymousId")


@pytest.mark.parametrize(
    ("event", "identity_source"),
    [
        (an_event(COMPLETED, a_session(metadata={"user_id": "u1"}, client_reference_id="other")), "metadata"),
        (an_event(COMPLETED, a_session(metadata={"userId": "u1"})), "metadata"),
        (an_event(COMPLETED, a_session(client_reference_id="u1")), "client_reference_id"),
        (an_event(CREATED, a_subscription(metadata={"user_id": "u1"})), "metadata"),
        (an_event("customer.created", a_customer(metadata={"user_id": "u1"})), "metadata"),
        (
            an_event(
                "invoice.paid",
                an_invoice(
                    parent={"subscription_details": {"subscription": "sub_basic", "metadata": {"user_id": "u1"}}}
                ),
            ),
            "metadata",
        ),
        (
            an_event("invoice.paid", an_invoice(parent=None, subscription_details={"metadata": {"user_id": "u1"}})),
            "metadata",
        ),
    ],
    ids=[
        "session metadata first",
        "second key",
        "client reference",
        "subscription",
        "customer",
        "invoice since 2025",
        "invoice before 2025",
    ],
)
def test_the_event_names_the_user(event: Any, identity_source: str) -> None:
    for call in World().deliver(event):
        assert call["userId"] == "u1"
        assert call["context"]["stripe"]["identity"] == identity_source


@pytest.mark.parametrize("nothing", ["undefined", "null", "None", "NaN", "[object Object]"])
def test_what_a_program_writes_for_no_value_is_no_user(nothing: str) -> None:
    """All customers of a shop whose code had lost their ids were one user."""
    fields = {"user_id": nothing, "userId": "u1", "anonymous_id": nothing, "group_id": nothing}
    for call in World().deliver(an_event(CREATED, a_subscription(metadata=fields))):
        assert (call["userId"], "groupId" in call) == ("u1", False)
        assert call.get("anonymousId") != nothing
    for call in World().deliver(an_event(COMPLETED, a_session(client_reference_id=nothing, customer="cus_1"))):
        assert call.get("userId") is None
    for call in World().deliver(an_event(CREATED, a_subscription(metadata={"user_id": "nan"}))):
        assert call["userId"] == "nan"


def test_the_user_that_one_event_names_is_used_for_the_next() -> None:
    world = World()
    world.deliver(an_event(COMPLETED, a_session(client_reference_id="u1")))
    *_, refund = world.deliver(an_event("charge.refunded", a_charge()))
    assert ids(refund) == ("u1", None)
    assert refund["context"]["stripe"]["identity"] == "remembered"


def test_an_unknown_user_has_the_stripe_customer_as_anonymous_id() -> None:
    for call in World().deliver(an_event(CREATED, a_subscription())):
        assert ids(call) == (None, "cus_basic")


def test_a_customer_account_stands_in_for_a_missing_customer() -> None:
    subscription = a_subscription(customer=None, customer_account="acct_customer")
    assert ids(World().deliver(an_event(CREATED, subscription))[0]) == (None, "acct_customer")


def test_a_guest_has_the_session_as_anonymous_id() -> None:
    assert ids(World().deliver(an_event(COMPLETED, a_session(customer=None)))[0]) == (None, "cs_test_basic")


def test_the_policy_may_make_the_customer_id_the_user_id() -> None:
    world = World(UNKNOWN_USER_POLICY="customer_id")
    assert ids(world.deliver(an_event(CREATED, a_subscription()))[1]) == ("cus_basic", None)


def test_the_policy_may_skip_unknown_users() -> None:
    world = World(UNKNOWN_USER_POLICY="skip")
    (record,) = world.batch(an_event(CREATED, a_subscription()))
    assert world.calls == []
    assert (record.reason, record.detail) == (Reason.UNKNOWN_USER, "UNKNOWN_USER_POLICY is skip")


def test_an_anonymous_history_is_joined_once_when_the_user_becomes_known() -> None:
    world = World()
    world.deliver(an_event(CREATED, a_subscription()))
    session = a_session(mode="subscription", subscription="sub_basic", client_reference_id="u1")
    calls = world.deliver(an_event(COMPLETED, session))
    assert [(call["type"], *ids(call)) for call in calls] == [
        ("identify", "u1", "cus_basic"),
        ("track", "u1", None),
    ]
    later = world.deliver(an_event("customer.created", a_customer()))
    assert ids(later[0]) == ("u1", None)


def test_a_browsers_id_is_on_the_call_and_the_fallback_id_is_joined_separately() -> None:
    world = World()
    world.deliver(an_event(CREATED, a_subscription()))
    session = a_session(client_reference_id="u1", metadata={"anonymous_id": "browser-1"})
    identifies = [call for call in world.deliver(an_event(COMPLETED, session)) if call["type"] == "identify"]
    assert [ids(call) for call in identifies] == [("u1", "cus_basic"), ("u1", "browser-1")]


def test_a_browsers_id_is_the_anonymous_id_of_an_unknown_user() -> None:
    session = a_session(metadata={"ajs_anonymous_id": "browser-1"})
    assert {ids(call) for call in World().deliver(an_event(COMPLETED, session))} == {(None, "browser-1")}


def test_in_one_batch_the_event_that_names_the_user_goes_first() -> None:
    world = World()
    session = a_session(client_reference_id="u1", mode="subscription", subscription="sub_basic")
    world.batch(an_event(CREATED, a_subscription()), an_event(COMPLETED, session, created=NOW + 1))
    assert {call["userId"] for call in world.calls} == {"u1"}
    assert [ids(call) for call in world.calls if call["type"] == "identify"] == [("u1", "cus_basic"), ("u1", None)]


def test_an_event_of_an_unknown_user_waits_and_is_then_sent_with_the_fallback_id() -> None:
    world = World(IDENTITY_HOLD_SECONDS="30")
    event = an_event(CREATED, a_subscription())
    world.now = NOW + 10
    (held,) = world.batch(event)
    assert (held.status, world.calls) == ("waiting", [])
    world.now = NOW + 31
    (sent,) = world.batch(event)
    assert sent.status == "delivered"
    assert ids(world.calls[0]) == (None, "cus_basic")


def test_a_checkout_session_never_waits_because_it_is_what_names_the_user() -> None:
    world = World(IDENTITY_HOLD_SECONDS="30")
    world.now = NOW
    (verdict,) = world.batch(an_event(COMPLETED, a_session()))
    assert verdict.status == "delivered"


def test_the_metadata_keys_of_the_user_are_a_setting_and_tried_in_order() -> None:
    world = World(USER_ID_KEYS="account, uid")
    session = a_session(metadata={"uid": "second", "account": "first", "user_id": "not asked for"})
    assert world.deliver(an_event(COMPLETED, session))[0]["userId"] == "first"


def test_a_known_group_gets_a_group_call_and_is_on_every_track() -> None:
    subscription = a_subscription(metadata={"user_id": "u1", "group_id": "g1"})
    calls = World().deliver(an_event(CREATED, subscription))
    assert names(calls) == ["identify", "group", "Subscription Created"]
    assert calls[1]["groupId"] == "g1"
    assert (calls[1]["traits"]["mrr"], calls[1]["traits"]["seats"]) == (20, 1)
    assert {call["context"]["groupId"] for call in calls} == {"g1"}


def test_a_stack_that_no_longer_has_groups_sends_none() -> None:
    """Groups that were known before the setting was emptied went on getting calls, and stood on every track."""
    world, group = World(), {"user_id": "u1", "group_id": "g1"}
    world.deliver(an_event(CREATED, a_subscription(metadata=group)))
    world.settings = World(GROUP_ID_KEYS="").settings
    before = {"items": {"data": [an_item()]}, "quantity": 1}
    two = a_subscription(an_item(quantity=2), metadata=group)
    calls = world.deliver(an_event(UPDATED, two, created=NOW + DAY, previous=before))
    assert names(calls) == ["identify", "Subscription Upgraded"]
    assert not [call for call in calls if "groupId" in call["context"]]
    world.settings = World().settings
    three = a_subscription(an_item(quantity=3), metadata=group)
    before = {"items": {"data": [an_item(quantity=2)]}, "quantity": 2}
    calls = world.deliver(an_event(UPDATED, three, created=NOW + 2 * DAY, previous=before))
    assert calls[1]["traits"]["seats"] == 3


def test_the_stripe_customer_is_sent_as_an_external_id() -> None:
    (call,) = World().deliver(an_event("charge.refunded", a_charge()))
    assert call["context"]["externalIds"] == [
        {"id": "cus_basic", "type": "stripe_customer_id", "collection": "users", "encoding": "none"}
    ]


def test_nothing_is_sent_of_a_customer_who_opted_out_and_the_opt_out_is_stored() -> None:
    world = World()
    world.deliver(an_event(CREATED, a_subscription(metadata={"analytics_opt_out": "true"})))
    world.deliver(an_event("charge.refunded", a_charge()))
    assert world.calls == []
    world.deliver(an_event("customer.updated", a_customer(metadata={"analytics_opt_out": "false"})))
    assert names(world.calls) == ["identify"]


@pytest.mark.parametrize(
    "event",
    [
        an_event(COMPLETED, a_session(metadata={"analytics_opt_out": "true"})),
        an_event(CREATED, a_subscription(metadata={"analytics_opt_out": "1"})),
        an_event("customer.updated", a_customer(metadata={"analytics_opt_out": "Yes"})),
    ],
    ids=["session", "subscription", "customer"],
)
def test_an_opt_out_counts_in_every_place(event: Any) -> None:
    world = World()
    world.deliver(event, an_event("charge.refunded", a_charge()))
    assert world.calls == []


@pytest.mark.parametrize("said", [True, 1, " TRUE "])
def test_an_opt_out_counts_however_it_is_written(said: Any) -> None:
    """A boolean, which no event of Stripe's has but one rebuilt by other tools may, was no opt-out at all."""
    assert World().deliver(an_event(COMPLETED, a_session(metadata={"analytics_opt_out": said}))) == []


def test_an_expanded_subscription_or_customer_names_the_user_too() -> None:
    """Events hold ids in these places; a payload rebuilt from an API answer may hold the objects."""
    customer = a_customer(metadata={"user_id": "u_customer"})
    subscription = a_subscription(metadata={"user_id": "u_subscription"})
    for more, user in (({}, "u_customer"), ({"subscription": subscription}, "u_subscription")):
        (call,) = World().deliver(an_event("charge.refunded", a_charge(customer=customer, **more)))
        assert (call["userId"], call["context"]["externalIds"][0]["id"]) == (user, "cus_basic")


def test_an_invoice_of_before_2023_names_the_user_on_its_subscriptions_line() -> None:
    """The invoice had no subscription_details yet, so its user was unknown though the line said who it is."""
    other = {"type": "invoiceitem", "amount": 100, "metadata": {"user_id": "u_other"}}
    line = {"type": "subscription", "amount": 1900, "metadata": {"user_id": "u1"}, "subscription": "sub_basic"}
    *_, call = World().deliver(an_event("invoice.paid", an_invoice(parent=None, lines={"data": [other, line]})))
    assert call["userId"] == "u1"


def test_space_around_an_id_is_removed_and_space_alone_is_no_id() -> None:
    """A client_reference_id of spaces became a user of that name."""
    blank = an_event(COMPLETED, a_session(client_reference_id="  ", metadata={"user_id": " "}))
    assert ids(World().deliver(blank)[0]) == (None, "cus_basic")
    for named in ({"client_reference_id": " u1 "}, {"metadata": {"user_id": "u1\n"}}):
        assert World().deliver(an_event(COMPLETED, a_session(**named)))[0]["userId"] == "u1"


def test_a_late_old_event_overrides_no_newer_statement() -> None:
    """A late event from before a correction of the user's id, or from before the opt-out, overrode the newer
    statement."""
    old = {"user_id": "u_old", "group_id": "g_old", "consent_Ads": "true"}
    new = {"user_id": "u_new", "group_id": "g_new", "consent_Ads": "false"}
    world = World()
    world.deliver(an_event("customer.updated", a_customer(metadata=new)))
    world.deliver(an_event("customer.created", a_customer(metadata=old), created=NOW - DAY))
    (call,) = world.deliver(an_event("charge.refunded", a_charge()))
    assert (call["userId"], call["context"]["groupId"]) == ("u_new", "g_new")
    assert call["context"]["consent"]["categoryPreferences"] == {"Ads": False}
    world.deliver(an_event("customer.updated", a_customer(metadata={"analytics_opt_out": "true"})))
    late = an_event("customer.updated", a_customer(metadata={"analytics_opt_out": "false"}), created=NOW - DAY)
    assert world.deliver(late) == []


def test_a_guests_refund_has_the_sessions_id_as_user_id_like_the_payment() -> None:
    """Under the policy customer_id the refund went out under the charge's id, another user than the order's."""
    world = World(UNKNOWN_USER_POLICY="customer_id")
    world.deliver(an_event(COMPLETED, a_session(customer=None)))
    (call,) = world.deliver(an_event("charge.refunded", a_charge(customer=None)))
    assert call["userId"] == "cs_test_basic"


def test_consent_in_metadata_is_sent_by_category_and_stored() -> None:
    world = World()
    session = a_session(metadata={"consent_Analytics": "true", "consent_Advertising": "false"})
    world.deliver(an_event(COMPLETED, session), an_event("charge.refunded", a_charge()))
    preferences = [call["context"]["consent"]["categoryPreferences"] for call in world.calls]
    assert preferences == [{"Analytics": True, "Advertising": False}] * len(world.calls)


def test_modes_and_accounts_are_different_people() -> None:
    world = World(CONNECT_EVENTS="accept")
    world.deliver(an_event(COMPLETED, a_session(client_reference_id="u1")))
    others = [
        an_event(CREATED, a_subscription(), livemode=True),
        an_event(CREATED, a_subscription(), account="acct_other"),
    ]
    assert {ids(call) for call in world.deliver(*others)} == {(None, "cus_basic"), (None, "acct_other:cus_basic")}
    assert len({call["messageId"] for call in world.calls}) == len(world.calls)


def test_only_allowed_personal_traits_are_sent() -> None:
    address = {"line1": "1 High St", "line2": None, "city": "Bath", "postal_code": "BA1", "country": "GB"}
    customer = a_customer(phone="+441225000000", address=address)
    default = World().deliver(an_event("customer.created", customer))[0]["traits"]
    assert (default["email"], default["name"]) == ("jo@example.com", "Jo Example")
    assert not default.keys() & {"phone", "address"}
    opened = World(PERSONAL_TRAITS="phone,address").deliver(an_event("customer.created", customer))[0]["traits"]
    assert opened["address"] == {"street": "1 High St", "city": "Bath", "postalCode": "BA1", "country": "GB"}
    assert "email" not in opened


def test_an_email_may_be_hashed() -> None:
    (call,) = World(HASH_EMAIL="true").deliver(an_event("customer.created", a_customer(email="Jo@Example.com ")))
    assert "jo@example.com" not in str(call).lower()
    assert call["traits"]["email_sha256"] == hashlib.sha256(b"jo@example.com").hexdigest()


def test_an_update_of_a_customer_is_sent_only_if_a_trait_changed() -> None:
    world = World()
    world.deliver(an_event("customer.updated", a_customer(), previous={"invoice_prefix": "ABC"}))
    assert world.calls == []
    world.deliver(an_event("customer.updated", a_customer(), previous={"email": "old@example.com"}))
    assert names(world.calls) == ["identify"]


def test_a_deleted_customer_is_sent() -> None:
    assert names(World().deliver(an_event("customer.deleted", a_customer()))) == ["Customer Deleted"]


# --- Connected accounts ---


def test_a_connected_account_cannot_name_the_platforms_users() -> None:
    """The calls of an account with the platform's user id in its own metadata had that user id."""
    world = World(CONNECT_EVENTS="accept")
    named = {"user_id": "u1", "group_id": "g1", "anonymous_id": "browser-1"}
    world.deliver(
        an_event("customer.created", a_customer(metadata=named), account="acct_1"),
        an_event(CREATED, a_subscription(), account="acct_1"),
    )
    assert {ids(call) for call in world.calls} == {("acct_1:u1", "acct_1:browser-1")}
    assert {call["context"]["groupId"] for call in world.calls} == {"acct_1:g1"}
    assert {call["groupId"] for call in world.calls if call["type"] == "group"} == {"acct_1:g1"}
    assert {call["context"]["externalIds"][0]["id"] for call in world.calls} == {"acct_1:cus_basic"}


def test_a_connected_accounts_customer_has_one_id_also_in_the_traits() -> None:
    """The trait `stripe_customer_id` went out without the account, beside an external id of that type which had it."""
    world = World(CONNECT_EVENTS="accept")
    world.deliver(
        an_event(CREATED, a_subscription(), account="acct_1"),
        an_event("customer.updated", a_customer(metadata={"user_id": "u1", "group_id": "g1"}), account="acct_1"),
        an_event("charge.refunded", a_charge(), account="acct_1"),
    )
    traits = [call["traits"] for call in world.calls if call["type"] != "track"]
    assert {call["type"] for call in world.calls} == {"identify", "group", "track"}
    assert {each["stripe_customer_id"] for each in traits} == {"acct_1:cus_basic"}
    for call in world.calls:
        assert '"cus_basic"' not in json.dumps(call), "nowhere without its account"


def test_an_anonymous_history_is_joined_within_its_account() -> None:
    world = World(CONNECT_EVENTS="accept")
    world.deliver(
        an_event(CREATED, a_subscription(), account="acct_1"),
        an_event(COMPLETED, a_session(client_reference_id="u1"), account="acct_1"),
    )
    joining = [call for call in world.calls if call["type"] == "identify" and call.get("userId")]
    assert [ids(call) for call in joining] == [("acct_1:u1", "acct_1:cus_basic")]


def test_ids_of_a_record_of_an_earlier_release_are_the_accounts_own_too() -> None:
    world = World(CONNECT_EVENTS="accept", CONNECT_USERS="platform")
    world.deliver(an_event("customer.created", a_customer(metadata={"user_id": "u1"}), account="acct_1"))
    world.settings = World(CONNECT_EVENTS="accept").settings
    (refund,) = world.deliver(an_event("charge.refunded", a_charge(), account="acct_1"))
    assert ids(refund) == ("acct_1:u1", None)


def test_a_setting_makes_the_accounts_users_the_platforms_own() -> None:
    world = World(CONNECT_EVENTS="accept", CONNECT_USERS="platform")
    (call,) = world.deliver(an_event("customer.created", a_customer(metadata={"user_id": "u1"}), account="acct_1"))
    assert ids(call) == ("u1", "cus_basic")


# --- Consent that Checkout asks for ---


@pytest.mark.parametrize(
    ("session", "given"),
    [
        ({"consent": {"promotions": "opt_in", "terms_of_service": "accepted"}}, {"Ads": True, "Terms": True}),
        ({"consent": {"promotions": "opt_out", "terms_of_service": None}}, {"Ads": False}),
        ({"consent": None, "consent_collection": {"promotions": "auto", "terms_of_service": "none"}}, {}),
        (
            {"consent": None, "consent_collection": {"terms_of_service": "required"}, "status": "complete"},
            {"Terms": True},
        ),
        ({"consent": None, "consent_collection": {"terms_of_service": "required"}, "status": "open"}, {}),
    ],
    ids=["both", "no promotions", "not asked", "required to complete", "not completed"],
)
def test_checkouts_consents_are_sent_under_the_categories_of_the_setting(session: Any, given: dict[str, bool]) -> None:
    world = World(CHECKOUT_CONSENT='{"promotions": "Ads", "terms_of_service": "Terms"}')
    for call in world.deliver(an_event(COMPLETED, a_session(**session))):
        assert call["context"].get("consent", {}).get("categoryPreferences", {}) == given


def test_checkouts_consents_are_not_sent_unless_asked_for() -> None:
    session = a_session(consent={"promotions": "opt_in", "terms_of_service": "accepted"})
    assert not any("consent" in call["context"] for call in World().deliver(an_event(COMPLETED, session)))


def test_what_went_back_of_a_charge_without_an_intent_has_the_id_of_the_charge() -> None:
    """As the event of the charge itself has it, which may come later."""
    refund = a_refund(payment_intent=None, charge="ch_old")
    (call,) = World().deliver(an_event("refund.created", refund))
    assert ids(call) == (None, "ch_old")
