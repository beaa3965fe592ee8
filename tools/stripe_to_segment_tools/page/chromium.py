"""The system's Chromium, driven by Playwright: for the browser tests and for the screenshot."""

from __future__ import annotations

import shutil

__all__ = ["FLAGS", "find_chromium"]

# With these Chromium connects to this machine only, and also runs as root in a container.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome, or None. Nothing is downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)
