"""Segment ends with one user, whether the subscription or the checkout that names its user arrives first."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.samples.files import body_of, freshen, sample, sqs_batch

if TYPE_CHECKING:
    from tests.stack.conftest import Local

pytestmark = pytest.mark.stack

SUBSCRIPTION, CHECKOUT = "customer.subscription.created.active", "checkout.session.completed.subscription"
USER = "user_5177"


def view_of(local: Local) -> dict[str, Any]:
    """The user's profile in a destination that merges profiles by identify: ids, tracks, traits, groups."""
    calls = [kept.call for kept in local.segment.record.calls]
    ids = {USER} | {call["anonymousId"] for call in calls if call.get("userId") == USER and "anonymousId" in call}
    own = [call for call in calls if {call.get("userId"), call.get("anonymousId")} & ids]
    traits: dict[str, Any] = {}
    for call in own:
        traits |= call["traits"] if call["type"] == "identify" else {}
    return {
        "strangers": len(calls) - len(own),
        "joined": sum(call["type"] == "identify" and {"userId", "anonymousId"} <= call.keys() for call in own),
        "facts": sorted(call["event"] for call in own if call["type"] == "track"),
        "groups": sorted({call["groupId"] for call in own if call["type"] == "group"}),
        "traits": {name: traits[name] for name in ("plan", "mrr", "subscription_status", "email", "name")},
    }


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in two batches"])
@pytest.mark.parametrize("names", [(SUBSCRIPTION, CHECKOUT), (CHECKOUT, SUBSCRIPTION)], ids=["created first", "last"])
def test_segment_sees_one_user_in_either_order_and_any_batch(
    local: Local, names: tuple[str, str], *, together: bool
) -> None:
    events = freshen([sample(name).event for name in names], int(time.time()) - 3600, seed=uuid.uuid4().hex)
    bodies = [body_of(event) for event in events]
    for batch in [bodies] if together else [[body] for body in bodies]:
        arn = "arn:aws:sqs:us-east-1:000000000000:events"
        request = sqs_batch(batch, arn, int(time.time()))
        answer = local.stack.clients.functions.invoke(
            FunctionName=local.stack.deliver_function, Payload=json.dumps(request)
        )
        assert json.load(answer["Payload"]) == {"batchItemFailures": []}
    assert view_of(local) == {
        "strangers": 0,
        "joined": 1,
        "facts": ["Checkout Completed", "Subscription Created"],
        "groups": ["team_77"],
        "traits": {
            "plan": "team_yearly",
            # The subscription names a discount whose amount is not known yet.
            "mrr": None,
            "subscription_status": "active",
            "email": "buchhaltung@example.com",
            "name": "Nordwind Verlag GmbH",
        },
    }
