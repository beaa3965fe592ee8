"""GNU make as macOS ships it: 3.81 of 2006, in what a Makefile notices of it. Installed as a program named `make`.

What a later release brought has no effect here, or ends with an error where 3.81 would misread it. The rest is the
`make` of this machine, which REAL_MAKE names. https://git.savannah.gnu.org/cgit/make.git/tree/NEWS
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Plain targets and variables to 3.81.
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
# `$(.FEATURES)` of 3.81.
FEATURES = "target-specific order-only second-expansion else-if archives jobserver check-symlink"


def main() -> None:
    """Run make on the Makefile as 3.81 would understand it."""
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
        sys.exit(subprocess.run(command, check=False).returncode)  # noqa: S603 - the real make


if __name__ == "__main__":
    main()
