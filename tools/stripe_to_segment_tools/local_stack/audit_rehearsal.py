"""The audit after all events of `make demo`: Stripe's lists against what was sent and what is remembered."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

from stripe_to_segment.audit_reading import read_lists, read_records, span_of
from stripe_to_segment.auditing.circumstances import Circumstances
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.settings import settings_from
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment_tools.commands.audit.report import verdict
from stripe_to_segment_tools.lambda_runtime.stripe_stand_in import ObjectLists, StripeStandIn
from stripe_to_segment_tools.local_stack.rehearsal import Planned, Played
from stripe_to_segment_tools.samples.stripe_lists import objects_after

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stripe_to_segment_tools.local_stack.stack import LocalStack

__all__ = ["audited"]


def audited(stack: LocalStack, existing: Iterable[dict[str, Any]], events: Iterable[dict[str, Any]]) -> Played:
    """The audit, as one more row of the table; `existing` is what Stripe's lists showed before the events.

    It fails where a cent is not explained.
    """
    started, now = time.monotonic(), int(time.time())
    settings = settings_from(stack.environment(stack.deliver_function))
    store = DynamoStore(stack.clients.dynamodb, stack.deployment.output("StateTableName"))
    truth = Truth(False, now, settings.mrr_discounts)  # noqa: FBT003 - the samples are of test mode
    records = read_records(store, _nobody_asks)
    objects = {one["id"]: one for one in (*existing, *objects_after(events))}
    with StripeStandIn(objects=ObjectLists([*objects.values()])) as stripe:
        read_lists(Lists(f"rk_test_{secrets.token_hex(12)}", stripe.url), truth, span_of(now), _nobody_asks)
    circumstances = Circumstances(
        settings, livemode=False, now=now, began=store.began(), unreadable=frozenset(records.unreadable)
    )
    report = audit(truth, records.profiles, records.receipts, circumstances, "")
    planned = Planned("audit of Stripe's lists and what was sent", None, "audited", verdict(report, 0), ())
    wrong = tuple(f"unexplained: {one.kind} of {one.id}, {one.amount} {one.currency}" for one in report.unexplained)
    return Played(planned, 200, "", (), time.monotonic() - started, wrong=wrong)


def _nobody_asks(_: str) -> None:
    """Report no progress: it takes a second."""
