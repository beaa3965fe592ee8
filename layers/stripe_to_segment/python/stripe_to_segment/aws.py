"""Clients of AWS services; the functions make each one when it is first needed."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config

__all__ = ["client"]

# The SDK would wait a minute for each try: longer than Stripe waits for an answer, and than a batch may take.
# A call that hangs is tried twice more, and then reported like one that failed.
PATIENCE = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard"})


def client(service: str) -> Any:
    """A low-level client that gives up in time for its function to say so."""
    made: Any = boto3.client(service, config=PATIENCE)  # type: ignore[call-overload]
    return made
