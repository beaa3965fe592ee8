"""The whole pack on one machine: the real template, deployed by the real `sam deploy` into an AWS emulator."""

from __future__ import annotations

from stripe_to_segment_tools.local_stack.errors import LocalStackError
from stripe_to_segment_tools.local_stack.process import stop_on_signals
from stripe_to_segment_tools.local_stack.stack import WEBHOOK_PATH, LocalStack, Queued, Secret

__all__ = ["WEBHOOK_PATH", "LocalStack", "LocalStackError", "Queued", "Secret", "stop_on_signals"]
