"""Copies of frozen values with some fields changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["copied"]

if TYPE_CHECKING:
    # So that names and types of the fields are checked.
    from dataclasses import replace as copied
else:

    def copied[T](value: T, /, **changes: Any) -> T:
        """`dataclasses.replace` for a dataclass without slots and `__post_init__`, at a fifth of its price.

        That one reads and sets field by field; each event changes its customer's record five times.
        """
        copy = object.__new__(type(value))
        copy.__dict__.update(value.__dict__, **changes)
        return copy
