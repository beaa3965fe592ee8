"""A stand-in for GNU make 3.81 of 2006, which macOS ships. Installed as a program named `make`.

Features of later releases have no effect here, or end with an error if 3.81 would misread them. Everything else is left
to the `make` of this machine, at the path in REAL_MAKE. https://git.savannah.gnu.org/cgit/make.git/tree/NEWS
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# For 3.81 these are ordinary targets and variables.
WITHOUT_EFFECT = re.compile(r"^\.(ONESHELL|SHELLFLAGS|RECIPEPREFIX|EXTRA_PREREQS)\b.*$", re.MULTILINE)
MISREAD = {
    "define with an assignment (3.82)": r"^define\s+\S+\s*[:+?]?=",
    "undefine (3.82)": r"^(override\s+)?undefine\s",
    "private (3.82)": r"^(?!\t).*:\s*private\s",
    "!= (4.0)": r"^(?!\t)[\w.-]+\s*!=",
    "::= (4.0)": r"^(?!\t)[\w.-]+\s*:::?=",
    "$(file) (4.0)": r"\$\(file\s",
    "$(guile) (4.0)": r"\$\(guile\s",
    "grouped targets (4.3)": r"^(?!\t)[^#=]*&:",
    "$(let) (4.4)": r"\$\(let\s",
    "$(intcmp) (4.4)": r"\$\(intcmp\s",
}
# The value of `$(.FEATURES)` in 3.81.
FEATURES = "target-specific order-only second-expansion else-if archives jobserver check-symlink"


def main() -> None:
    """Run make on the Makefile as 3.81 would read it."""
    arguments = sys.argv[1:]
    name = arguments.pop(arguments.index("-f") + 1) if "-f" in arguments else "Makefile"
    arguments = [word for word in arguments if word != "-f"]
    text = Path(name).read_text(encoding="utf-8")
    if found := [what for what, pattern in MISREAD.items() if re.search(pattern, text, re.MULTILINE)]:
        sys.exit(f"make 3.81: {name} has {', '.join(found)}")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="make-3.81-") as understood:
        understood.write(WITHOUT_EFFECT.sub("", text))
        understood.flush()
        command = [os.environ["REAL_MAKE"], "-f", understood.name, *arguments, f".FEATURES={FEATURES}"]
        sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
