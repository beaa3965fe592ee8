"""`make run` takes Stripe's own signing secret, as a variable of make or of the environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
STRIPES = "whsec_0123456789abcdef"


@pytest.mark.parametrize("by_make", [True, False], ids=["make run STRIPE_SECRET=…", "STRIPE_SECRET=… make run"])
def test_a_signing_secret_given_to_make_reaches_the_stack(tmp_path: Path, by_make: bool) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$*: $STRIPE_SECRET"\n')
    python.chmod(0o755)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "STRIPE"))
    }
    given = [f"STRIPE_SECRET={STRIPES}"] if by_make else []
    # Nothing is built or installed for it.
    command = ["make", "--silent", "--old-file=build", "--old-file=install", "run", f"PYTHON={python}", *given]
    done = subprocess.run(
        command,
        cwd=PROJECT,
        env=environment if by_make else environment | {"STRIPE_SECRET": STRIPES},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"-m stripe_to_segment_tools.local_stack.run: {STRIPES}\n",
        "",
    )
