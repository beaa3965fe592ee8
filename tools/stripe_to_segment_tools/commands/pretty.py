"""`explain --pretty`: each event with the headlines and the main properties of its calls, for people."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.text import Text

from stripe_to_segment.mapping.properties import Kind
from stripe_to_segment_tools.commands.headlines import AMOUNTS, headline
from stripe_to_segment_tools.terminal.amounts import amount_text, number
from stripe_to_segment_tools.terminal.output import visible
from stripe_to_segment_tools.tracking_plan.declarations import EVENT_PLANS, GROUP_TRAITS, USER_TRAITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    from stripe_to_segment_tools.commands.explain import Explained

__all__ = ["print_explained"]

KINDS = {
    name: said.kind
    for declared in (USER_TRAITS, GROUP_TRAITS, *(plan.properties for plan in EVENT_PLANS.values()))
    for name, said in declared.items()
}
DAY = len("2026-11-28")
INDENT = " " * 4
# An amount of 0 is left out, unless it says that nothing recurs any more.
TOLD_AS_ZERO = "mrr"


def print_explained(console: Console, explained: Explained) -> None:
    """Print one event: its type and id, then each call, or why there is none. Why it is invalid stands elsewhere."""
    title = Text.assemble(
        (visible(explained.type or "no Stripe event"), "bold"), visible(f"  {explained.id or ''}").rstrip()
    )
    console.print(title, soft_wrap=True)
    if explained.outcome == "invalid":
        console.print(Text("  invalid", "red"))
    elif not explained.calls:
        console.print(Text(f"  no calls: {visible(explained.reason or explained.outcome)}", "dim"), soft_wrap=True)
    for call in explained.calls:
        _print_call(console, call)


def _print_call(console: Console, call: Mapping[str, Any]) -> None:
    short = headline(call)
    track = call.get("type") == "track"
    parts = (
        (short.name, "green" if track else "cyan"),
        (short.says, "bold" if track else ""),
        (short.who if track else "", ""),
    )
    line = Text("  " if track else " ").join(Text(visible(part), style) for part, style in parts if part)
    console.print(Text.assemble("  ", line), soft_wrap=True)
    main = visible(" · ".join(_main(call)))
    for text in wrap(main, console.width, initial_indent=INDENT, subsequent_indent=INDENT, break_long_words=False):
        console.print(Text(text, "dim"), soft_wrap=True)


def _main(call: Mapping[str, Any]) -> Iterator[str]:
    """The properties or traits that people read beside the headline: no ids, no objects, nothing that is empty."""
    bucket = call.get("properties" if call.get("type") == "track" else "traits")
    values = bucket if isinstance(bucket, dict) else {}
    currency = str(values.get("currency") or "?")
    for name, value in values.items():
        kind, amount = KINDS.get(name, Kind.STRING), number(value)
        if name in AMOUNTS or name.endswith("_id") or kind is Kind.CURRENCY or isinstance(value, dict | list):
            continue
        if kind is Kind.MONEY and amount is not None and not name.startswith("percent"):
            if amount or name == TOLD_AS_ZERO:
                yield f"{name} {amount_text(amount, currency)}"
        elif kind is Kind.TIME and value:
            yield f"{name} {str(value)[:DAY]}"
        elif value not in {None, ""}:
            yield f"{name} {str(value).lower() if isinstance(value, bool) else value}"
