"""The plan of the local stack: the sample events with fresh ids, and the calls of each by `explain`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.local_stack.rehearsal import Planned
from stripe_to_segment_tools.samples.files import body_of, freshen, samples
from stripe_to_segment_tools.samples.inputs import Input

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOCAL_PARAMETERS", "plan_samples"]

LOCAL_PARAMETERS = {
    # As for Segment itself; by default an address other than Segment's gets no compressed requests.
    "CompressRequests": "on",
    # No event waits for an identity, because `explain` does not wait either, and the two are compared.
    "IdentityHoldSeconds": "0",
    "PaymentHoldSeconds": "0",
    # The first retry after half a second on average, so that a user can watch it.
    "RetryBaseSeconds": "1",
    "RetryCapSeconds": "60",
    # Also log records that wait for another batch, because the page shows each receive.
    "LogLevel": "DEBUG",
    "ProtectState": "false",
}


def plan_samples(environment: Mapping[str, str]) -> list[Planned]:
    """Plan the sample events in the order in which they happened.

    Parameters
    ----------
    environment
        The deliver function's environment variables: the expectation follows the same settings.
    """
    chosen = samples()
    now = int(time.time())
    events = freshen([sample.event for sample in chosen], now, seed=os.urandom(8).hex())
    inputs = [Input(sample.name, body_of(event), event) for sample, event in zip(chosen, events, strict=True)]
    results = explain(inputs, settings_from(environment), now)
    return [
        Planned(sample.name, event, result.outcome, result.reason, result.calls)
        for sample, event, result in zip(chosen, events, results, strict=True)
    ]
