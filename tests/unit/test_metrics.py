"""The metrics of alarms and dashboard, as CloudWatch gets them, and when each is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.batch import Delivery
from stripe_to_segment.delivery.record import Record, RecordOutcome, Status
from stripe_to_segment.delivery.report import report
from stripe_to_segment.observability import observed
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.memory_store import MemoryStore
from stripe_to_segment_tools.samples.files import api_gateway_request
from tests.unit.edges import SecretsManager, Spoken, Sqs, a_signing_secret, load_function
from tests.unit.shapes import DAY, NOW, a_customer, a_price, a_subscription, an_event, an_invoice, an_item

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stripe_to_segment.segment_side.calls import Call

SECRET = a_signing_secret("test")
EVENT = an_event("customer.updated", a_customer())
WRITES_A_METRIC = """
from stripe_to_segment.observability import count, observed

@observed
def handler(_event, _context):
    count("EventsDelivered", 3)

handler({}, None)
"""


def reported(*outcomes: RecordOutcome) -> None:
    @observed
    def handler(_event: object, _context: object) -> None:
        report(outcomes, NOW)

    handler({}, None)


def waiting(seconds: float | None, status: Status = Status.RETRY, reason: str = "http_500") -> RecordOutcome:
    queued_at = 0 if seconds is None else NOW - seconds
    return RecordOutcome(Record("record", "{}", queued_at=queued_at), status, reason, event=EVENT)


def test_a_metric_has_one_dimension_the_service() -> None:
    """Alarms and dashboard name exactly this; a dimension more, and they would watch nothing."""
    environment = os.environ | {
        "POWERTOOLS_SERVICE_NAME": "shop-deliver",
        "POWERTOOLS_METRICS_NAMESPACE": "StripeToSegment",
    }
    command = [sys.executable, "-c", WRITES_A_METRIC]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    line = json.loads(done.stdout)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "StripeToSegment"
    assert directive["Dimensions"] == [["service"]]
    assert [metric["Name"] for metric in directive["Metrics"]] == ["EventsDelivered"]
    assert (line["service"], line["EventsDelivered"]) == ("shop-deliver", [3.0])


# --- At the door ---


def knock(patch: pytest.MonkeyPatch, request: dict[str, Any], secret: str | None = SECRET) -> None:
    patch.setenv("SIGNING_SECRET_ARN", "arn:secret")
    patch.setenv("EVENTS_QUEUE_URL", "https://sqs/events")
    known = None if secret is None else json.dumps({"stripe_signing_secrets": [secret]})
    clients = {"sqs": Sqs(), "secretsmanager": SecretsManager(known)}
    patch.setattr("stripe_to_segment.aws.client", clients.__getitem__)
    load_function("receive").handler(request, None)


def request(secret: str = SECRET, age: int = 0) -> dict[str, Any]:
    return api_gateway_request(json.dumps(EVENT.body).encode(), secret, int(time.time()) - age)


@pytest.mark.parametrize(
    "suspect", [{"secret": a_signing_secret("other")}, {"age": 400}, {"age": -400}], ids=["wrong", "stale", "future"]
)
def test_a_signature_that_could_be_stripes_is_counted_for_the_alarm(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch, suspect: dict[str, Any]
) -> None:
    knock(monkeypatch, request(**suspect))
    assert spoken.metrics == {"RequestsRefused": 1, "SignaturesRefused": 1}


@pytest.mark.parametrize(
    "noise", [{"headers": {}}, {"headers": {"stripe-signature": "v0=1"}}, {"isBase64Encoded": True}]
)
def test_a_request_without_a_signature_triggers_no_alarm(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch, noise: dict[str, Any]
) -> None:
    knock(monkeypatch, {**request(), **noise})
    assert spoken.metrics == {"RequestsRefused": 1}


def test_a_line_names_the_source_of_the_users_id_unless_the_user_is_remembered(spoken: Spoken) -> None:
    """Each byte of a line is paid for with every event, and most users are remembered."""
    for source in ("metadata", "remembered", "unknown"):
        reported(RecordOutcome(Record("record", "{}"), Status.DELIVERED, event=EVENT, identity_source=source))
    assert [line.get("identity", "absent") for line in spoken.lines] == ["metadata", "absent", "unknown"]
    assert spoken.metrics["Identity.remembered"] == 1


def test_a_secret_that_cannot_be_read_is_counted_as_not_ready(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    knock(monkeypatch, request(), secret=None)
    assert spoken.metrics == {"NotReady": 1}


# --- What waits ---


def test_the_longest_wait_of_a_batch_is_measured_since_the_event_was_queued(spoken: Spoken) -> None:
    """SQS's own age leaves out what was received three times, so in an outage it would say nothing of the oldest."""
    reported(waiting(60), waiting(7200), waiting(30), waiting(None))
    assert spoken.metrics["LongestWait"] == 7200


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.IGNORED, Status.WAITING, Status.DEAD])
def test_only_what_is_tried_again_waits(spoken: Spoken, status: Status) -> None:
    reported(waiting(7200, status, ""))
    assert "LongestWait" not in spoken.metrics


