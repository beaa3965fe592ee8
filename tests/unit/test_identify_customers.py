"""`identify-customers` writes the users of a file into Stripe, and overwrites nothing."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.requests import Pace
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands import identify_customers
from stripe_to_segment_tools.commands.cli import app
from tests.unit.a_stack import WEBHOOK_URL, deployed
from tests.unit.shapes import a_customer
from tests.unit.stripe_list import KEY, StripeList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.a_stack import Deployed

NOW = int(time.time())


class Shop:
    """A stack and its Stripe account, whose requests take no time."""

    def __init__(self, here: Deployed, stripe: StripeList, folder: Path) -> None:
        self.here, self.stripe, self.file = here, stripe, folder / "users.csv"

    def has(self, *customers: dict[str, Any]) -> None:
        """The customers in Stripe, the newest one first."""
        self.stripe.objects = [{**one, "created": NOW - place} for place, one in enumerate(customers)]

    def run(self, rows: str, *words: str) -> Result:
        """Run the command with this file."""
        self.file.write_text(rows, encoding="utf-8")
        command = ["identify-customers", str(self.file), *words, "--stripe-api-base", self.stripe.url]
        return CliRunner().invoke(app, command)

    @property
    def metadata(self) -> dict[str, dict[str, str]]:
        """The metadata in Stripe by customer."""
        return {one["id"]: one["metadata"] for one in self.stripe.objects}

    @property
    def writes(self) -> list[str]:
        """The addresses that were posted to, without the question for the permission."""
        posted = [request.path for request in self.stripe.requests if request.method == "POST"]
        return [path for path in posted if not path.endswith(identify_customers.NOBODY)]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shop]:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with StripeList() as stripe, deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": stripe.url}
        stripe.webhooks.add(WEBHOOK_URL, ["*"])
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        fast = Pace(0, pause=lambda _: None)
        monkeypatch.setattr(
            identify_customers, "Lists", lambda key, base, *, alone: Lists(key, base, fast, alone=alone)
        )
        yield Shop(stack, stripe, tmp_path)


def test_users_and_groups_are_written_and_other_metadata_stays(shop: Shop) -> None:
    shop.has(a_customer(id="cus_1", metadata={"plan": "old"}), a_customer(id="cus_2", metadata={}))
    result = shop.run("customer,user,group\ncus_1,u_1,g_1\ncus_2,u_2,\n", "--yes")
    assert result.exit_code == 0, result.output
    assert "2 Customers written, 0 had their user already" in result.stdout
    assert "user_id and group_id, the first of UserIdKeys and of GroupIdKeys" in result.stderr
    assert shop.metadata == {"cus_1": {"plan": "old", "user_id": "u_1", "group_id": "g_1"}, "cus_2": {"user_id": "u_2"}}


def test_the_progress_is_what_was_written_and_not_what_was_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of Stripe's list counted as done as soon as it was read: 518 of 600 customers were 100%."""
    reports: list[tuple[str, int]] = []
    bar = nullcontext(lambda said, left: reports.append((said, left)))
    monkeypatch.setattr(identify_customers, "progress_bar", lambda *_: bar)
    shop.has(a_customer(id="cus_1", metadata={}), a_customer(id="cus_2", metadata={}))
    assert shop.run("customer,user\ncus_1,u_1\ncus_2,u_2\n", "--yes").exit_code == 0
    assert reports[:2] == [("1 of 2", 1), ("2 of 2", 0)]


def test_the_first_of_the_stacks_own_keys_is_written(shop: Shop) -> None:
    shop.here.functions.variables |= {"USER_ID_KEYS": "uid,user_id"}
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\n", "--yes")
    assert "uid and group_id" in result.stderr
    assert shop.metadata == {"cus_1": {"uid": "u_1"}}


