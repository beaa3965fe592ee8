"""The table of Stripe's objects, held against the catalog, the samples and what Stripe's own library knows."""

from __future__ import annotations

import re
import typing
from importlib import import_module
from typing import TYPE_CHECKING, Any, ForwardRef
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from stripe_to_segment.mapping.lookups import lookups, payer_lookup
from stripe_to_segment.settings import Settings
from stripe_to_segment.state.payment import Payment
from stripe_to_segment.state.profile import Profile
from stripe_to_segment.state.store import Memory
from stripe_to_segment.stripe_side.event import event_from
from stripe_to_segment.stripe_side.objects import OBJECTS, Lookup
from stripe_to_segment_tools.build.stripe_requests import permissions
from stripe_to_segment_tools.samples.files import samples
from tests.unit.shapes import a_price, a_subscription, an_event, an_intent, an_invoice, an_item

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stripe_to_segment.stripe_side.objects import StripeObject

LISTED = [each for each in OBJECTS.values() if each.listing is not None]
TERMS = OBJECTS["subscription"].lookups.keys()
ASKED = [(each, kind, rest) for each in OBJECTS.values() for kind, (rest, _) in each.lookups.items()]


def of_library(name: str) -> Any:
    """The class of Stripe's library for an object of this name."""
    made = type(stripe.StripeObject.construct_from({"inside": {"object": name}}, None)["inside"])
    assert made is not stripe.StripeObject, f"Stripe's library knows no {name}"
    return made


def filters(each: StripeObject) -> dict[str, Any]:
    """The parameters of the list of these objects."""
    cls = of_library(each.name)
    folder = import_module(cls.__module__.rpartition(".")[0].replace("stripe", "stripe.params", 1))
    found: dict[str, Any] = getattr(folder, f"{cls.__name__}ListParams").__annotations__
    return found


def named(query: str) -> dict[str, list[str]]:
    """The values of a query by its parameters' own names: `payment[type]` is one of `payment`."""
    found: dict[str, list[str]] = {}
    for name, values in parse_qs(query, keep_blank_values=True, strict_parsing=bool(query)).items():
        found.setdefault(name.partition("[")[0], []).extend(values)
    return found


def referred_to(cls: Any) -> Iterator[tuple[str, str]]:
    """The fields of an object of this class that name others of the table, its own hashes' included."""
    by_class = {of_library(name).__name__: name for name in OBJECTS}
    for field, hint in cls.__annotations__.items():
        for inner in _within(hint):
            name = inner.__forward_arg__.rpartition(".")[2] if isinstance(inner, ForwardRef) else inner.__name__
            if name in by_class:
                yield field, by_class[name]
            elif isinstance(inner, type) and issubclass(inner, stripe.StripeObject):
                yield from ((f"{field}.{path}", other) for path, other in referred_to(inner))


def _within(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type | ForwardRef) and not typing.get_args(hint):
        yield hint
    for argument in typing.get_args(hint):
        yield from _within(argument)


def test_no_two_rows_are_about_the_same_events() -> None:
    types = [each.about for each in OBJECTS.values() if each.about]
    assert len(types) == len({*types})


def test_the_object_in_an_event_is_the_one_that_its_type_is_about() -> None:
    """An object that nothing lists or looks up needs no row; its events are named after it."""
    for sample in samples():
        event = event_from(sample.event)
        name = event.object["object"]
        assert (OBJECTS[name].about if name in OBJECTS else name) == event.about, sample.name


def test_the_address_of_each_object_is_the_librarys() -> None:
    addresses = {name: getattr(of_library(name), "class_url", None) for name in OBJECTS}
    assert {name: url() for name, url in addresses.items() if url} == {
        each.name: each.path for each in OBJECTS.values() if each.permission
    }
    without = [OBJECTS[name] for name, url in addresses.items() if url is None]
    assert [(each.name, each.listing, each.lookups) for each in without] == [("discount", None, {})]


@pytest.mark.parametrize("each", LISTED, ids=lambda each: each.name)
def test_a_list_is_asked_for_with_what_stripe_knows(each: StripeObject) -> None:
    query = named(each.listing or "")
    assert query.keys() <= filters(each).keys()
    for path in query.pop("expand", []):
        # What is not there unless it is asked for, as its description says. Stripe expands four levels.
        assert path.removeprefix("data.").partition(".")[0] in of_library(each.name).__annotations__
        assert path.count(".") < 4
    for name, values in query.items():
        assert all(repr(value) in str(filters(each)[name]) for value in values)


