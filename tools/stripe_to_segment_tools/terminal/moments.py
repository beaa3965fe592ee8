"""Points in time, as commands read and print them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from stripe_to_segment_tools.terminal.output import stop

__all__ = ["iso", "moment"]

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def moment(text: str, now: int, option: str) -> int:
    """The epoch seconds of `7d` (ago), a date or a time, in UTC if it has no offset.

    Ends the command on anything else.
    """
    ago = re.fullmatch(r"(\d+)([smhd])", text.strip())
    if ago:
        return now - int(ago[1]) * UNITS[ago[2]]
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        stop(f"{option} is {text!r}; it takes 7d, 12h, 90m, 2026-11-01 or 2026-11-01T08:30:00Z")
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp())


def iso(seconds: float) -> str:
    """Epoch seconds as an ISO 8601 text in UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
