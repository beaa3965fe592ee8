"""The system's Chromium, driven by Playwright: for the browser tests and for the screenshot."""

from __future__ import annotations

import shutil

__all__ = ["FLAGS", "find_chromium"]

# With these it talks to this machine and to nobody else, and runs as root in a container too.
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
    """The path of a Chromium or Chrome; None where there is none. It is never downloaded."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)
