"""What Stripe's lists show of the sample events, by which the local stack is audited."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from stripe_to_segment.auditing.findings import Kind
from stripe_to_segment.stripe_api.lists import Lists, Part
from stripe_to_segment.stripe_api.requests import Pace
from stripe_to_segment.stripe_side.event import event_from
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import ObjectLists, StripeStandIn
from stripe_to_segment_tools.samples.files import freshen, samples
from stripe_to_segment_tools.samples.stripe_lists import objects_after
from tests.simulator.test_audit import audited
from tests.unit.worlds import World

NOW = int(time.time())


def sample_events() -> list[dict[str, Any]]:
    return freshen([sample.event for sample in samples()], NOW, seed="samples")


def test_the_samples_audit_clean() -> None:
    events, world = sample_events(), World()
    world.now = NOW + 5
    world.deliver(*map(event_from, events))
    store: Any = world.store
    report = audited(objects_after(events), store, world.settings, NOW + 10)
    assert report.findings == []
    kinds = Counter(str(kind) for (kind, _), row in report.rows.items() if row.stripe)
    assert set(kinds) == {"payments", "refunds", "disputes", "mrr", "live subscriptions"}


def test_the_lists_have_each_object_once_as_it_is_in_the_end() -> None:
    events = sample_events()
    listed = objects_after(events)
    found = {one["id"]: one for one in listed}
    assert len(found) == len(listed)
    ended = next(event["data"]["object"] for event in events if event["type"] == "customer.subscription.deleted")
    assert found[ended["id"]]["status"] == "canceled"
    assert all(isinstance(one["created"], int) for one in found.values())
    kinds = Counter(one["object"] for one in found.values())
    assert kinds.keys() >= {"customer", "subscription", "invoice", "checkout.session", "payment_intent", "refund"}


def test_the_lists_show_the_discounts_of_a_subscription_with_their_coupons() -> None:
    """They were named by their ids, so Stripe's mrr was unknown, and the audit took the record's word for it."""
    listed = objects_after(sample_events())
    found = [discount for one in listed if one["object"] == "subscription" for discount in one["discounts"]]
    assert found
    assert all(discount["source"]["coupon"]["percent_off"] for discount in found)
    store: Any = World().store
    report = audited(listed, store, World().settings, NOW + 10)
    assert report.row(Kind.MRR, "eur").stripe == 14_400


def test_the_stand_in_for_stripe_lists_the_samples_objects() -> None:
    with StripeStandIn(objects=ObjectLists(objects_after(sample_events()))) as stripe:
        lists = Lists("rk_test_local", stripe.url, Pace(0, pause=lambda _: None))
        page, more = lists.page(Part("invoice", 0, NOW + 1))
        assert page
        assert not more
        assert lists.unreadable(["refund", "dispute"]) == []