def test_a_dry_run_needs_no_right_to_write_and_writes_nothing(shop: Shop) -> None:
    shop.stripe.forbidden = {f"POST {OBJECTS['customer'].path}"}
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\n", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "1 Customer would be written" in result.stdout
    assert shop.metadata == {"cus_1": {}}


@pytest.mark.parametrize("stated", [{"user_id": "u_old"}, {"userId": "u_old"}])
def test_another_user_stays_and_is_listed_unless_it_may_be_overwritten(shop: Shop, stated: dict[str, str]) -> None:
    shop.has(a_customer(id="cus_1", metadata=stated), a_customer(id="cus_2", metadata={}))
    rows = "customer,user\ncus_1,u_new\ncus_2,u_2\n"
    result = shop.run(rows, "--yes")
    assert result.exit_code == 0, result.output
    assert "cus_1 names another user or group, and was left as it is: user u_old" in result.stderr
    assert shop.metadata == {"cus_1": stated, "cus_2": {"user_id": "u_2"}}
    assert shop.run(rows, "--yes", "--overwrite").exit_code == 0
    assert shop.metadata["cus_1"]["user_id"] == "u_new"


def test_another_group_is_another_group(shop: Shop) -> None:
    shop.has(a_customer(id="cus_1", metadata={"group_id": "g_old"}))
    said = json.loads(shop.run("customer,user,group\ncus_1,u_1,g_1\n", "--yes", "--json").stdout)
    assert said["named_otherwise"] == [{"customer": "cus_1", "user": "", "group": "g_old"}]
    assert shop.metadata == {"cus_1": {"group_id": "g_old"}}


def test_a_second_time_nothing_is_written(shop: Shop) -> None:
    shop.has(*(a_customer(id=f"cus_n{number}", metadata={}) for number in range(3)))
    rows = "customer,user\n" + "".join(f"cus_n{number},u_{number}\n" for number in range(3))
    shop.run(rows, "--yes")
    before = len(shop.writes)
    result = shop.run(rows, "--yes")
    assert "0 Customers written, 3 had their user already" in result.stdout
    assert len(shop.writes) == before == 3


@pytest.mark.parametrize("failure", [503, 429])
def test_what_a_failure_or_a_limit_of_stripe_left_is_written_by_the_same_command(shop: Shop, failure: int) -> None:
    """After a 429 it is slower and goes on by itself; where Stripe fails for good it stops, and is run again."""
    shop.has(*(a_customer(id=f"cus_n{number}", metadata={}) for number in range(250)))
    rows = "customer,user\n" + "".join(f"cus_n{number},u_{number}\n" for number in range(250))
    shop.stripe.failures_after = {150: [failure] * 60}
    result = shop.run(rows, "--yes")
    assert result.exit_code == (1 if failure == 503 else 0)
    if failure == 503:
        assert "run the same command again to continue" in result.stderr
        assert 0 < sum(map(bool, shop.metadata.values())) < 250
        shop.stripe.failures_after = {}
        assert shop.run(rows, "--yes").exit_code == 0
    assert shop.metadata == {f"cus_n{number}": {"user_id": f"u_{number}"} for number in range(250)}


