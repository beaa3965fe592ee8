"""An imitation of Segment's HTTP Tracking API that checks the requests and fails on demand."""

from __future__ import annotations

from stripe_to_segment_tools.receiver.app import create_app
from stripe_to_segment_tools.receiver.behaviour import Behaviour, Mode
from stripe_to_segment_tools.receiver.record import AcceptedCall, ReceivedRequest, Record, RefusedCall
from stripe_to_segment_tools.receiver.runner import Receiver

__all__ = ["AcceptedCall", "Behaviour", "Mode", "ReceivedRequest", "Receiver", "Record", "RefusedCall", "create_app"]
