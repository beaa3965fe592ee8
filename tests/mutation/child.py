"""pytest with one module of the package replaced: `python -m tests.mutation.child MODULE FILE ARGUMENT...`."""

from __future__ import annotations

import importlib.util
import resource
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Limits a mutant that allocates memory without end.
MEMORY_BYTES = 4 << 30


class InPlaceOf(MetaPathFinder):
    """Imports the mutant instead of the module."""

    def __init__(self, module: str, file: str) -> None:
        self._module = module
        self._file = file

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The mutant's spec for the replaced module, None for every other module."""
        del path, target
        return importlib.util.spec_from_file_location(fullname, self._file) if fullname == self._module else None


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    sys.meta_path.insert(0, InPlaceOf(*sys.argv[1:3]))
    raise SystemExit(pytest.main(sys.argv[3:]))
