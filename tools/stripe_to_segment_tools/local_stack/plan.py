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
    from collections.abc import Mapping, Sequence

__all__ = ["LOCAL_PARAMETERS", "plan_samples", "sample_inputs"]

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


def sample_inputs() -> list[Input]:
    """The sample events with fresh ids, in the order in which they happened."""
    chosen = samples()
    events = freshen([sample.event for sample in chosen], int(time.time()), seed=os.urandom(8).hex())
    return [Input(sample.name, body_of(event), event) for sample, event in zip(chosen, events, strict=True)]


def plan_samples(environment: Mapping[str, str], inputs: Sequence[Input] | None = None) -> list[Planned]:
    """Plan these events, or records of an import, in their order; the sample events if none are given.

    Parameters
    ----------
    environment
        The deliver function's environment variables: the expectation follows the same settings.
    inputs
        What is to be delivered.
    """
    inputs = sample_inputs() if inputs is None else inputs
    results = explain(inputs, settings_from(environment), int(time.time()))
    return [
        Planned(given.source, given.event, result.outcome, result.reason, result.calls)
        for given, result in zip(inputs, results, strict=True)
    ]
