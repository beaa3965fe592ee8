"""A Postgres of its own for a while, which listens in a folder and nowhere else."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["postgres", "programs_of_postgres"]

# Debian leaves the server's programs out of the path.
DEBIAN = Path("/usr/lib/postgresql")
# Postgres refuses to run as root; Debian's package makes this user.
OTHER_THAN_ROOT = "postgres"
OPTIONS = "-c listen_addresses= -c fsync=off -c timezone=America/New_York"


def programs_of_postgres() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, or None."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else sorted(DEBIAN.glob("*/bin"))
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextmanager
def postgres(programs: Path) -> Iterator[Path]:
    """Run one whose sessions are in New York, and yield the folder of its sockets."""
    # Short: the path of a socket has at most 107 bytes. https://man7.org/linux/man-pages/man7/unix.7.html
    folder = Path(mkdtemp(prefix="pg-"))
    user = OTHER_THAN_ROOT if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"

    def run(program: str, *words: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *words], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL
        )

    try:
        run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C")
        run("pg_ctl", "--wait", f"--log={folder / 'log'}", f"--options={OPTIONS} -k {folder}", "start")
        yield folder
    finally:
        if (data / "postmaster.pid").exists():
            run("pg_ctl", "--mode=immediate", "--silent", "stop")
        shutil.rmtree(folder)