def test_ctrl_c_leaves_nothing_half_done(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.has(*(a_customer(id=f"cus_n{number}", metadata={}) for number in range(150)))
    rows = "customer,user\n" + "".join(f"cus_n{number},u_{number}\n" for number in range(150))
    page, pages = Lists.page, []

    def interrupted(self: Lists, part: Any) -> Any:
        pages.append(part)
        if len(pages) == 2:
            raise KeyboardInterrupt
        return page(self, part)

    with monkeypatch.context() as patch:
        patch.setattr(Lists, "page", interrupted)
        result = shop.run(rows, "--yes")
    assert result.exit_code == 1
    assert "stopped: interrupted" in result.stderr
    assert "100 Customers written" in result.stdout
    assert shop.run(rows, "--yes").exit_code == 0
    assert len(shop.writes) == 150


def test_a_customer_who_is_deleted_between_two_pages_ends_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stripe refuses the page after an object that is gone. The page that is read again has customers that are done."""
    shop.has(*(a_customer(id=f"cus_n{number}", metadata={}) for number in range(150)))
    # In one second with the one who is deleted, the last of the first page, so the next page has it again.
    shop.stripe.objects[99]["created"] = NOW - 98
    rows = "customer,user\n" + "".join(f"cus_n{number},u_{number}\n" for number in range(150) if number != 98)
    page = Lists.page

    def deleting(self: Lists, part: Any) -> Any:
        found, more = page(self, part)
        shop.stripe.objects = [one for one in shop.stripe.objects if one["id"] != "cus_n98"]
        return found, more

    monkeypatch.setattr(Lists, "page", deleting)
    result = shop.run(rows, "--yes")
    assert result.exit_code == 0, result.output
    assert "149 Customers written, 0 had their user already" in result.stdout
    assert len(shop.writes) == 149


def test_a_key_that_may_read_customers_alone_is_enough(shop: Shop) -> None:
    """An import reads the coupon of a Customer's discount with the list; this command has no use for it."""
    shop.stripe.forbidden = {OBJECTS["coupon"].path}
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\n", "--yes")
    assert result.exit_code == 0, result.output
    assert shop.writes == ["/v1/customers/cus_1"]


@pytest.mark.parametrize(
    ("forbidden", "lacking"), [(OBJECTS["customer"].path, "read"), (f"POST {OBJECTS['customer'].path}", "write")]
)
def test_a_key_without_the_permission_to_write_is_reported_before_anything_is_written(
    shop: Shop, forbidden: str, lacking: str
) -> None:
    shop.stripe.forbidden = {forbidden}
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\n", "--yes")
    assert result.exit_code == 2
    assert f"may not {lacking} Customers: give it this permission ({lacking.title()})" in result.stderr
    assert "nothing was written" in result.stderr
    assert shop.writes == []


def test_without_consent_nothing_is_written(shop: Shop) -> None:
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\n")
    assert result.exit_code == 2
    assert "add --yes to write into the metadata of up to 1 Customers in test mode" in result.stderr
    assert shop.writes == []


def test_another_mode_or_account_is_refused(shop: Shop) -> None:
    rows = "customer,user\ncus_1,u_1\n"
    assert "the API key is of test mode" in shop.run(rows, "--yes", "--mode", "live").stderr
    shop.stripe.webhooks.clear()
    result = shop.run(rows, "--yes")
    assert result.exit_code == 2
    assert "is it another account?" in result.stderr
    assert shop.writes == []
    assert shop.run(rows, "--yes", "--unregistered").exit_code == 0


def test_customers_that_stripe_does_not_have_are_listed(shop: Shop) -> None:
    shop.has(a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_1,u_1\ncus_gone,u_2\n", "--yes")
    assert result.exit_code == 0
    assert "note: cus_gone is not in Stripe" in result.stderr


def test_a_customer_that_stripe_does_not_change_is_reported_and_the_others_are_written(shop: Shop) -> None:
    full = {f"key_{number}": "x" for number in range(50)}
    shop.has(a_customer(id="cus_full", metadata=full), a_customer(id="cus_1", metadata={}))
    result = shop.run("customer,user\ncus_full,u_1\ncus_1,u_2\n", "--yes")
    assert result.exit_code == 1
    assert "error: cus_full: Stripe refuses a request to write Customers" in result.stderr
    assert shop.metadata["cus_1"] == {"user_id": "u_2"}


def test_a_bad_file_is_reported_with_its_lines(shop: Shop) -> None:
    result = shop.run("customer,user\nada,u_1\ncus_1," + "x" * 501 + "\n", "--yes")
    assert result.exit_code == 2
    assert "line 2: 'ada' is not the id of a Stripe customer" in result.stderr
    assert "line 3: an id of 501 characters; expected are at most 500" in result.stderr
