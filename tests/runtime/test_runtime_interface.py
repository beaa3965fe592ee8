"""The built functions in AWS's own runtime: the handler names, the layers and the runtime loop are right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment_tools.lambda_runtime.built_function import BUILT_TEMPLATE
from stripe_to_segment_tools.lambda_runtime.invoke import Invocation, invoke
from stripe_to_segment_tools.samples.files import EVENTS, sample

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.built, pytest.mark.emulator]

REQUEST = EVENTS / "requests" / "api-gateway-request.json"
BATCH = EVENTS / "requests" / "sqs-batch.json"


@pytest.fixture(autouse=True)
def build() -> Path:
    if not BUILT_TEMPLATE.is_file():
        pytest.fail(f"{BUILT_TEMPLATE} is missing: run `make build`, or `make test`, which builds first")
    return BUILT_TEMPLATE


def test_receive_answers_200_and_queues_the_body_to_the_byte() -> None:
    each = sample("checkout.session.completed.subscription")
    done = invoke("receive", each.body)
    assert done.result.answer["statusCode"] == 200, done.result.log
    assert json.loads(done.result.answer["body"]) == {"received": True}
    assert done.queued == [each.body.decode()]
    assert done.result.init_milliseconds


def test_receive_takes_the_sample_request() -> None:
    done = invoke("receive", REQUEST.read_bytes())
    assert done.result.answer["statusCode"] == 200, done.result.log
    assert len(done.queued) == 1


def test_receive_refuses_a_forged_request_and_queues_nothing() -> None:
    request = json.loads(REQUEST.read_bytes())
    request["body"] = request["body"].replace("paid", "free")
    done = invoke("receive", json.dumps(request).encode())
    assert done.result.answer["statusCode"] == 400, done.result.log
    assert done.queued == []


def test_deliver_sends_the_sample_batch_to_segment() -> None:
    done = invoke("deliver", BATCH.read_bytes())
    assert done.result.answer == {"batchItemFailures": []}, done.result.log
    assert left_behind(done) == []
    assert {"Order Completed", "Subscription Created"} <= {call.get("event") for call in done.calls}
    assert {call["userId"] for call in done.calls if "userId" in call} == {"user_8240"}
    assert done.violations == []


def test_deliver_in_log_mode_sends_nothing() -> None:
    done = invoke("deliver", BATCH.read_bytes(), settings={"DELIVERY_MODE": "log"})
    assert done.result.answer == {"batchItemFailures": []}, done.result.log
    assert done.calls == []


def test_audit_compares_the_objects_of_the_events_with_an_empty_table() -> None:
    """An account with a payment that this stack has never heard of."""
    done = invoke("audit", (EVENTS / "invoice.paid.manual.json").read_bytes())
    assert not done.result.failed, done.result.log
    assert done.result.answer["outcome"] == "done"
    assert (done.result.answer["customers"], done.result.answer["unexplained"]) == (0, 0)
    assert done.result.answer["explained"] >= 1
    assert left_behind(done) == []


def left_behind(done: Invocation) -> list[object]:
    return [*done.queued, *done.dead_letters]
