"""SnapStart: what is ready before Lambda takes a snapshot of a function, and what each copy of it starts afresh.

One snapshot becomes many environments, days later: they must not share random numbers, connections or a secret.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

try:
    from snapshot_restore_py import register_after_restore, register_before_snapshot
except ImportError:
    # Lambda's own Python has it, and runs what is registered only where SnapStart is on. Elsewhere nobody would.
    register_after_restore = register_before_snapshot = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["snapshot_hooks"]


def snapshot_hooks(prepare: Iterable[Callable[[], object]], renew: Iterable[Callable[[], object]]) -> None:
    """Have a snapshot hold what is prepared, and each copy renew what it must not share; the latter may take 10 s.

    Random numbers are always renewed: jitter that all copies share is none, here as in botocore's retries.
    """
    if register_before_snapshot is None or register_after_restore is None:
        return
    for each in prepare:
        register_before_snapshot(each)
    for each in (random.seed, *renew):
        register_after_restore(each)
