"""Dataclasses whose fields nobody may set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import dataclass_transform

__all__ = ["frozen"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen[T](declared: type[T]) -> type[T]:
    """A dataclass with slots that the type checker keeps frozen, and Python does not.

    Python would set each field of a frozen one by calling a function, which takes four times as long, and each event
    makes twenty of them.
    """
    return dataclass(slots=True, unsafe_hash=True)(declared)
