"""The errors of the local stack. Each message says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "AlreadyRunningError",
    "BuildMissingError",
    "DeployFailedError",
    "EmulatorFailedError",
    "LocalStackError",
    "PortInUseError",
    "PythonVersionError",
    "ToolMissingError",
]


class LocalStackError(Exception):
    """Base of all errors of the local stack. When one is raised, every started process has been stopped."""


class AlreadyRunningError(LocalStackError):
    """Another `make run` runs in this checkout, or is starting: then it has no page yet."""

    def __init__(self, page_url: str | None) -> None:
        self.page_url = page_url
        where = f"its page is {page_url}" if page_url else "it is starting and will print its page"
        super().__init__(
            f"`make run` is running already in this checkout: {where}. Stop it with Ctrl-C to start another"
        )


class ToolMissingError(LocalStackError):
    """A program of the project's own environments is missing."""

    def __init__(self, program: Path) -> None:
        self.program = program
        super().__init__(f"{program} is missing: run `make install`")


class PythonVersionError(LocalStackError):
    """The emulator's environment has another Python than the functions' runtime."""

    def __init__(self, program: Path, found: str, wanted: str) -> None:
        self.found = found
        self.wanted = wanted
        super().__init__(
            f"{program} is Python {found}, but the functions run on Python {wanted} and the emulator runs them on its"
            f" own: install Python {wanted}, then `rm -r {program.parent.parent}` and `make install`"
        )


class BuildMissingError(LocalStackError):
    """`sam build` has not been run."""

    def __init__(self, template: Path) -> None:
        self.template = template
        super().__init__(f"{template} is missing: run `make build`")


class PortInUseError(LocalStackError):
    """The requested port is in use."""

    def __init__(self, port: int, purpose: str) -> None:
        self.port = port
        super().__init__(
            f"port {port} for {purpose} is in use: stop what listens there (`lsof -i :{port}` names it) or choose"
            " another port, 0 for any free one"
        )


class EmulatorFailedError(LocalStackError):
    """The AWS emulator did not start, or stopped by itself."""

    def __init__(self, problem: str, log: Path, last_lines: str) -> None:
        self.last_lines = last_lines
        super().__init__(f"the AWS emulator {problem}. The end of {log.name}:\n{last_lines or '(nothing)'}")


class DeployFailedError(LocalStackError):
    """`sam deploy` failed, or the deployed stack lacks a resource that the local stack needs."""
