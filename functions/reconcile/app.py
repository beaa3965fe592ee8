"""Stripe's event list → queue: queue the events that never arrived here."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from stripe_to_segment import aws
from stripe_to_segment.enqueuing import enqueue
from stripe_to_segment.errors import OutOfRequestsError, UnreadableRecordError
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.observability import count, logger, observed
from stripe_to_segment.reconciling import Reconciliation, report, window
from stripe_to_segment.secrets import keys_source
from stripe_to_segment.settings import settings_from_environment
from stripe_to_segment.state.circuit import circuit_name
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_api.reader import StripeEvents, is_live, usable_key
from stripe_to_segment.stripe_side.event import scope_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The seconds that must be left to begin a slice; a slice takes less, even with retries of the Stripe API.
RESERVE = 90.0
# The requests of a run (at most five minutes), a hundred events each: far below Stripe's limit (25 a second, test key).
# https://docs.stripe.com/rate-limits
MOST_REQUESTS = 500

settings = settings_from_environment()
secret = keys_source(settings, aws.secret_text)


@observed
def handler(_event: object, context: LambdaContext) -> dict[str, object]:
    """Continue where the last run stopped, until the time is over; the next run does the rest."""
    # A run that finds nothing still writes the metric, as a sign that it ran.
    count("EventsReconciled", 0)
    keys = secret.get()
    key, chosen = usable_key(keys, settings), replace(settings, client_reference_key=keys.client_reference_key)
    if not key:
        logger.error("not reconciled: the KeysSecret has no stripe_api_key; a key with read access to Events is enough")
        count("ReconcileNotReady")
        return {"outcome": "not_ready"}
    store = DynamoStore(aws.client("dynamodb"), settings.state_table)
    scope, circuit = scope_of(None, livemode=is_live(key)), circuit_name(livemode=is_live(key))
    if store.circuits([circuit])[circuit].tripped:
        # Events that wait in the queue would be taken for missing. No event is lost: the next run continues from here.
        logger.warning("not reconciled: the endpoint is down, and events wait for it")
        return {"outcome": "endpoint_down"}
    try:
        bookmark = store.bookmark(scope)
    except UnreadableRecordError as error:
        # Starting over would cost too many requests to Stripe, and starting from now would leave a gap.
        logger.error(f"not reconciled: {error}", extra={"item": f"bookmark#{scope}"})
        count("ReconcileNotReady")
        return {"outcome": "not_ready"}
    since, until = window(bookmark, store.began() if bookmark is None else 0, time.time())
    if bookmark is not None and bookmark < since:
        # The schedule was off, or too many events happen for it.
        logger.error(
            "not compared: Stripe lists no events of this time any more", extra={"since": bookmark, "until": since}
        )
        count("ReconcileNotReady")
    # List all events: Stripe's list of undelivered ones lacks those that happened while the endpoint was disabled.
    listing = StripeEvents(key, settings.stripe_api_base, CATALOG, most_requests=MOST_REQUESTS)
    queue = partial(enqueue, aws.client("sqs"), settings.events_queue_url)
    done_until, totals = since, Counter(listed=0, queued=0)
    with suppress(OutOfRequestsError):
        for step in Reconciliation(listing.between, store, chosen, queue).between(since, until):
            report(step)
            store.put_bookmark(scope, step.until, time.time())
            done_until = step.until
            totals.update(listed=step.listed, queued=len(step.missing))
            if context.get_remaining_time_in_millis() / 1000 < RESERVE:
                break
    outcome = "done" if done_until >= until else "to_be_continued"
    totals["requests"] = listing.requests
    summary = {"outcome": outcome, "scope": scope, "since": since, "until": done_until, **totals}
    logger.info("reconciled", extra=summary)
    return summary
