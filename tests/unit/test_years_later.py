"""What events ask of the StateTable months and years later, when DynamoDB has deleted what has expired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.state.dynamodb import DynamoStore
from tests.unit.edges import TABLE
from tests.unit.shapes import (
    DAY,
    NOW,
    a_dispute,
    a_refund,
    a_session,
    a_subscription,
    an_event,
    an_invoice,
    an_item,
)
from tests.unit.worlds import World, lifetime_value, shown, told

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent

USER = {"user_id": "user_1"}
JOINED = {
    "id": "inpay_1",
    "object": "invoice_payment",
    "amount_paid": 2000,
    "currency": "usd",
    "invoice": "in_basic",
    "is_default": True,
    "payment": {"type": "payment_intent", "payment_intent": "pi_basic"},
    "status": "paid",
}


class Years(World):
    """A world with a StateTable whose items expire."""

    def __init__(self, table: Any) -> None:
        super().__init__(DynamoStore(table, TABLE, clock=lambda: self.now))
        self._table = table

    def on(self, day: int, kind: str, body: dict[str, Any], **more: Any) -> None:
        """Deliver an event of a day."""
        self.now = NOW + day * DAY + 60
        for item in self._table.scan(TableName=TABLE)["Items"]:
            if "expires_at" in item and int(item["expires_at"]["N"]) < self.now:
                self._table.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
        event: StripeEvent = an_event(kind, body, created=NOW + day * DAY, **more)
        self.deliver(event)


@pytest.fixture
def world(table: Any) -> Years:
    """A world on an empty table."""
    return Years(table)


def subscribed(number: int = 1, *, since: int = 0, **more: Any) -> dict[str, Any]:
    """A subscription that began on a day; its customer has the same number."""
    began = NOW + since * DAY
    return a_subscription(
        **{"id": f"sub_{number}", "customer": f"cus_{number}", "created": began, "start_date": began, **more}
    )


def paid_yearly(world: Years) -> None:
    """A subscriber pays for a year."""
    world.on(0, "customer.subscription.created", subscribed(metadata=USER))
    world.on(0, "invoice.paid", an_invoice(customer="cus_1"))
    world.on(0, "invoice_payment.paid", JOINED)


def test_a_plan_has_its_name_as_long_as_it_is_sold(world: Years) -> None:
    """400 days after the last event of its product each plan was called by the id of its price, in every trait."""
    world.on(0, "product.created", {"id": "prod_basic", "object": "product", "name": "Pro", "metadata": {}})
    world.on(1, "customer.subscription.created", subscribed(since=1, metadata=USER))
    before = {"items": {"data": [an_item()]}, "quantity": 1}
    world.on(1500, "customer.subscription.updated", subscribed(items={"data": [an_item(quantity=2)]}), previous=before)
    assert shown(world, "plan") == "Pro"


def test_a_coupon_lowers_the_mrr_as_long_as_it_is_given(world: Years) -> None:
    """400 days after the last event of a coupon the subscriptions that got it had no mrr any more."""
    coupon = {"id": "HALF", "object": "coupon", "percent_off": 50, "duration": "forever", "metadata": {}}
    world.on(0, "coupon.created", coupon)
    world.on(1500, "customer.subscription.created", subscribed(since=1500, metadata=USER, discounts=["di_1"]))
    source = {"type": "coupon", "coupon": "HALF"}
    discount = {"id": "di_1", "object": "discount", "customer": "cus_1", "subscription": "sub_1", "source": source}
    world.on(1500, "customer.discount.created", discount | {"start": NOW, "end": None})
    assert shown(world) == 10


def test_a_lifetime_is_longer_than_a_year(world: Years) -> None:
    """Whoever bought again after 400 days was worth what the second purchase cost."""
    world.on(0, "checkout.session.completed", a_session(metadata=USER))
    world.on(700, "checkout.session.completed", a_session(id="cs_2", payment_intent="pi_2"))
    assert lifetime_value(world) == 100


def test_a_users_other_customer_counts_after_a_year(world: Years) -> None:
    world.on(0, "checkout.session.completed", a_session(customer="cus_1", metadata=USER))
    world.on(700, "checkout.session.completed", a_session(id="cs_2", payment_intent="pi_2", metadata=USER))
    assert lifetime_value(world) == 100


def test_a_subscriber_who_returns_after_two_years_is_a_reactivation_of_the_same_user(world: Years) -> None:
    """After 400 days the user was unknown, and the subscription that of a new customer."""
    world.on(0, "customer.subscription.created", subscribed(metadata=USER))
    world.on(30, "customer.subscription.deleted", subscribed(status="canceled", ended_at=NOW + 30 * DAY))
    world.on(760, "customer.subscription.created", subscribed(since=760, id="sub_2"))
    assert told(world, "Subscription Created")[-1]["mrr_movement"] == "reactivation"
    assert world.calls[-1]["userId"] == "user_1"


def test_a_refund_after_the_renewal_of_a_yearly_plan_finds_its_order(world: Years) -> None:
    """A refund names no customer. After 400 days it was that of an unknown payment of nobody."""
    paid_yearly(world)
    world.on(410, "refund.created", a_refund(amount=2000))
    refund = told(world, "Order Refunded")[-1]
    assert (refund["order_id"], refund["of_known_payment"], refund["revenue_refunded"]) == ("in_basic", True, 20)
    assert lifetime_value(world) == 0


def test_a_dispute_that_is_won_after_two_years_gives_its_customer_the_money_back(world: Years) -> None:
    """The order had expired, so the user was worth less for good, and the dispute was won by nobody."""
    paid_yearly(world)
    gone, back = ({"id": f"txn_{at}", "amount": at, "currency": "usd", "net": at} for at in (-2000, 2000))
    world.on(540, "charge.dispute.created", a_dispute(amount=2000, balance_transactions=[gone]))
    world.on(540, "charge.dispute.funds_withdrawn", a_dispute(amount=2000, balance_transactions=[gone]))
    assert lifetime_value(world) == 0
    won = a_dispute(amount=2000, status="won", balance_transactions=[gone, back])
    world.on(905, "charge.dispute.funds_reinstated", won)
    world.on(905, "charge.dispute.closed", won)
    assert told(world, "Dispute Won")[-1]["order_id"] == "in_basic"
    assert lifetime_value(world) == 20
    assert world.calls[-1]["userId"] == "user_1"