def test_ended_subscriptions_are_listed_too() -> None:
    """Without a status Stripe leaves out the cancelled ones. https://docs.stripe.com/api/subscriptions/list."""
    assert named(OBJECTS["subscription"].listing or "")["status"] == ["all"]


@pytest.mark.parametrize(("each", "kind", "rest"), ASKED, ids=[kind for _, kind, _ in ASKED])
def test_a_lookup_asks_for_what_stripe_knows(each: StripeObject, kind: str, rest: str) -> None:
    parts = urlsplit(rest)
    match parts.path:
        case "":
            assert named(parts.query).keys() <= filters(each).keys()
        case "/{id}":
            assert hasattr(of_library(each.name), "retrieve")
        case path:
            assert hasattr(of_library(each.name), f"list_{path.removeprefix('/{id}/')}")
    assert rest.count("{id}") == 1
    filled = rest.replace("{id}", "a%2F..%2Fb").replace("{currency}", "e%2Fr")
    assert Lookup(kind, "a/../b", livemode=True, account=None, currency="e/r").path == each.path + filled


def test_each_kind_of_lookup_is_one_of_an_object_and_is_asked_by_some_event() -> None:
    asked: set[str] = set()
    # No sample leaves its mrr unknown: this one names a discount, whose coupon the first answer only names too.
    # Nor has one a tiered price in another currency than its own.
    tiered = a_price(None, billing_scheme="tiered", currency="eur")
    unsent = an_event("customer.subscription.created", a_subscription(an_item(tiered), discounts=["di_1"]))
    discount = {"id": "di_1", "source": {"type": "coupon", "coupon": "co_1"}}
    (terms,) = [each for each in lookups(unsent, Profile("key"), Memory(), Settings()) if each.kind in TERMS]
    told = Memory(read={terms: a_subscription(discounts=[discount])})
    asked |= {terms.kind} | {each.kind for each in lookups(unsent, Profile("key"), told, Settings())}
    # Nor has one a purchase that may have paid a part of an invoice.
    purchase = Payment("usd", counted=True, total=2000, stated_by="pi_1")
    known = Profile("key").with_payment("pi_1", purchase)
    asked |= {each.kind for each in lookups(an_event("invoice.paid", an_invoice()), known, Memory(), Settings())}
    # Nor has one an intent of a guest.
    of_a_guest = an_event("payment_intent.succeeded", an_intent(customer=None))
    asked |= {each.kind for each in lookups(of_a_guest, Profile("key"), Memory(), Settings())}
    for sample in samples():
        event = event_from(sample.event)
        wanted = [*lookups(event, Profile("key"), Memory(), Settings()), payer_lookup(event)]
        asked |= {lookup.kind for lookup in wanted if lookup is not None}
    assert sorted(asked) == sorted(kind for _, kind, _ in ASKED)


# Where one names the other and is named by it.
LATER = {
    ("product", "default_price"): "price",
    ("customer", "subscriptions"): "subscription",
    ("subscription", "latest_invoice"): "invoice",
    ("payment_intent", "latest_charge"): "charge",
    ("charge", "refunds"): "refund",
    # What claims a payment comes before it.
    ("invoice", "last_finalization_error.payment_intent"): "payment_intent",
    ("checkout.session", "payment_intent"): "payment_intent",
}


def test_an_object_is_listed_after_the_objects_that_it_names() -> None:
    order = [each.name for each in LISTED]
    later = {
        (name, field): other
        for place, name in enumerate(order)
        for field, other in referred_to(of_library(name))
        if other in order[place + 1 :]
    }
    assert later == LATER


def test_permissions_are_those_of_what_is_read_and_of_what_is_expanded_in_it() -> None:
    assert permissions() == (
        "Checkout Sessions, Coupons, Customers, Invoices, Payment Intents, Prices, Products and Subscriptions"
    )


def test_every_permission_that_a_text_names_is_one_of_an_objects(project: Path) -> None:
    folders = [project / name for name in ("docs", "functions", "layers/stripe_to_segment/python", "tools")]
    texts = [
        path.read_text("utf-8") for folder in folders for path in folder.rglob("*") if path.suffix in {".py", ".md"}
    ]
    texts.append((project / "README.md").read_text("utf-8"))
    found = set(re.findall(r"\b([A-Z]\w+(?: [A-Z]\w+)*): (?:Read|Write)\b", "\n".join(texts)))
    found |= set(re.findall(r"read access to ([A-Z]\w+)", "\n".join(texts)))
    assert {"Events", "Webhook Endpoints"} <= found <= {each.permission for each in OBJECTS.values()} | {"Permission"}