def test_a_secret_that_deliver_cannot_read_triggers_the_write_keys_alarm(spoken: Spoken) -> None:
    reported(waiting(1, reason="bad_secret"))
    assert spoken.metrics["WriteKeyRejected"] == 1


# --- What the event did not state ---


def delivered(*bodies: dict[str, Any]) -> None:
    def send(calls: Sequence[Call], *, livemode: bool) -> Mapping[str, Answer]:
        del livemode
        return {call.message_id: Answer(Meaning.ACCEPTED) for call in calls}

    delivery = Delivery(
        Settings(identity_hold_seconds=0, payment_hold_seconds=0), MemoryStore(), send, lambda call, _: call
    )
    records = [Record(str(number), json.dumps(body)) for number, body in enumerate(bodies)]
    reported(*delivery.deliver(records, NOW))


def test_an_event_that_lacks_an_expected_number_is_counted_and_named(spoken: Spoken) -> None:
    subscription = a_subscription()
    price = subscription["items"]["data"][0]["price"]
    price.update(unit_amount=None, unit_amount_decimal=None)
    subscription["items"]["data"][0].pop("plan", None)
    delivered(an_event("customer.subscription.created", subscription).body)
    assert spoken.metrics["UnknownShapes"] == 1
    assert spoken.lines[0]["unknown"] == ["mrr"]


@pytest.mark.parametrize(
    "body",
    [
        a_subscription(an_item(a_price(None, billing_scheme="tiered", id="price_tiers"))),
        a_subscription(currency="eur"),
        a_subscription(items={"object": "list", "data": [an_item()], "has_more": True}),
    ],
    ids=["tiered", "in another currency", "more items than are listed"],
)
def test_a_price_that_no_webhook_states_is_no_unknown_shape(spoken: Spoken, body: dict[str, Any]) -> None:
    """An alarm on unknown shapes would ring at each such shop, always; and it did at those with several currencies."""
    delivered(an_event("customer.subscription.created", body).body)
    assert "UnknownShapes" not in spoken.metrics
    assert spoken.metrics["UnknownPrices"] == 1
    assert spoken.lines[0]["unknown"] == ["price"]


def test_a_trial_that_converts_before_its_end_is_known_is_no_unknown_shape(spoken: Spoken) -> None:
    """Trial Converted has no mrr then, which rang as an unknown shape where the invoice overtook the subscription."""
    trial = {"status": "trialing", "trial_start": NOW - 14 * DAY, "trial_end": NOW}
    delivered(
        an_event("customer.subscription.created", a_subscription(**trial), created=NOW - 14 * DAY).body,
        an_event("invoice.paid", an_invoice(billing_reason="subscription_cycle"), created=NOW).body,
    )
    assert "Trial Converted" in spoken.lines[1]["calls"]
    assert "UnknownShapes" not in spoken.metrics


def test_a_discount_with_only_an_id_is_counted_separately(spoken: Spoken) -> None:
    """It rang as an unknown shape, month by month, and nothing was wrong with the shape."""
    subscription = a_subscription(discounts=["di_older_than_the_stack"])
    delivered(an_event("customer.subscription.created", subscription).body)
    assert spoken.metrics["UnknownDiscounts"] == 1
    assert "UnknownShapes" not in spoken.metrics
    assert spoken.lines[0]["unknown"] == ["discount"]


def test_an_event_with_all_its_numbers_is_no_unknown_shape(spoken: Spoken) -> None:
    delivered(an_event("customer.subscription.created", a_subscription()).body, EVENT.body)
    assert "UnknownShapes" not in spoken.metrics
    assert all("unknown" not in line for line in spoken.lines)
