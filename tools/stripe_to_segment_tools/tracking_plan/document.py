"""The tracking plan as a document for people: `docs/tracking-plan.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment.mapping.catalog import CATALOG, Identify
from stripe_to_segment.mapping.properties import Kind, Property
from stripe_to_segment.stripe_side.customer import PERSONAL
from stripe_to_segment_tools.tracking_plan.declarations import (
    ADDRESS,
    ATTRIBUTION,
    GROUP_TRAITS,
    PRODUCT,
    USER_TRAITS,
    stated_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stripe_to_segment_tools.tracking_plan.tracking_plan import TrackingPlan

__all__ = ["markdown"]

INTRODUCTION = """\
# Tracking plan

<!-- Written by `make generate` from the events that mapping/ declares: change those, not this. -->

Every call that stripe-to-segment sends. The same plan as Segment Public API rules, or as a JSON Schema of a call:
`stripe-to-segment plan --format segment`, `stripe-to-segment plan --format jsonschema`.

- Amounts are in major units (19.99) of the `currency` beside them.
- What is unknown is absent, never 0 and never a guess. Only a trait may be null: the customer has it no more.
- `revenue` stands on exactly one call for each payment; add up `revenue` and nothing else. Refunds are Order Refunded.
- The sum of `mrr_change` over a subscription's events is its current `mrr`.
- `timestamp` is when Stripe made the event.
"""

CALLS = """\
## Every call

| field | type | meaning |
|---|---|---|
| `type` | string | identify, group or track |
| `messageId` | string, a UUID | the same for the same fact, however often Stripe sends it |
| `timestamp` | string, date-time | when Stripe made the event |
| `userId` | string | the product's user, where known |
| `anonymousId` | string | the browser's id where metadata has it; the Stripe customer where the user is unknown |
| `context.library` | object | name and version of this pack |
| `context.active` | boolean | false: an event of a server does not change the user's last-seen time |
| `context.groupId` | string | the group, where known |
| `context.externalIds` | array of objects | the Stripe customer as `stripe_customer_id` |
| `context.consent` | object | `categoryPreferences` by category, where the metadata has the user's consent |
| `context.traits` | object | of a track, by `CONTEXT_TRAITS`: personal traits, `plan`, `mrr`, `currency` |
| `context.campaign` | object | where metadata (`ATTRIBUTION_KEYS`) has it: `source`, `medium`, `name`, and so on |
| `context.page` | object | `url`, `path`, `search`, `referrer`, where metadata has them |
| `context.ip`, `context.userAgent`, `context.locale` | string | where metadata has them |
| `context.stripe` | object | `event_id`, `event_type` (or `import`), `account`, `identity` (source of the user's id) |
| `integrations` | object | where the call may go, if the setting `INTEGRATIONS` says |

At least one of `userId` and `anonymousId` is there.
"""

TYPES = {
    Kind.MONEY: "number",
    Kind.DECIMAL: "number",
    Kind.TIME: "string, date-time",
    Kind.CURRENCY: "string",
    Kind.HASH: "string",
    Kind.STRINGS: "array of strings",
    Kind.PRODUCTS: "array of objects",
    Kind.ADDRESS: "object",
    Kind.BY_CURRENCY: "object of numbers",
}


def markdown(plan: TrackingPlan) -> str:
    """The whole document."""
    calls = [*_identify(), *_group(), *_events(plan), *_attribution()]
    parts = [INTRODUCTION, *_overview(plan), CALLS, *calls, *_objects()]
    return "\n".join(parts)


def _overview(plan: TrackingPlan) -> Iterator[str]:
    yield "## Events\n"
    yield "| event | sent when | stated by |\n|---|---|---|"
    for name, event in plan.events.items():
        yield f"| [{name}](#{_anchor(name)}) | {event.when} | {_code(_types_of(name, plan))} |"
    yield ""


def _identify() -> Iterator[str]:
    always = [kind for kind, row in CATALOG.items() if row.identify is Identify.ALWAYS]
    if_changed = [kind for kind, row in CATALOG.items() if row.identify is Identify.IF_CHANGED]
    yield "## Identify: traits of the user\n"
    yield f"- Sent with {_code(always)};"
    yield f"- where a trait changed, with {_code(if_changed)};"
    yield "- and once to join the history of an unknown customer to the user, as soon as the user is known.\n"
    yield from _table("trait", USER_TRAITS)


def _group() -> Iterator[str]:
    yield "## Group: traits of the account\n"
    yield "Where the metadata names a group (setting `GROUP_ID_KEYS`): beside each identify of a subscription event,"
    yield "and when the customer's group becomes known. `groupId` is the group.\n"
    yield from _table("trait", GROUP_TRAITS)


def _events(plan: TrackingPlan) -> Iterator[str]:
    yield "## Track: properties of each event\n"
    for name, event in plan.events.items():
        yield f"### {name}\n"
        yield f"Sent when {event.when}. Stated by {_code(_types_of(name, plan))}.\n"
        if event.properties:
            yield from _table("property", event.properties, event.required)
        else:
            yield "No properties.\n"


def _attribution() -> Iterator[str]:
    yield "### Any event\n"
    yield "Ids of clicks and visits, if the metadata has them (setting `ATTRIBUTION_KEYS`).\n"
    yield from _table("property", ATTRIBUTION)


def _objects() -> Iterator[str]:
    yield "## Objects inside\n\n### A product of `products`\n"
    yield from _table("field", PRODUCT)
    yield "### `address`\n"
    yield from _table("field", ADDRESS)


def _table(title: str, of: Mapping[str, Property], required: tuple[str, ...] | None = None) -> Iterator[str]:
    """One row each; the column that says whether it is always there is for events alone."""
    given = () if required is None else ("required",)
    heads = (title, "type", *given, "unit", "meaning")
    yield f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}"
    for name, entry in of.items():
        always = () if required is None else ("yes" if name in required else "",)
        cells = (f"`{name}`", _type(entry), *always, entry.unit, _meaning(name, entry, of))
        yield f"|{''.join(f' {cell} |' if cell else ' |' for cell in cells)}"
    yield ""


def _type(entry: Property) -> str:
    kind = TYPES.get(entry.kind, str(entry.kind))
    return f"{kind}, or null" if entry.nullable else kind


def _meaning(name: str, entry: Property, of: Mapping[str, Property]) -> str:
    meaning = entry.meaning
    if entry.values:
        meaning += f": {'any' if entry.kind is Kind.STRINGS else 'one'} of {_code(entry.values)}"
    if of is USER_TRAITS and name in PERSONAL:
        meaning += "; sent only if `PERSONAL_TRAITS` names it"
    if of is USER_TRAITS and name == "email_sha256":
        meaning += "; sent if `HASH_EMAIL` is true"
    return meaning


def _types_of(wire: str, plan: TrackingPlan) -> list[str]:
    """The Stripe event types that state the event of this name."""
    ours = [name for name, sent in plan.names.items() if wire in sent]
    return [kind for kind in CATALOG if any(kind in stated_by(name) for name in ours)]


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")
