"""An import: Stripe's objects go through the template's import queue into the table, and their calls to Segment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.importing import command
from tests.unit.shapes import DAY, a_customer, a_subscription, an_invoice
from tests.unit.stripe_list import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stack.conftest import Local
    from tests.unit.stripe_list import StripeList

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("announced")]


def test_an_import_can_store_without_sending_and_later_sends_each_call_once(
    local: Local, stripe_list: StripeList, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    at, customer = int(time.time()) - 60 * DAY, f"cus_import{time.time_ns()}"
    paid = {"status": "paid", "status_transitions": {"paid_at": at}, "total": 2000, "amount_paid": 2000}
    intent = {"status": "paid", "payment": {"payment_intent": f"pi_{customer}"}}
    stripe_list.clear()
    stripe_list.objects = [
        a_customer(id=customer, created=at, metadata={"user_id": "user_of_old"}),
        a_subscription(id=f"sub_{customer}", customer=customer, created=at),
        an_invoice(id=f"in_{customer}", customer=customer, created=at, payments={"data": [intent]}, **paid),
    ]
    words = ["import", "--local", "--stripe-api-base", stripe_list.url]
    for level, sent in (
        ("state", []),
        ("history", ["identify", "Subscription Imported", "Order Completed"]),
        ("history", []),
    ):
        local.segment.record.clear()
        result = CliRunner().invoke(app, [*words, "--level", level])
        assert result.exit_code == 0, result.output
        assert sorted(local.calls()) == sorted(sent), level
