"""docs/security.md is true: each test that it names exists, and its retention times are those of the template."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment.state.circuit import Circuit
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.state.encoding import KEEP_DAYS, profile_from
from stripe_to_segment.state.profile import LEDGER_DAYS
from stripe_to_segment_tools.samples.files import samples
from tests.unit.edges import TABLE, state_table
from tests.unit.shapes import DAY, a_customer, a_subscription, an_event
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.template.conftest import Template

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/security.md").read_text("utf-8")
STORED = "Stored data and its retention"
# The days after which each kind of item expires; a customer's record expires only if nothing in it is live.
DAYS: dict[str, set[int]] = {
    "profile": {KEEP_DAYS, LEDGER_DAYS},
    "person": set(),
    "order": {KEEP_DAYS},
    "product": set(),
    "coupon": set(),
    "receipt": {LEDGER_DAYS},
    "circuit": {1},
    "bookmark": set(),
}
WITHOUT_END = {"profile", "person", "product", "coupon", "bookmark"}
# The expressions of code that handles items of several kinds.
ANY_KIND = {"kind", "fact.kind", "OPT_OUT"}
AGAINST = (
    "A stranger on the internet",
    "A visitor of a Payment Link",
    "A connected account and its customers",
    "A holder of a test key",
    "Another user of the developer's machine",
    "A web page open on the developer's machine",
    "A reader of the logs",
    "A reader of the dead letters",
    "A supplier of a dependency",
)


def section(title: str, level: str = "##") -> str:
    """The guide's text from a heading to the next one of the same or a higher level."""
    text = GUIDE.split(f"\n{level} {title}\n")[1]
    return re.split(rf"\n#{{2,{len(level)}}} ", text)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without the headers."""
    tables = re.findall(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line[1:-1].split("|")] for table in tables for line in table.splitlines()]


@cache
def names_in(file: str) -> set[str]:
    """The names of a file's tests."""
    tree = ast.parse((PROJECT / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


# --- Promises ---


def promises() -> Iterator[tuple[str, list[str]]]:
    """Each promise with the tests that verify it."""
    for title in re.findall(r"^## (.+)$", GUIDE, re.MULTILINE):
        if title != STORED:
            yield from ((row[0], re.findall(r"`(tests/[^`]+)`", row[1])) for row in rows(section(title)))


@pytest.mark.parametrize(("promise", "tests"), [*promises()])
def test_the_tests_of_each_promise_exist(promise: str, tests: list[str]) -> None:
    assert tests, promise
    for named in tests:
        file, _, name = named.partition("::")
        assert name in names_in(file), named


@pytest.mark.parametrize("title", AGAINST)
def test_each_attacker_of_the_guide_has_a_promise(title: str) -> None:
    assert rows(section(title))


# --- Stored data ---


def in_aws() -> dict[str, list[str]]:
    """The rows of the table of stored data in AWS, by each resource that they name."""
    table = section(STORED).split("\n### ")[0]
    return {name: row for row in rows(table) for name in re.findall(r"\w+", row[0])}


def items() -> dict[str, str]:
    """The retention of each kind of item, from the guide."""
    found = rows(section("Items of the StateTable", "###").split("\nOn a developer's machine")[0])
    return {row[0].strip("`"): row[2] for row in found}


def test_every_resource_that_stores_data_is_in_the_guide(template: Template) -> None:
    keeping = {"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"}
    kept = {name for name, found in template.resources.items() if found["Type"] in keeping}
    assert kept <= in_aws().keys()
    # Other resources that store data would have to be in the guide too.
    others = {found["Type"] for found in template.resources.values()} & {"AWS::S3::Bucket", "AWS::Kinesis::Stream"}
    assert not others


def test_queues_and_logs_keep_data_as_long_as_the_guide_says(template: Template) -> None:
    for name, found in template.of_type("AWS::SQS::Queue").items():
        assert f"{found['MessageRetentionPeriod'] // DAY} days" in in_aws()[name][3], name
    for name, found in template.of_type("AWS::Logs::LogGroup").items():
        assert found["RetentionInDays"] == {"Ref": "LogRetentionDays"}
        assert f"`LogRetentionDays`, {template.default('LogRetentionDays')} days" in in_aws()[name][3], name


def test_items_expire_by_the_attribute_that_the_template_names(template: Template) -> None:
    expiry = template.properties("StateTable")["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": "expires_at", "Enabled": True}


def test_each_kind_of_item_is_listed_with_its_retention() -> None:
    said = items()
    assert said.keys() == DAYS.keys()
    for kind, days in DAYS.items():
        named = {int(number) for number in re.findall(r"(\d+) days?\b", said[kind])}
        assert named == days, kind
        assert ("without end" in said[kind]) is (kind in WITHOUT_END), kind


def test_the_guide_names_every_kind_of_item_that_is_written() -> None:
    kinds, others = set[str](), set[str]()
    for path in (PROJECT / "layers/stripe_to_segment/python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"pk", "Learnt"} and node.args:
                kind = node.args[0]
                (kinds if isinstance(kind, ast.Constant) else others).add(ast.unparse(kind).strip("'"))
            # The rows of `learnt_from`: a kind beside the values of a translation.
            if isinstance(node, ast.Tuple) and node.elts and ast.unparse(node.elts[-1]).startswith("translation."):
                kinds.add(ast.unparse(node.elts[0]).strip("'"))
    assert kinds == items().keys()
    assert others <= ANY_KIND, "a kind in another expression may be a new one"


@pytest.fixture(scope="module")
def kept() -> Iterator[tuple[list[dict[str, Any]], float]]:
    """All items after the marked samples, two customers of one user, a deleted customer, and a subscription."""
    with state_table() as table:
        store = DynamoStore(table, TABLE)
        world = World(store, CONNECT_EVENTS="accept", PERSONAL_TRAITS="email,name,phone,address")
        for each in samples():
            world.batch(json.dumps(marked(each.event)))
        for number in (1, 2):
            created = an_event("customer.created", a_customer(id=f"cus_{number}", metadata={"user_id": "user_1"}))
            world.deliver(created)
        gone = a_customer(id="cus_3")
        world.deliver(an_event("customer.created", gone), an_event("customer.deleted", gone))
        world.deliver(an_event("customer.subscription.created", a_subscription(customer="cus_4")))
        store.put_circuit("live", Circuit(1, 1), Circuit(), world.now)
        store.put_bookmark("own:live", 1, world.now)
        yield table.scan(TableName=TABLE)["Items"], world.now


MARK = "pr1vat3"
PERSONAL = {"email", "name", "phone", "line1", "line2", "city", "postal_code", "customer_email", "customer_name"}


def marked(value: Any, within: str = "") -> Any:
    """A Stripe event with marks in fields that may be personal; names of products, prices and coupons are not."""
    if isinstance(value, dict):
        plain = str(value.get("object")) in {"product", "price", "plan", "coupon"}
        return {key: each if plain else marked(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [marked(each, within) for each in value]
    return MARK if isinstance(value, str) and within in PERSONAL else value


def test_every_item_expires_when_the_guide_states_it(kept: tuple[list[dict[str, Any]], float]) -> None:
    found, now = kept
    seen = dict[str, set[int]]()
    for item in found:
        kind = item["pk"]["S"].partition("#")[0]
        days = (int(item["expires_at"]["N"]) - int(now)) // DAY if "expires_at" in item else 0
        seen.setdefault(kind, set()).add(days)
    assert seen == {kind: days | ({0} if kind in WITHOUT_END else set()) for kind, days in DAYS.items()}


def test_no_item_holds_data_that_the_guide_excludes(kept: tuple[list[dict[str, Any]], float]) -> None:
    found, _ = kept
    claims = 0
    for item in found:
        kind = item["pk"]["S"].partition("#")[0]
        held: Any = item
        if kind == "profile":
            profile = profile_from(item)
            held = asdict(profile)
            claims += sum(len(claim.tracks) for claim in profile.claims.values())
        assert MARK not in str(held), kind
    assert claims, "claims are read too"
