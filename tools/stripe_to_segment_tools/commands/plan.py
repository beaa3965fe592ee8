"""`stripe-to-segment plan`: the tracking plan, for Segment, for people and for other programs."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stripe_to_segment.mapping.tracking import EVENTS
from stripe_to_segment_tools.commands.overrides import Overrides, chosen_settings
from stripe_to_segment_tools.terminal.output import say, say_json
from stripe_to_segment_tools.tracking_plan import TrackingPlan, markdown

__all__ = ["plan_command"]


class Format(StrEnum):
    """The output format of `plan`."""

    SEGMENT = "segment"
    MARKDOWN = "markdown"
    JSONSCHEMA = "jsonschema"
    WAREHOUSE = "warehouse"


def plan_command(
    *,
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="segment: rules for Segment's Public API. markdown: a document. jsonschema: a schema of one call. "
            "warehouse: the tables, the types of their columns, and a letter to Segment's support.",
        ),
    ] = Format.SEGMENT,
    settings: Overrides = None,
) -> None:
    r"""Print the tracking plan: every event, property and trait that is sent. Offline.

    REVENUE_EVENTS, RENAME_EVENTS and DROP_EVENTS apply to its names, PERSONAL_TRAITS and HASH_EMAIL to its traits. The
    rules are the body of Segment's Replace Rules in Tracking Plan (PUT, the plan then has only these rules) or Update
    Rules (PATCH, beside others). The schema forbids properties that the plan does not name; the rules leave that to the
    settings of the source.

    Exit status: 0, or 2 if a setting cannot be used.

    Examples
    --------
      stripe-to-segment plan > rules.json

      curl -X PUT https://api.segmentapis.com/tracking-plans/$ID/rules -H "Authorization: Bearer $TOKEN" \
        -H "Content-Type: application/vnd.segment.v1+json" --data @rules.json

      stripe-to-segment plan --format markdown --set 'RENAME_EVENTS={"Order Completed": "Purchase Completed"}'

      stripe-to-segment plan --format jsonschema | jq '.allOf | length'

      stripe-to-segment plan --format warehouse | grep ' float$'
    """
    chosen = chosen_settings(settings)
    for name in (*chosen.rename_events, *chosen.drop_events):
        if name not in EVENTS:
            say(f"note: {name!r} is not an event of the plan, so the setting that names it has no effect", err=True)
    plan = TrackingPlan(chosen)
    if form is Format.WAREHOUSE:
        # Imported here alone: `prime` imports AWS's client.
        from stripe_to_segment_tools.commands.prime.command import CURRENCIES
        from stripe_to_segment_tools.tracking_plan.warehouse import warehouse_guide

        say(*warehouse_guide(plan, CURRENCIES))
    elif form is Format.MARKDOWN:
        say(*markdown(plan).splitlines())
    else:
        say_json(plan.segment() if form is Format.SEGMENT else plan.jsonschema(), indent=2)
