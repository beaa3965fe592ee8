"""The checkout that these tools work in."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PROJECT"]

PROJECT = Path(__file__).resolve().parents[2]
