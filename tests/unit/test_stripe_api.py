"""With an API key the gaps of an event are filled; without one, or when reading fails, the event goes on as it is."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

import pytest
import stripe

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.observability import metrics
from stripe_to_segment.secrets import Keys
from stripe_to_segment.settings import settings_from
from stripe_to_segment.stripe_api.reader import Asking, StripeReader, usable_key
from stripe_to_segment.stripe_side.objects import Lookup
from tests.unit.edges import Endpoint, hanging, reset, say, speaking, write
from tests.unit.shapes import a_customer, a_session, a_subscription, an_event, an_invoice
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.unit.edges import Answering

LINES = {
    "object": "list",
    "data": [
        {
            "id": "li_1",
            "object": "item",
            "amount_subtotal": 5000,
            "description": "Blue Mug",
            "price": {"id": "price_mug", "product": "prod_mug", "unit_amount": 2500},
            "quantity": 2,
        }
    ],
}
OBJECTS: dict[str, Any] = {
    "/v1/customers/cus_basic": a_customer(metadata={"user_id": "u1"}),
    "/v1/checkout/sessions/cs_test_basic/line_items": LINES,
    "/v1/invoice_payments": {
        "object": "list",
        "data": [
            {
                "id": "inpay_1",
                "object": "invoice_payment",
                "payment": {
                    "type": "payment_intent",
                    "payment_intent": {
                        "id": "pi_1",
                        "object": "payment_intent",
                        "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"},
                        "payment_method_types": ["card"],
                    },
                },
                "status": "open",
            }
        ],
    },
    "/v1/products/prod_basic": {"id": "prod_basic", "object": "product", "name": "Basic Plan"},
}


class Api(Endpoint):
    """Answers like the Stripe API for the objects above."""

    def __init__(self) -> None:
        super().__init__(self._tell)

    def _tell(self, handler: BaseHTTPRequestHandler) -> None:
        body = OBJECTS.get(_plain(handler.path))
        error = {"error": {"type": "invalid_request_error"}}
        say(404 if body is None else 200, json.dumps(body or error).encode())(handler)

    def reader(self, key: str = "rk_test_1") -> StripeReader:
        return StripeReader(lambda: key, self.url)

    @property
    def asked(self) -> list[tuple[str, str | None, str | None]]:
        """Each request's path, key and account."""
        return [
            (_plain(request.path), request.headers.get("authorization"), request.headers.get("stripe-account"))
            for request in self.requests
        ]

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]


def _plain(path: str) -> str:
    return path.partition("?")[0]


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as running:
        yield running


def test_the_line_items_of_a_checkout_become_products(api: Api) -> None:
    world = World(reader=api.reader())
    order = world.tracks(an_event("checkout.session.completed", a_session()))["Order Completed"]
    assert order["products"] == [{"product_id": "prod_mug", "name": "Blue Mug", "price": 25, "quantity": 2}]


def test_without_descriptions_the_lines_of_a_checkout_are_named_after_their_products(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTS, "/v1/products/prod_mug", {"id": "prod_mug", "object": "product", "name": "Mug"})
    world = World(reader=api.reader(), LINE_DESCRIPTIONS="omit")
    order = world.tracks(an_event("checkout.session.completed", a_session()))["Order Completed"]
    assert [product["name"] for product in order["products"]] == ["Mug"]
    assert api.paths.count("/v1/products/prod_mug") == 1


def test_a_missing_object_is_looked_up_once_in_a_batch(api: Api) -> None:
    world = World(reader=api.reader(), LINE_DESCRIPTIONS="omit")
    order = world.tracks(an_event("checkout.session.completed", a_session()))["Order Completed"]
    assert [product["name"] for product in order["products"]] == ["price_mug"]
    assert api.paths.count("/v1/products/prod_mug") == 1


