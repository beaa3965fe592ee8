"""The two functions as Lambda would load them, with AWS and Segment replaced."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.cold_start import environment_beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from stripe_to_segment.state.store import Store

__all__ = [
    "SIGNING_SECRET",
    "WRITE_KEY",
    "Context",
    "StandInQueue",
    "deliver_function",
    "delivered",
    "receive_function",
]

ROOT = Path(__file__).resolve().parents[1]
SIGNING_SECRET = "whsec_benchQk7Zr2Xw9Lt4Vy8Np3Jd6"  # noqa: S105 - nobody's
WRITE_KEY = "k" * 32
SECRET = {
    "stripe_live_signing_secrets": [SIGNING_SECRET],
    "stripe_test_signing_secrets": [SIGNING_SECRET],
    "segment_write_key": WRITE_KEY,
    "segment_test_write_key": WRITE_KEY,
}


class StandInQueue:
    """Takes everything at once: what is measured is the function beyond the call."""

    def send_message(self, **_: Any) -> dict[str, Any]:
        """Take a message."""
        return {}

    def change_message_visibility_batch(self, **_: Any) -> dict[str, Any]:
        """Take new timeouts."""
        return {}


class StandInSecrets:
    """Has both secrets."""

    def get_secret_value(self, **_: Any) -> dict[str, Any]:
        """Read a secret."""
        return {"SecretString": json.dumps(SECRET)}


class Context:
    """As much of Lambda's context as the functions look at."""

    function_name = "bench"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:bench"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """A minute, always."""
        return 60_000


def delivered(app: ModuleType, batch: dict[str, Any]) -> None:
    """Have the deliver function deliver a whole batch; raises if a record fails, because failures are fast."""
    failed = app.handler(batch, Context())["batchItemFailures"]
    if failed:
        raise AssertionError(f"{len(failed)} of {len(batch['Records'])} events were not delivered")


def receive_function() -> ModuleType:
    """functions/receive/app.py with a queue that costs nothing."""
    return _loaded("receive", {})


def deliver_function(segment: str, store: Callable[[], Store]) -> ModuleType:
    """functions/deliver/app.py, sending to an address; `store` gives the StateTable of each batch."""
    # What waits for its payment would come again, and each batch is delivered once here.
    settings = {"SEGMENT_ENDPOINT": segment, "COMPRESS_REQUESTS": "on", "PAYMENT_HOLD_SECONDS": "0"}
    app = _loaded("deliver", settings)
    app.store = store
    return app


def _loaded(name: str, environment: dict[str, str]) -> Any:
    os.environ.update(environment_beside(f"{name.capitalize()}Function") | environment)
    folder = ROOT / "functions" / name
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(f"{name}_app", folder / "app.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder)
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    app.aws.client = {"secretsmanager": StandInSecrets(), "sqs": StandInQueue()}.__getitem__
    return app
