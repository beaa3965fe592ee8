"""The tables of docs/destinations.md, from what was measured."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from stripe_to_segment_tools.project import PROJECT
from tests.destinations.destinations import DESTINATIONS
from tests.destinations.measure import ADVISED, DEFAULT, ORDERS, calls_under

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.destinations.measure import Measured

    type Results = Mapping[str, Mapping[str, Measured]]

__all__ = ["PINNED", "with_tables"]

PINNED = json.loads((PROJECT / "tests" / "destinations" / "package.json").read_text("utf-8"))["dependencies"]
KINDS = ("identify", "group", "track")
# What the code says of a call that it refuses, shorter.
SHORTER = (
    (re.compile(r"The (?:root value|value at \S+) is missing the required field '(\w+)'\."), r"no `\1`"),
    (re.compile(r"Identify \(Upsert Contact\) must be called before.*"), "no contact to associate"),
    (re.compile(r"One of the following parameters: email, user token, or objectId is required"), "no email"),
    (
        re.compile(r'One of "external_id" or "user_alias" or "braze_id" or "email" is required\.'),
        "no user id and email",
    ),
    (
        re.compile(r"One of External ID, (?:Anonymous ID, )?Phone Number (?:and|or) Email is required\."),
        "no id and email",
    ),
    (re.compile(r"Must include email or userId\."), "no user id and email"),
)


def with_tables(page: str, results: Results) -> str:
    """The page with its tables as measured."""
    tables = {"measured": _about(), "arrivals": _arrivals(results), "revenue": _revenue(results)}
    for name, lines in tables.items():
        between = rf"(<!-- {name}, written by `make destinations UPDATE=1` -->\n).*?(<!-- end -->)"
        written = "\n".join(lines).replace("\\", r"\\")
        page, count = re.subn(between, rf"\g<1>{written}\n\g<2>", page, count=1, flags=re.DOTALL)
        if not count:
            message = f"docs/destinations.md has no place for the table {name!r}"
            raise ValueError(message)
    return page


def _about() -> list[str]:
    calls = calls_under(DEFAULT, lambda call, _: call)
    kinds = Counter(call["type"] for call in calls)
    paid = sum(1 for call in calls if call.get("properties", {}).get("revenue"))
    refunds = sum(1 for call in calls if call.get("event") == "Order Refunded")
    package = "@segment/action-destinations"
    counted = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS)
    return [
        f"`{package}` {PINNED[package]} took the {len(calls)} calls of the samples in [events/](../events)",
        f"({counted}). Of these {paid} state the revenue of a payment and {refunds} are Order Refunded.",
    ]


def _arrivals(results: Results) -> Iterator[str]:
    yield "| Destination | Mappings | identify | group | track | Refused, and why |"
    yield "|---|---|---|---|---|---|"
    for each in DESTINATIONS:
        found = results[DEFAULT][each.name]
        mappings = "Segment's presets" if each.mappings is None else _actions(each.mappings)
        shares = " | ".join(
            f"{found.arrived[kind]} of {found.meant[kind]}" if found.meant[kind] else "-" for kind in KINDS
        )
        yield f"| {each.name} | {mappings} | {shares} | {_reasons(found.refused)} |"


def _actions(mappings: tuple[Mapping[str, object], ...]) -> str:
    return "yours: " + ", ".join(f"`{mapping['action']}`" for mapping in mappings)


def _reasons(refused: Counter[str]) -> str:
    shorter: Counter[str] = Counter()
    for reason, times in refused.items():
        action, _, said = reason.partition(": ")
        for long, short in SHORTER:
            said = long.sub(short, said)
        shorter[f"`{action}`: {said.replace('; ', ', ')}"] += times
    return "; ".join(f"{reason} ({times})" for reason, times in sorted(shorter.items())) or "none"


def _revenue(results: Results) -> Iterator[str]:
    heads = ("Payments, by default", "`RevenueEvents=orders`", "With the recipe", "The amount")
    yield f"| Destination | {' | '.join(heads)} | Refunds, by default | With the recipe |"
    yield "|---|---|---|---|---|---|---|"
    for each in DESTINATIONS:
        default, orders, advised = (results[recipe][each.name] for recipe in (DEFAULT, ORDERS, ADVISED))
        counted = " | ".join(f"{len(found.paid)}" for found in (default, orders, advised))
        yield f"| {each.name} | {counted} | {_amount(advised)} | {_refunds(default)} | {_refunds(advised)} |"


def _amount(found: Measured) -> str:
    """The property that the amounts are; each differs from the others in some sample."""
    for name in ("revenue", "total"):
        if found.paid and all(round(amount, 6) == Decimal(str(properties[name])) for amount, properties in found.paid):
            return f"`{name}`"
    return "neither `revenue` nor `total`" if found.paid else "-"


def _refunds(found: Measured) -> str:
    if found.refunded:
        exact = all(amount == Decimal(str(properties["total"])) for amount, properties in found.refunded)
        return f"{len(found.refunded)} as refunds{' of their `total`' if exact else ''}"
    return f"{found.told} as events" if found.told else "none"
