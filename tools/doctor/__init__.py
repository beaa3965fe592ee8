"""`stripe-to-segment doctor`: whether a deployed stack is in order, and what to do where it is not."""

from __future__ import annotations

from tools.doctor.command import doctor_command

__all__ = ["doctor_command"]