def test_an_opt_out_in_the_customer_counts_also_if_a_reference_names_the_user(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Customer was read only if nothing else named the user, so its opt-out was not seen."""
    quiet = a_customer(metadata={"analytics_opt_out": "true"})
    monkeypatch.setitem(OBJECTS, "/v1/customers/cus_basic", quiet)
    world = World(reader=api.reader())
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="u2", invoice="in_1")))
    assert world.calls == []


def test_metadata_of_the_customer_outranks_a_reference(api: Api) -> None:
    world = World(reader=api.reader())
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="u2", invoice="in_1")))
    assert {call["userId"] for call in world.calls} == {"u1"}


def test_the_customers_metadata_names_the_user(api: Api) -> None:
    world = World(reader=api.reader())
    (call, *_) = world.deliver(an_event("customer.subscription.created", a_subscription()))
    assert call["userId"] == "u1"
    assert call["context"]["stripe"]["identity"] == "customer_api"


def test_each_customer_is_read_once_whoever_names_the_user(api: Api) -> None:
    world = World(reader=api.reader())
    world.deliver(an_event("checkout.session.completed", a_session(client_reference_id="u2", invoice="in_1")))
    world.reader = api.reader()
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    assert api.paths.count("/v1/customers/cus_basic") == 1


def test_a_customer_whose_event_was_seen_is_not_asked_for(api: Api) -> None:
    world = World(reader=api.reader())
    world.deliver(an_event("customer.created", a_customer()))
    world.deliver(an_event("customer.subscription.created", a_subscription()))
    assert "/v1/customers/cus_basic" not in api.paths


def test_a_products_name_is_read_once_and_remembered(api: Api) -> None:
    world = World(reader=api.reader())
    facts = world.tracks(an_event("customer.subscription.created", a_subscription()))
    world.reader = api.reader()
    world.deliver(an_event("customer.subscription.trial_will_end", a_subscription()))
    assert facts["Subscription Created"]["plan"] == "Basic Plan"
    assert api.paths.count("/v1/products/prod_basic") == 1


def test_a_session_is_read_once_for_all_its_events(api: Api) -> None:
    reader = api.reader()
    wanted = [Lookup("line_items", "cs_test_basic", livemode=False, account=None)]
    assert reader.read(wanted) == reader.read([*wanted, *wanted])
    assert api.paths == ["/v1/checkout/sessions/cs_test_basic/line_items"]


def test_an_invoices_failed_payment_is_read_with_its_intent(api: Api) -> None:
    """Invoices name no payment since 2025-03-31, so the event alone does not say why it failed."""
    invoice = an_invoice(amount_paid=0, status="open")
    told = World(reader=api.reader()).tracks(an_event("invoice.payment_failed", invoice))["Payment Failed"]
    assert (told["failure_code"], told["decline_code"]) == ("card_declined", "insufficient_funds")
    (path,) = [request.path for request in api.requests if "/invoice_payments" in request.path]
    query = parse_qs(path.partition("?")[2])
    assert query == {
        "invoice": ["in_basic"],
        "status": ["open"],
        "limit": ["1"],
        "expand[]": ["data.payment.payment_intent"],
    }


def test_a_connected_accounts_objects_are_read_in_its_name(api: Api) -> None:
    api.reader().read([Lookup("customer", "cus_basic", livemode=False, account="acct_1")])
    assert api.asked[0][2] == "acct_1"


@pytest.mark.parametrize("product", ["../customers/cus_basic", "prod_basic?expand[]=x", "shirt/red", "a#b", "ø %2e"])
def test_a_chosen_id_with_special_characters_leads_to_no_other_path(api: Api, product: str) -> None:
    """A product's id may be chosen: one with a slash or a question mark asked Stripe for something else.

    https://docs.stripe.com/api/products/create#create_product-id
    """
    api.reader().read([Lookup("product", product, livemode=False, account=None)])
    (path,) = api.paths
    assert path == f"/v1/products/{quote(product, safe='')}"


@pytest.mark.parametrize("key", ["", "rk_live_1"])
def test_without_a_key_of_the_events_mode_nothing_is_asked(api: Api, key: str) -> None:
    world = World(reader=api.reader(key))
    facts = world.tracks(an_event("checkout.session.completed", a_session()))
    assert "products" not in facts["Order Completed"]
    assert api.asked == []


def test_a_failed_lookup_loses_the_products_but_not_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    world = World(reader=StripeReader(lambda: "rk_test_1", "http://127.0.0.1:1"))
    facts = world.tracks(an_event("checkout.session.completed", a_session()))
    assert facts["Order Completed"]["total"] == 50
    assert "products" not in facts["Order Completed"]
    assert "rk_test_1" not in capsys.readouterr().out


def test_stripes_client_prints_nothing_even_where_its_own_variable_asks_for_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With STRIPE_LOG it prints every answer to standard error, which Lambda logs."""
    monkeypatch.setattr(stripe._util, "STRIPE_LOG", "debug")
    lookup = Lookup("customer", "cus_basic", livemode=False, account=None)
    assert api.reader().read([lookup])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("ends", [write(b""), write(b"", reset)], ids=["closed", "reset"])
def test_a_kept_connection_to_stripe_that_died_is_replaced_at_once(ends: Answering) -> None:
    """Stripe had closed the connection while Lambda had frozen the function, and the first lookup after each pause
    failed: its event was sent without products, or as an unknown user's, and was not sent again.
    """
    customer = say(200, json.dumps(OBJECTS["/v1/customers/cus_basic"]).encode())
    answers = [customer, ends, customer]

    def in_turn(handler: BaseHTTPRequestHandler) -> None:
        answers.pop()(handler)

    with Endpoint(in_turn) as endpoint:
        reader = StripeReader(lambda: "rk_test_1", endpoint.url)
        # All by one thread, which has the kept connection.
        for name in ("cus_basic", "cus_other"):
            lookup = Lookup("customer", name, livemode=False, account=None)
            assert reader.read([lookup]).keys() == {lookup}
    assert len(endpoint.requests) == 3


def test_a_netrc_on_this_machine_does_not_replace_the_api_key(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`requests` prefers its password for the host, or for every host, to the header; Stripe then refused the key.

    https://requests.readthedocs.io/en/latest/user/authentication/#netrc-authentication
    """
    (tmp_path / "netrc").write_text("default login somebody password DoNotShow\n", "utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    api.reader().read([Lookup("customer", "cus_basic", livemode=False, account=None)])
    (request,) = api.requests
    assert request.headers["authorization"] == "Bearer rk_test_1"


def test_a_deleted_object_counts_as_not_found(api: Api) -> None:
    lookup = Lookup("customer", "cus_gone", livemode=False, account=None)
    assert api.reader().read([lookup]) == {}


def test_a_secret_that_cannot_be_read_counts_as_not_found() -> None:
    def unreadable() -> str:
        raise ConfigurationError("the secret cannot be read")

    lookup = Lookup("customer", "cus_basic", livemode=False, account=None)
    with speaking() as spoken:
        assert StripeReader(unreadable, "http://127.0.0.1:1").read([lookup]) == {}
    assert spoken.lines[0]["message"] == "not read from Stripe: the secret cannot be read"


def test_no_key_is_sent_to_an_untrusted_address(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever could change one parameter of the stack got its Stripe API key."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    keys = Keys(stripe_api_key="rk_test_1")
    lookup = Lookup("customer", "cus_basic", livemode=False, account=None)

    def read(**given: str) -> bool:
        settings = settings_from({"STRIPE_API_BASE": api.url, **given})
        return bool(StripeReader(lambda: usable_key(keys, settings), settings.stripe_api_base).read([lookup]))

    with speaking() as spoken:
        assert not read()
    assert "deploy with TrustStripeApiBase=true" in spoken.lines[0]["message"]
    assert api.requests == []
    assert read(TRUST_STRIPE_API_BASE="true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert read(), "here, where AWS is on this machine too"


@pytest.mark.parametrize("body", [b"null", b"[]", b'["x"]', b"7", b'"ok"', b"<html>"])
def test_an_answer_that_is_no_object_counts_as_not_found(body: bytes) -> None:
    """It failed the whole batch, as long as the proxy that gave it stood between."""
    with speaking(), Endpoint(say(200, body)) as endpoint:
        world = World(reader=StripeReader(lambda: "rk_test_1", endpoint.url))
        (*_, order) = world.deliver(an_event("checkout.session.completed", a_session()))
    assert order["event"] == "Order Completed"


def test_a_lone_surrogate_in_a_products_name_does_not_stop_its_order() -> None:
    """No UTF-8 holds it, so the call could not be written and its event became a dead letter."""
    lines = json.dumps(LINES).replace("Blue Mug", r"Blue Mug \ud83e")
    with Endpoint(say(200, lines.encode())) as endpoint:
        world = World(reader=StripeReader(lambda: "rk_test_1", endpoint.url))
        order = world.tracks(an_event("checkout.session.completed", a_session()))["Order Completed"]
    assert order["products"][0]["name"] == "Blue Mug ?"


def test_an_unresponsive_stripe_api_delays_a_batch_only_a_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a hundred things to look up, each waited for in its turn, deliver ran out of time as long as that lasted.

    What was left out was counted once more when its request failed at last.
    """
    monkeypatch.setattr("stripe_to_segment.stripe_api.reader.PATIENCE_SECONDS", 2.0)
    monkeypatch.setattr("stripe_to_segment.stripe_api.reader.TIMEOUT_SECONDS", 60.0)
    wanted = [Lookup("product", f"prod_{number}", livemode=False, account=None) for number in range(100)]
    quick = [Lookup("product", f"prod_quick_{number}", livemode=False, account=None) for number in range(5)]
    given_up = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        late = "quick" not in handler.path
        if late:
            given_up.wait(60.0)
        say(500 if late else 200, b'{"name": "Basic"}')(handler)

    with speaking() as spoken, Endpoint(answer) as endpoint:
        reader = StripeReader(lambda: "rk_test_1", endpoint.url)
        assert list(reader.read([*quick, *wanted])) == quick
        given_up.set()
        reader._asking._pool.shutdown()
        metrics.flush_metrics()
        assert spoken.metrics["StripeReadFailed"] == 100


def test_reading_from_stripe_leaves_time_to_send() -> None:
    """With DeliverTimeout=30 two lookups of ten seconds left none, so events waited as long as Stripe's API hung."""
    given_up = threading.Event()

    with Endpoint(hanging(given_up)) as endpoint:
        reader = StripeReader(lambda: "rk_test_1", endpoint.url)
        reader.leave_time(lambda: 1.5)
        began = time.monotonic()
        assert reader.read([Lookup("product", "prod_1", livemode=False, account=None)]) == {}
        assert time.monotonic() - began < 2
        given_up.set()


@pytest.mark.parametrize(("status", "refused"), [(401, 1), (403, 1), (404, 0), (429, 0), (500, 0)])
def test_a_key_that_stripe_refuses_is_counted_separately_from_temporary_failures(status: int, refused: int) -> None:
    """A revoked key was one of many reasons why something was not read, so no alarm could ring for it."""
    body = json.dumps({"error": {"type": "invalid_request_error", "message": "of rk_test_1"}}).encode()
    with speaking() as spoken, Endpoint(say(status, body)) as endpoint:
        reader = StripeReader(lambda: "rk_test_1", endpoint.url)
        assert reader.read([Lookup("customer", "cus_basic", livemode=False, account=None)]) == {}
        metrics.flush_metrics()
        assert spoken.metrics["StripeReadFailed"] == 1
        assert spoken.metrics.get("StripeKeyRefused", 0) == refused


def test_a_clock_that_is_set_back_makes_no_answer_last_longer() -> None:
    now = [1_000_000.0]
    asking = Asking[str, str]("http://127.0.0.1", 10, lambda: now[0])
    asking.keep({"prod_1": "Pro"})
    assert asking.cached(["prod_1"], lambda _: 60) == ({"prod_1": "Pro"}, [])
    now[0] -= 86_400
    assert asking.cached(["prod_1"], lambda _: 60) == ({}, ["prod_1"])
