"""The reconcile function as Lambda runs it: it reads Stripe's list, queues missing events and saves a bookmark."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.encoding import FORMAT
from tests.unit.edges import TABLE, Spoken, load_function, refusal
from tests.unit.scheduled import Context, load_scheduled
from tests.unit.shapes import DAY, a_customer, an_event
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World

if TYPE_CHECKING:
    from stripe_to_segment.stripe_side.event import StripeEvent
    from tests.unit.a_stack import Deployed

pytestmark = pytest.mark.usefixtures("spoken")

PRIVATE = "DoNotLogThis"


@pytest.fixture
def app(here: Deployed, api: StripeList, monkeypatch: pytest.MonkeyPatch) -> Any:
    # The stack is two months old.
    return load_scheduled("reconcile", here, api, lambda: int(time.time()) - 60 * DAY, monkeypatch)


def customers(*days_ago: float) -> list[StripeEvent]:
    now = int(time.time())
    return [
        an_event("customer.created", a_customer(id=f"cus_{days}", name=PRIVATE), created=int(now - days * DAY))
        for days in days_ago
    ]


def queued(here: Deployed) -> list[str]:
    return sorted(json.loads(body)["id"] for body in here.events)


def test_a_bookmark_that_cannot_be_read_stops_the_run_and_triggers_the_alarm(
    app: Any, here: Deployed, api: StripeList, spoken: Spoken
) -> None:
    """It ended the function with an error, and a newer release's was read as if it were ours."""
    api.happened(*customers(3), delivered=False)
    for spoiled in ({"format": {"N": str(FORMAT + 1)}}, {"as_of": {"S": "today"}}):
        DynamoStore(here.dynamodb, TABLE).put_bookmark("own:test", 1, 1)
        (item,) = here.dynamodb.scan(TableName=TABLE)["Items"]
        here.dynamodb.put_item(TableName=TABLE, Item=item | spoiled)
        assert app.handler({}, Context())["outcome"] == "not_ready"
        here.dynamodb.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
    assert queued(here) == []
    assert spoken.metrics["ReconcileNotReady"] == 2


def test_what_stripe_could_not_deliver_is_queued_and_counted(
    app: Any, here: Deployed, api: StripeList, spoken: Spoken
) -> None:
    missed, told, under_way = customers(3, 2, 0)
    World(DynamoStore(here.dynamodb, TABLE)).deliver(told)
    api.happened(told)
    api.happened(missed, under_way, delivered=False)
    summary = app.handler({}, Context())
    assert (summary["outcome"], summary["scope"]) == ("done", "own:test")
    assert (summary["listed"], summary["queued"]) == (2, 1)
    assert queued(here) == [missed.id], "what is younger than an hour may still come by itself"
    assert spoken.metrics["EventsReconciled"] == 1
    assert spoken.metrics["EventsCompared"] == 2
    assert missed.id in spoken.text
    assert PRIVATE not in spoken.text
    assert KEY not in spoken.text


def test_what_happened_while_the_endpoint_was_disabled_is_found(app: Any, here: Deployed, api: StripeList) -> None:
    """Stripe never sends it, and does not list it among what it could not deliver, which was all that was asked for."""
    (missed,) = customers(3)
    api.happened(missed)
    assert app.handler({}, Context())["queued"] == 1
    assert queued(here) == [missed.id]


