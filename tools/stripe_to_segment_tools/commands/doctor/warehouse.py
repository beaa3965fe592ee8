"""Check that the columns of a warehouse behind the sources will hold fractional amounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stripe_to_segment_tools.commands.doctor.check import bad, good
from stripe_to_segment_tools.commands.prime.sources import sources_of
from stripe_to_segment_tools.terminal.moments import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stripe_to_segment.secrets import Keys
    from stripe_to_segment.settings import Settings
    from stripe_to_segment_tools.access.stack import Stack
    from stripe_to_segment_tools.commands.doctor.check import Check

__all__ = ["check_warehouse"]


def check_warehouse(stack: Stack, settings: Settings, keys: Keys) -> Iterator[Check]:
    """Check that each source was primed. Not for the local stack, whose receiver is not a warehouse."""
    if stack.local:
        return
    store, prime = stack.store(), f"stripe-to-segment prime {' '.join(stack.options)}"
    for source in sources_of(settings, keys):
        name = f"warehouse, {source.mode} source"
        if (at := source.primed_at(store)) is not None:
            yield good(name, f"primed on {iso(at)}")
        elif (at := source.declined_at(store)) is not None:
            yield good(name, f"priming was declined on {iso(at)}: amounts in a warehouse may lose their cents")
        else:
            before = source.once_primed_at(store)
            more = "" if before is None else f" since {iso(before)}, and an update or RenameEvents brought columns"
            said = f"not primed{more}: a warehouse makes whole numbers of columns whose first amount is one"
            yield bad(name, said, f"{prime}, or where no warehouse is connected: {prime} --decline")
