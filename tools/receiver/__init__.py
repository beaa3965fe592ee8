"""An imitation of Segment's HTTP Tracking API that checks what it is sent and misbehaves on demand."""

from __future__ import annotations

from tools.receiver.app import create_app
from tools.receiver.behaviour import Behaviour, Mode
from tools.receiver.record import AcceptedCall, ReceivedRequest, Record
from tools.receiver.runner import Receiver

__all__ = ["AcceptedCall", "Behaviour", "Mode", "ReceivedRequest", "Receiver", "Record", "create_app"]
