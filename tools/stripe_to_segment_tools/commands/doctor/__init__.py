"""`stripe-to-segment doctor`: whether a deployed stack is in order, and what to do where it is not."""

from __future__ import annotations

from stripe_to_segment_tools.commands.doctor.command import doctor_command

__all__ = ["doctor_command"]