def test_the_first_run_begins_when_the_stack_began(
    app: Any, here: Deployed, api: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new stack would have sent the last thirty days of the whole business, mails to customers included."""
    before, since = customers(20, 3)
    api.happened(before, since)
    monkeypatch.setattr(DynamoStore, "began", lambda _: int(time.time()) - 5 * DAY)
    assert app.handler({}, Context())["queued"] == 1
    assert queued(here) == [since.id]


def test_when_the_stack_began_is_when_its_table_was_made(here: Deployed) -> None:
    assert abs(DynamoStore(here.dynamodb, TABLE).began() - time.time()) < 3600


def test_an_event_in_the_queues_is_not_missing(app: Any, here: Deployed, api: StripeList) -> None:
    """It waits in the queue, or is a dead letter: queued once more it would be delivered, or dead-lettered, twice."""
    waits, refused, missed = customers(3, 2, 1)
    world = World(DynamoStore(here.dynamodb, TABLE))
    for event, verdict in ((waits, Meaning.RETRY), (refused, Meaning.REFUSED)):
        world.answer = lambda _, verdict=verdict: Answer(verdict, "http")  # type: ignore[misc]
        world.batch(event)
    api.happened(waits, refused, missed)
    app.handler({}, Context())
    assert queued(here) == [missed.id]


def test_while_the_endpoint_is_down_nothing_is_compared(app: Any, here: Deployed, api: StripeList) -> None:
    api.happened(*customers(1))
    down = Circuit(failures=3, until=int(time.time()) + 60)
    DynamoStore(here.dynamodb, TABLE).put_circuit("test", down, Circuit(), time.time())
    assert app.handler({}, Context()) == {"outcome": "endpoint_down"}
    assert (api.asked, queued(here)) == ([], [])


def test_the_requests_of_a_run_to_stripe_are_limited(
    app: Any, api: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run went on to the end of the slice that it was in, however often that took it to ask."""
    api.happened(*customers(*(days / 2 for days in range(1, 4))))
    monkeypatch.setattr(DynamoStore, "began", lambda _: int(time.time()) - 2 * DAY)
    monkeypatch.setattr(app, "MOST_REQUESTS", 7)
    asked: list[int] = []
    while app.handler({}, Context())["outcome"] == "to_be_continued":
        asked.append(len(api.asked) - sum(asked))
    assert len(asked) > 1
    assert max(asked) == 7, "a slice that was begun is left to the next run"


def test_the_next_run_goes_on_where_this_one_stopped(app: Any, here: Deployed, api: StripeList) -> None:
    """What is hopeless would otherwise be queued by every run, and dead-lettered by deliver each time."""
    api.happened(*customers(20, 10, 1), delivered=False)
    first = app.handler({}, Context())
    second = app.handler({}, Context())
    assert (first["queued"], second["queued"]) == (3, 0)
    assert second["since"] == first["until"]
    assert len(queued(here)) == 3


def test_a_run_without_time_left_leaves_the_rest_to_the_next(app: Any, here: Deployed, api: StripeList) -> None:
    events = customers(20, 10, 1)
    api.happened(*events, delivered=False)
    outcomes = [app.handler({}, Context(seconds=30))["outcome"] for _ in range(5)]
    assert outcomes == ["to_be_continued"] * 5
    assert app.handler({}, Context())["outcome"] == "done"
    assert queued(here) == sorted(event.id for event in events)


def test_a_time_that_stripe_lists_no_more_is_reported(app: Any, here: Deployed, spoken: Spoken) -> None:
    """A run that was further behind than Stripe's thirty days left the rest out, and nobody heard of it."""
    behind = int(time.time()) - 40 * DAY
    DynamoStore(here.dynamodb, TABLE).put_bookmark("own:test", behind, time.time())
    assert app.handler({}, Context())["outcome"] == "done"
    (line,) = [line for line in spoken.lines if line["level"] == "ERROR"]
    assert (line["since"], line["until"] > behind + 9 * DAY) == (behind, True)
    assert spoken.metrics["ReconcileNotReady"] == 1
    app.handler({}, Context())
    assert spoken.metrics["ReconcileNotReady"] == 1, "once is enough"


def test_without_a_key_it_says_what_is_missing(app: Any, here: Deployed, api: StripeList, spoken: Spoken) -> None:
    here.put_keys(stripe_api_key="")
    assert app.handler({}, Context()) == {"outcome": "not_ready"}
    (line,) = spoken.lines
    assert line["level"] == "ERROR"
    assert "stripe_api_key" in line["message"]
    assert spoken.metrics == {"EventsReconciled": 0, "ReconcileNotReady": 1}
    assert api.asked == []


def test_no_key_is_sent_to_an_untrusted_address(
    here: Deployed, api: StripeList, monkeypatch: pytest.MonkeyPatch, app: Any
) -> None:
    """Whoever could change one parameter of the stack got its Stripe API key."""
    monkeypatch.setenv("TRUST_STRIPE_API_BASE", "false")
    module = load_function("reconcile")
    with pytest.raises(ConfigurationError, match="TrustStripeApiBase=true"):
        module.handler({}, Context())
    assert api.requests == []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
    assert module.handler({}, Context())["outcome"] == "done", "here, where AWS is on this machine too"
    assert app is not module
    assert here.events == []


def test_a_key_that_was_not_moved_yet_is_used(
    app: Any, here: Deployed, api: StripeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.put_keys(stripe_api_key="")
    here.put_signing(stripe_signing_secrets=[], stripe_api_key=KEY)
    assert app.handler({}, Context()) == {"outcome": "not_ready"}
    monkeypatch.setenv("FORMER_SECRET_ARN", here.signing_arn)
    api.happened(*customers(2), delivered=False)
    assert load_function("reconcile").handler({}, Context())["queued"] == 1


def test_a_key_that_stripe_refuses_fails_the_run_without_showing_the_key(app: Any, api: StripeList) -> None:
    api.key = "rk_test_another"
    with pytest.raises(ConfigurationError) as caught:
        app.handler({}, Context())
    assert KEY not in str(caught.value)


def test_a_queue_that_does_not_answer_leaves_the_slice_to_the_next_run(
    app: Any, here: Deployed, api: StripeList
) -> None:
    api.happened(*customers(2), delivered=False)

    def fault(operation: str, _: dict[str, Any]) -> None:
        if operation == "send_message_batch":
            raise refusal("ServiceUnavailable", operation)

    here.fault = fault
    with pytest.raises(Exception, match="ServiceUnavailable"):
        app.handler({}, Context())
    here.fault = lambda *_: None
    assert app.handler({}, Context())["queued"] == 1
    bookmark = DynamoStore(here.dynamodb, TABLE).bookmark("own:test")
    assert bookmark is not None
    assert bookmark > time.time() - 3700
