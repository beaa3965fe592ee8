"""A thin event is verified and queued as it is, read from the Stripe API by `deliver`, and mapped like its snapshot."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.delivery.circuit_breaker import Pause
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.observability import metrics
from stripe_to_segment.receiving.examine import examine
from stripe_to_segment.secrets import SigningSecrets
from stripe_to_segment.segment_side.answers import Answer, Meaning
from stripe_to_segment.settings import settings_from
from stripe_to_segment.stripe_api.thin_events import ThinEventReader
from stripe_to_segment.stripe_side.thin import ThinEvent, Unread, read_event
from stripe_to_segment_tools.samples.signing import sign
from tests.unit.edges import Endpoint, a_signing_secret, hanging, say, speaking
from tests.unit.shapes import NOW, a_customer, a_price, a_subscription, an_event, an_invoice, an_item
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

    from stripe_to_segment.stripe_side.event import StripeEvent

SECRET = a_signing_secret("thin")
UPDATED = "customer.subscription.updated"
CREATED_AT = "2026-11-18T11:06:40.123Z"


def thin(kind: str = "v1.invoice.paid", **more: Any) -> dict[str, Any]:
    """A thin event as Stripe posts it."""
    body = {
        "id": "evt_test_thin1",
        "object": "v2.core.event",
        "type": kind,
        "livemode": False,
        "created": CREATED_AT,
        "context": None,
        "related_object": {"id": "in_basic", "type": "invoice", "url": "/v1/invoices/in_basic"},
        "reason": None,
    }
    return body | more


class Api(Endpoint):
    """The Stripe API with these objects; `failures` are answered first, one status for each request.

    It answers nothing while it is not `awake`.
    """

    def __init__(self) -> None:
        super().__init__(self._tell)
        self.objects: dict[str, Any] = {}
        self.failures: list[int] = []
        self.awake = threading.Event()
        self.awake.set()

    def _tell(self, handler: BaseHTTPRequestHandler) -> None:
        self.awake.wait(60.0)
        status = self.failures.pop(0) if self.failures else 200 if handler.path in self.objects else 404
        error = {"error": {"type": "invalid_request_error", "message": "jo@example.com"}}
        say(status, json.dumps(self.objects[handler.path] if status == 200 else error).encode())(handler)

    def has(self, notice: dict[str, Any], snapshot: StripeEvent | None = None, **more: Any) -> None:
        """The API has a thin event, and its snapshot."""
        self.objects[f"/v2/core/events/{notice['id']}"] = (
            notice | {"snapshot_event": None if snapshot is None else snapshot.id} | more
        )
        if snapshot is not None:
            self.objects[f"/v1/events/{snapshot.id}"] = snapshot.body

    def reader(self, key: str = "rk_test_1") -> ThinEventReader:
        return ThinEventReader(lambda: key, self.url)

    @property
    def asked(self) -> list[tuple[str, str | None]]:
        """Each request's path and context."""
        return [(request.path, request.headers.get("stripe-context")) for request in self.requests]


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as running:
        yield running


@pytest.fixture
def world(api: Api) -> World:
    world = World()
    world.thin_reader = api.reader()
    return world


def knock(body: dict[str, Any], secrets: SigningSecrets | None = None, given: dict[str, str] | None = None) -> Any:
    raw, now = json.dumps(body).encode(), time.time()
    signed = sign(raw, SECRET, int(now))
    return examine(
        raw, signed, secrets or SigningSecrets(unassigned=(SECRET,)), settings_from(given or {}, strict=True), now
    )


# --- At the door ---


@pytest.mark.parametrize("kind", list(CATALOG))
def test_a_thin_event_of_every_mapped_type_is_queued(kind: str) -> None:
    reply = knock(thin(f"v1.{kind}"))
    assert (reply.status, reply.outcome) == (200, "queue")
    assert (reply.event.id, reply.event.type, reply.event.created) == ("evt_test_thin1", kind, 1_795_000_000)


@pytest.mark.parametrize(
    ("body", "given", "told"),
    [
        (thin("v1.billing.meter.no_meter_found"), {}, "no mapping for billing.meter.no_meter_found"),
        (thin("v2.core.event_destination.ping"), {}, "no mapping for v2.core.event_destination.ping"),
        (thin(livemode=True), {"STRIPE_MODE": "test"}, "STRIPE_MODE is test"),
        (thin(context="acct_1"), {}, "CONNECT_EVENTS is refuse"),
        (thin(context="org_1/acct_1"), {}, "CONNECT_EVENTS is refuse"),
    ],
)
def test_a_thin_event_that_is_not_wanted_is_acknowledged_like_a_snapshot(
    body: dict[str, Any], given: dict[str, str], told: str
) -> None:
    reply = knock(body, given=given)
    assert (reply.status, reply.outcome) == (200, "ignored")
    assert told in reply.message


