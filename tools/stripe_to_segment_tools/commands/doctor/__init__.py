"""`stripe-to-segment doctor`: verify a deployed stack, and print a fix for each problem."""

from __future__ import annotations

from stripe_to_segment_tools.commands.doctor.command import doctor_command

__all__ = ["doctor_command"]
