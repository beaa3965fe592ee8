"""What PyPI shows of the wheel: README.md with links that hold there; REPOSITORY_URL=… is the repository."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class ReadmeHook(MetadataHookInterface):
    """Hatchling calls it, also where only the source distribution is."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        root = Path(self.root)
        readme = runpy.run_path(str(root / "tools/stripe_to_segment_tools/build/readme.py"))["readme_elsewhere"]
        text = readme((root / "README.md").read_text("utf-8"), os.environ.get("REPOSITORY_URL", ""))
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
