"""SnapStart: prepare a function before Lambda takes its snapshot, and renew the state that copies must not share.

One snapshot becomes many environments, days later. They must not share random numbers, connections or a secret.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-uniqueness.html
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

try:
    from snapshot_restore_py import register_after_restore, register_before_snapshot
except ImportError:
    # Only Lambda's Python has this module, and it calls the hooks only where SnapStart is on.
    register_after_restore = register_before_snapshot = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["snapshot_hooks"]


def snapshot_hooks(prepare: Iterable[Callable[[], object]], renew: Iterable[Callable[[], object]]) -> None:
    """Register `prepare` to run before the snapshot and `renew` to run in each copy, within Lambda's limit of 10 s.

    Random numbers are always renewed: copies with the same jitter, here or in botocore's retries, would retry together.
    """
    if register_before_snapshot is None or register_after_restore is None:
        return
    for each in prepare:
        register_before_snapshot(each)
    for each in (random.seed, *renew):
        register_after_restore(each)
