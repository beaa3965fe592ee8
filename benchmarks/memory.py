"""How much memory the built functions take, in AWS's own runtime: `python -m benchmarks.memory` prints it as JSON.

It runs in the development environment, which has what drives AWS's runtime interface emulator.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.workload import BIGGEST, event_texts, largest
from stripe_to_segment_tools.lambda_runtime.invoke import invoke

# What SQS hands over at most, in one message and in one batch, less room for what stands around the events.
MESSAGE_BYTES, BATCH_BYTES = 1_000_000, 5_900_000


def main() -> None:
    """Each function with what usually comes and with the worst that can."""
    (event,) = event_texts(0, 1)
    huge = [largest(number, MESSAGE_BYTES) for number in range(BATCH_BYTES // MESSAGE_BYTES)]
    subjects = {
        "receive, an event": ("receive", [event]),
        "receive, an event of 1 MB": ("receive", huge[:1]),
        "deliver, an event": ("deliver", [event]),
        "deliver, 100 events": ("deliver", event_texts(0, 100)),
        f"deliver, 100 times the largest sample ({len(BIGGEST) / 1000:.0f} KB)": (
            "deliver",
            [largest(number) for number in range(100)],
        ),
        f"deliver, {len(huge)} events of 1 MB, the most that one batch holds": ("deliver", huge),
    }
    print(json.dumps({name: _taken(function, texts) for name, (function, texts) in subjects.items()}))


def _taken(function: str, texts: list[str]) -> dict[str, Any]:
    content = f"[{','.join(texts)}]" if function == "deliver" else texts[0]
    done = invoke(function, content.encode())
    if done.result.failed or (done.queued and function == "deliver") or done.dead_letters:
        print(done.result.log[-2000:], file=sys.stderr)
        raise AssertionError(done.result.answer, done.dead_letters[:1])
    return {"megabytes": done.result.peak_megabytes, "seconds": done.result.processor_seconds}


if __name__ == "__main__":
    main()