def test_a_thin_event_needs_the_signing_secret_of_its_mode() -> None:
    reply = knock(thin(livemode=True), secrets=SigningSecrets(test=(SECRET,)))
    assert (reply.status, reply.reason) == (400, "wrong_mode")


@pytest.mark.parametrize("spoil", [{"id": None}, {"type": 7}, {"created": None}, {"created": "today"}, {"created": 5}])
def test_a_thin_event_without_its_head_is_refused(spoil: dict[str, Any]) -> None:
    reply = knock(thin() | spoil)
    assert (reply.status, reply.reason) == (400, "not_an_event")


# --- Read and sent ---


def test_a_thin_event_is_sent_like_its_snapshot(api: Api, world: World) -> None:
    snapshot = an_event("invoice.paid", an_invoice())
    api.has(thin(), snapshot)
    (outcome,) = world.batch(json.dumps(thin()))
    assert (outcome.status, outcome.event and outcome.event.id) == ("delivered", snapshot.id)
    alone = World()
    alone.batch(snapshot)
    assert [call["messageId"] for call in world.calls] == [call["messageId"] for call in alone.calls] != []
    assert api.asked == [("/v2/core/events/evt_test_thin1", None), (f"/v1/events/{snapshot.id}", None)]


@pytest.mark.parametrize("batches", ["one", "thin first", "snapshot first"])
def test_an_event_that_comes_thin_and_as_a_snapshot_is_sent_once(api: Api, world: World, batches: str) -> None:
    snapshot = an_event("invoice.paid", an_invoice())
    api.has(thin(), snapshot)
    both: list[Any] = [json.dumps(thin()), snapshot]
    for batch in {"one": [both], "thin first": [[one] for one in both]}.get(batches, [[one] for one in both[::-1]]):
        assert {outcome.status for outcome in world.batch(*batch)} <= {"delivered", "ignored"}
    orders = [call for call in world.calls if call.get("event") == "Order Completed"]
    assert len({call["messageId"] for call in orders}) == len(orders) == 1


def test_without_a_snapshot_the_object_is_read_with_what_changed_in_it(api: Api, world: World) -> None:
    """What changed since then is not part of this event: `after` says how the object was."""
    world.deliver(an_event("customer.subscription.created", a_subscription(), id="evt_0", created=NOW - 60))
    related = {"id": "sub_basic", "type": "subscription", "url": "/v1/subscriptions/sub_basic"}
    dear, dearest = a_price(4000, id="price_dear"), a_price(9000, id="price_dearest")
    notice = thin(f"v1.{UPDATED}", related_object=related)
    items = [{"object": "list", "data": [an_item(price)]} for price in (a_price(), dear)]
    api.has(notice, changes={"before": {"items": items[0]}, "after": {"items": items[1]}})
    api.objects["/v1/subscriptions/sub_basic"] = a_subscription(items={"object": "list", "data": [an_item(dearest)]})
    (outcome,) = world.batch(json.dumps(notice))
    assert outcome.status == "delivered"
    (told,) = [call for call in world.calls if call.get("event") == "Subscription Upgraded"]
    assert told["properties"]["mrr"] == 40
    assert told["timestamp"].startswith("2026-11-18T11:06:40")


def test_a_connected_accounts_event_is_read_on_its_behalf_and_counts_as_its_own(api: Api) -> None:
    """A snapshot that is read with the account's context does not name the account."""
    world = World(CONNECT_EVENTS="accept")
    world.thin_reader = api.reader()
    snapshot = an_event("invoice.paid", an_invoice(), id="evt_paid")
    api.has(thin(context="acct_other"), snapshot)
    world.batch(json.dumps(thin(context="acct_other")))
    same = World(CONNECT_EVENTS="accept")
    same.batch(an_event("invoice.paid", an_invoice(), id="evt_paid", account="acct_other"))
    assert [call["messageId"] for call in world.calls] == [call["messageId"] for call in same.calls] != []
    assert {context for _, context in api.asked} == {"acct_other"}


def test_an_event_is_read_once_while_it_comes_again(api: Api, world: World) -> None:
    api.has(thin(), an_event("invoice.paid", an_invoice()))
    world.answer = lambda _: Answer(Meaning.RETRY, "no_answer")
    for _ in range(3):
        assert world.batch(json.dumps(thin()))[0].status == "retry"
    assert len(api.requests) == 2


def test_nothing_is_read_while_nothing_can_be_sent(api: Api, world: World) -> None:
    class Open:
        def asks(self, _modes: Any) -> list[str]:
            return []

        def waits(self, modes: Any, _looked_up: Any) -> dict[bool, Any]:
            return dict.fromkeys(modes, Pause(7, 2))

        def note(self, _answers: Any, *, livemode: bool) -> None:
            assert livemode is False

    world.gate = Open()
    (outcome,) = world.batch(json.dumps(thin()))
    assert (outcome.status, outcome.reason, outcome.wait, api.requests) == ("retry", "circuit_open", 7, [])


# --- Not read ---


