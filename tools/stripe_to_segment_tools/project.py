"""Where these tools find their files: in a checkout, or in an installation without one."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ENRICH", "EVENTS", "MAKE_RUN", "PROJECT"]

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parents[1]
_IN_CHECKOUT = (_CHECKOUT / "template.yaml").is_file()

# Where the tools work: the checkout, or the folder in which a command was called that was installed by itself.
PROJECT = _CHECKOUT if _IN_CHECKOUT else Path.cwd()

# How a local stack is started: for the sentence "start one with …".
MAKE_RUN = "`make run`" if _IN_CHECKOUT else "`make run` in a checkout, and call this command in its folder"

# The sample events, which the wheel brings along.
EVENTS = _CHECKOUT / "events" if _IN_CHECKOUT else _HERE / "events"

# The team's own code. An installation without a checkout has none, and runs no code of the folder it is called in.
ENRICH = _CHECKOUT / "functions" / "deliver" / "enrich.py" if _IN_CHECKOUT else None
