"""`stripe-to-segment unidentified`: how much of the money belongs to customers without a known user."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from stripe_to_segment.stripe_side.money import digits, major
from stripe_to_segment_tools.access.options import AsJson, StackChoice, on_a_stack
from stripe_to_segment_tools.terminal.output import make_console, say, say_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stripe_to_segment.state.encoding import Kept
    from stripe_to_segment.state.profile import Profile

__all__ = ["unidentified_command"]

ALL, NAMELESS = 0, 1


@on_a_stack
def unidentified_command(
    stack: StackChoice,
    *,
    top: Annotated[int, typer.Option(help="How many of the largest to list for each currency.", min=0)] = 5,
    as_json: AsJson = False,
) -> None:
    """Print how much of the mrr and of the lifetime value belongs to customers without a known user, by currency.

    It reads the whole StateTable, so it knows what events and imports have stated. Below the sums stand the largest
    customers without a user, by mrr, then by lifetime value. A guest's payment has the id of the payment or the
    session. To name users, put them into Stripe's metadata, or use `import --users` or `identify-customers`.

    Exit status: 0; 2 if the StateTable cannot be read.

    Examples
    --------
      stripe-to-segment unidentified --stack stripe-to-segment

      stripe-to-segment unidentified --top 100 --json
    """
    modes = counted(stack.find().store().everything(), top)
    if as_json:
        say_json({mode: found.said() for mode, found in sorted(modes.items())})
        return
    if not modes:
        say("the stack remembers no customer yet: run `stripe-to-segment import`, or wait for the first event")
    for mode, found in sorted(modes.items()):
        say(f"{mode} mode: {found.customers:,} customers and guests, {found.nameless:,} of them without a known user")
        console = make_console()
        console.print(_sums_table(found))
        if found.unknown[ALL]:
            many = f"{found.unknown[ALL]:,} live subscription{'s' if found.unknown[ALL] > 1 else ''} of unknown mrr"
            say(f"not in these sums: {many}, {found.unknown[NAMELESS]:,} of them without a known user")
        if found.largest:
            console.print(_largest_table(found))


@dataclass(slots=True)
class Sums:
    """Amounts in minor units, each of all customers and of those without a user."""

    mrr: list[int] = field(default_factory=lambda: [0, 0])
    lifetime: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, mrr: int, lifetime: int, *, nameless: bool) -> None:
        """Add a customer."""
        for place in (ALL, NAMELESS) if nameless else (ALL,):
            self.mrr[place] += mrr
            self.lifetime[place] += lifetime


@dataclass(slots=True)
class Mode:
    """The customers of one mode: how many, the sums by currency, and the largest of those without a user.

    `unknown` counts the live subscriptions of unknown mrr, of all customers and of those without a user. An entry of
    `largest` is a heap of (mrr, lifetime value, a number that decides between equals, id), in minor units.
    """

    customers: int = 0
    nameless: int = 0
    unknown: list[int] = field(default_factory=lambda: [0, 0])
    sums: dict[str, Sums] = field(default_factory=dict)
    largest: dict[str, list[tuple[int, int, int, str]]] = field(default_factory=dict)

    def ranked(self) -> Iterator[tuple[str, str, int, int]]:
        """Currency, id, mrr and lifetime value of the largest, those of one currency together."""
        for currency, heap in sorted(self.largest.items()):
            for mrr, lifetime, _, name in sorted(heap, reverse=True):
                yield currency, name, mrr, lifetime

    def said(self) -> dict[str, object]:
        """It as JSON, with amounts in major units."""
        return {
            "customers": self.customers,
            "without_user": self.nameless,
            "mrr_unknown": self.unknown[ALL],
            "mrr_unknown_without_user": self.unknown[NAMELESS],
            "currencies": {
                currency.upper(): {
                    "mrr": _number(sums.mrr[ALL], currency),
                    "mrr_without_user": _number(sums.mrr[NAMELESS], currency),
                    "lifetime_value": _number(sums.lifetime[ALL], currency),
                    "lifetime_value_without_user": _number(sums.lifetime[NAMELESS], currency),
                }
                for currency, sums in sorted(self.sums.items())
            },
            "largest": [
                {
                    "id": name,
                    "currency": currency.upper(),
                    "mrr": _number(mrr, currency),
                    "lifetime_value": _number(lifetime, currency),
                }
                for currency, name, mrr, lifetime in self.ranked()
            ],
        }


def counted(kept: Iterable[Kept], top: int) -> dict[str, Mode]:
    """The customers by mode, with the `top` largest of each currency. Memory does not grow with their number."""
    modes: dict[str, Mode] = {}
    order = count()
    for each in kept:
        profile = each.profile
        # A record of a payment that its customer's record has taken over would count twice.
        if profile is None or profile.moved_to or not (profile.subscriptions or profile.paid):
            continue
        account, mode, owner = profile.key.split(":", 2)
        nameless = profile.user_id is None
        found = modes.setdefault(mode, Mode())
        found.customers += 1
        found.nameless += nameless
        unknown = sum(record.mrr is None for record in profile.live)
        found.unknown[ALL] += unknown
        found.unknown[NAMELESS] += unknown * nameless
        for currency, (mrr, lifetime) in _amounts(profile).items():
            found.sums.setdefault(currency, Sums()).add(mrr, lifetime, nameless=nameless)
            if nameless and top and (mrr or lifetime):
                heap = found.largest.setdefault(currency, [])
                heapq.heappush(heap, (mrr, lifetime, next(order), owner if account == "own" else f"{account}:{owner}"))
                if len(heap) > top:
                    heapq.heappop(heap)
    return modes


def _amounts(profile: Profile) -> dict[str, tuple[int, int]]:
    """Mrr and lifetime value by currency, in minor units; a subscription of unknown mrr is left out."""
    mrr: dict[str, int] = {}
    for record in profile.live:
        if record.currency:
            mrr[record.currency] = mrr.get(record.currency, 0) + (record.mrr or 0)
    return {currency: (mrr.get(currency, 0), profile.paid.get(currency, 0)) for currency in mrr.keys() | profile.paid}


def _number(minor: int, currency: str) -> float | int:
    amount = major(minor, currency)
    return int(amount) if amount == amount.to_integral() else float(amount)


def _written(minor: int, currency: str, of: int | None = None) -> str:
    amount = f"{major(minor, currency):,.{digits(currency)}f}"
    return amount if not of else f"{amount} ({minor / of:.1%})"


def _sums_table(found: Mode) -> Table:
    table = _table("Currency", "mrr", "without a user", "lifetime value", "without a user")
    for currency, sums in sorted(found.sums.items()):
        table.add_row(
            visible(currency.upper()),
            _written(sums.mrr[ALL], currency),
            _written(sums.mrr[NAMELESS], currency, sums.mrr[ALL]),
            _written(sums.lifetime[ALL], currency),
            _written(sums.lifetime[NAMELESS], currency, sums.lifetime[ALL]),
        )
    return table


def _largest_table(found: Mode) -> Table:
    table = _table("Largest without a user", "mrr", "lifetime value", "currency")
    for currency, name, mrr, lifetime in found.ranked():
        amounts = _written(mrr, currency), _written(lifetime, currency)
        table.add_row(visible(name), *amounts, visible(currency.upper()))
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for name in others:
        options: dict[str, Any] = {"justify": "right", "no_wrap": True}
        table.add_column(name, **options)
    return table