@pytest.mark.parametrize("status", [429, 500, 503, 409])
@pytest.mark.parametrize("request_number", [0, 1])
def test_an_event_waits_while_stripe_is_down_or_busy(api: Api, world: World, status: int, request_number: int) -> None:
    api.has(thin(), an_event("invoice.paid", an_invoice()))
    api.failures = [200] * request_number + [status]
    (outcome,) = world.batch(json.dumps(thin()))
    assert (outcome.status, outcome.reason) == ("retry", "stripe_unavailable")
    assert str(status) in outcome.detail
    assert "example.com" not in outcome.detail
    assert world.batch(json.dumps(thin()))[0].status == "delivered"


def test_an_event_waits_where_stripe_is_too_slow(api: Api, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe_to_segment.stripe_api.reader.PATIENCE_SECONDS", 0.05)
    api.has(thin(), an_event("invoice.paid", an_invoice()))
    api.awake.clear()
    with speaking() as spoken:
        (outcome,) = world.batch(json.dumps(thin()))
        metrics.flush_metrics()
    assert (outcome.status, outcome.reason) == ("retry", "stripe_unavailable")
    assert spoken.metrics == {"StripeReadFailed": 1}
    api.awake.set()
    monkeypatch.undo()
    assert world.batch(json.dumps(thin()))[0].status == "delivered"


@pytest.mark.parametrize(
    ("key", "told"), [("", "stripe_api_key into the KeysSecret"), ("rk_live_1", "is of live mode")]
)
def test_without_a_key_an_event_waits_and_the_reason_names_the_secret(api: Api, key: str, told: str) -> None:
    world = World()
    world.thin_reader = api.reader(key)
    with speaking() as spoken:
        (outcome,) = world.batch(json.dumps(thin()))
        metrics.flush_metrics()
    assert (outcome.status, outcome.reason, api.requests) == ("retry", "no_stripe_api_key", [])
    assert told in outcome.detail
    assert spoken.metrics == {"StripeKeyRefused": 1}, "the alarm stripe-key rings"


def test_no_key_is_sent_to_an_address_that_the_stack_does_not_trust(api: Api) -> None:
    def refuse() -> str:
        raise ConfigurationError("deploy with TrustStripeApiBase=true")

    world = World()
    world.thin_reader = ThinEventReader(refuse, api.url)
    (outcome,) = world.batch(json.dumps(thin()))
    assert (outcome.status, outcome.reason, api.requests) == ("retry", "no_stripe_api_key", [])
    assert "TrustStripeApiBase" in outcome.detail


@pytest.mark.parametrize("status", [401, 403])
def test_an_event_waits_for_a_key_that_may_read_events(api: Api, world: World, status: int) -> None:
    api.failures = [status]
    with speaking() as spoken:
        (outcome,) = world.batch(json.dumps(thin()))
        metrics.flush_metrics()
    assert (outcome.status, outcome.reason) == ("retry", "stripe_key_refused")
    assert "Events" in outcome.detail
    assert spoken.metrics == {"StripeReadFailed": 1, "StripeKeyRefused": 1}, "the alarm stripe-key rings"


def test_an_event_that_stripe_no_longer_has_is_a_dead_letter(world: World) -> None:
    (outcome,) = world.batch(json.dumps(thin()))
    assert (outcome.status, outcome.reason) == ("dead", "not_in_stripe")


@pytest.mark.parametrize("url", [None, "https://evil.example", "/v2/core/accounts/acct_1", "/v1/../v2/x", "/v1/x?y=1"])
def test_no_address_but_that_of_an_object_is_read(api: Api, world: World, url: str | None) -> None:
    notice = thin(related_object={"id": "in_basic", "type": "invoice", "url": url})
    api.has(notice)
    (outcome,) = world.batch(json.dumps(notice))
    assert (outcome.status, outcome.reason, len(api.requests)) == ("dead", "not_an_event", 1)


def test_one_event_that_cannot_be_read_does_not_stop_the_others(api: Api, world: World) -> None:
    api.has(thin(), an_event("invoice.paid", an_invoice()))
    outcomes = world.batch(
        json.dumps(thin(id="evt_test_gone")), json.dumps(thin()), an_event("customer.created", a_customer())
    )
    assert [outcome.status for outcome in outcomes] == ["dead", "delivered", "delivered"]


def test_reading_thin_events_leaves_time_to_send() -> None:
    given_up = threading.Event()

    with Endpoint(hanging(given_up)) as endpoint:
        event = read_event(json.dumps(thin()))
        assert isinstance(event, ThinEvent)
        reader = ThinEventReader(lambda: "rk_test_1", endpoint.url)
        reader.leave_time(lambda: 1.5)
        began = time.monotonic()
        (unread,) = reader.read([event]).values()
        assert isinstance(unread, Unread)
        assert unread.reason == "stripe_unavailable"
        assert time.monotonic() - began < 2
        given_up.set()
