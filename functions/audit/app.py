"""Stripe's lists, the StateTable → a metric: how many differences of two months nothing explains."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stripe_to_segment import aws
from stripe_to_segment.audit_reading import read_lists, read_records, span_of, two_months
from stripe_to_segment.auditing.circumstances import Circumstances
from stripe_to_segment.auditing.comparing import audit
from stripe_to_segment.auditing.truth import Truth
from stripe_to_segment.enqueuing import waiting
from stripe_to_segment.errors import ConfigurationError, OutOfTimeError
from stripe_to_segment.observability import count, logger, observed
from stripe_to_segment.secrets import keys_source
from stripe_to_segment.settings import settings_from_environment
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.lists import Lists
from stripe_to_segment.stripe_api.reader import is_live, usable_key

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The seconds that must be left to read on; the pages under way and the comparison take less.
RESERVE = 120.0
# The most differences that a log line names; `stripe-to-segment audit` names all.
NAMED = 20

settings = settings_from_environment()
secret = keys_source(settings, aws.secret_text)


@observed
def handler(_event: object, context: LambdaContext) -> dict[str, object]:
    """Audit this month and the last one; a run that cannot compare all says so, and counts no differences."""
    try:
        summary, unexplained = _audited(context)
    except (ConfigurationError, OutOfTimeError) as error:
        logger.error(f"not audited: {error}")
        count("AuditUnfinished")
        return {"outcome": "unfinished"}
    count("UnexplainedDifference", unexplained)
    logger.info("audited", extra=summary)
    return summary


def _audited(context: LambdaContext) -> tuple[dict[str, object], int]:
    def in_time(said: str) -> None:
        if context.get_remaining_time_in_millis() / 1000 < RESERVE:
            raise OutOfTimeError(f"the account is too large for the function's time; read so far: {said}")

    if not (key := usable_key(secret.get(), settings)):
        raise ConfigurationError("the KeysSecret has no stripe_api_key; docs/audit.md lists what it has to read")
    if settings.delivery_mode == "log":
        raise ConfigurationError("DeliveryMode is log, so nothing is remembered")
    now, store = int(time.time()), DynamoStore(aws.client("dynamodb"), settings.state_table)
    months, truth = two_months(now), Truth(is_live(key), now, settings.mrr_discounts)
    # The queues, then the records, then Stripe: what happens meanwhile is younger than `now`, and waits.
    waits = any(waiting(aws.client("sqs"), url) for url in (settings.events_queue_url, settings.import_queue_url))
    records = read_records(store, in_time)
    read_lists(Lists(key, settings.stripe_api_base), truth, span_of(now, *months), in_time)
    circumstances = Circumstances(
        settings, truth.livemode, now, store.began(), waits, unreadable=frozenset(records.unreadable)
    )
    reports = [audit(truth, records.profiles, records.receipts, circumstances, month) for month in months]
    # The mrr and the live subscriptions are those of now in both.
    unexplained = {one: one.said for each in reports for one in each.unexplained}
    explained = len({one for each in reports for one in each.findings}) - len(unexplained)
    summary = {"outcome": "done", "scope": truth.scope, "months": months, "customers": len(records.profiles)}
    return summary | {
        "explained": explained,
        "differences": [*unexplained.values()][:NAMED],
        "unexplained": len(unexplained),
    }, len(unexplained)
