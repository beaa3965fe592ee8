r"""`make deploy`: build, then run `sam deploy` with your answers to five questions.

It asks for the stack's name, the AWS region, Segment's region, a mail address for alarms, and whether to send or only
to log. sam then shows the changes and asks for confirmation. Answers are saved in .deploy/<stack>.toml, where you can
set every other parameter of the template too, and are not asked for again.

Without a terminal it asks nothing, and each answer has to be a variable:

  STACK=stripe-to-segment REGION=eu-central-1 SEGMENT_REGION=eu ALARM_EMAIL=oncall@example.com DELIVERY_MODE=send \
    make deploy

SEGMENT_REGION   us, eu, or the address of another endpoint
ALARM_EMAIL      an address, or none
DELIVERY_MODE    send or log
PARAMETERS       any other parameters: "LogLevel=DEBUG DropEvents='Checkout Expired,Trial Ending Soon'"
ASK=1            at a terminal: ask again for what was answered before
AWS_PROFILE      and the other variables of the AWS CLI count as everywhere

Exit status: 0 if the stack is deployed, or needed no change; 1 if not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from stripe_to_segment_tools.access.stack import refused, unreachable
from stripe_to_segment_tools.commands.deploy.answers import Sources
from stripe_to_segment_tools.commands.deploy.deployment import Project, deploy
from stripe_to_segment_tools.commands.deploy.errors import DeployError
from stripe_to_segment_tools.project import PROJECT
from stripe_to_segment_tools.terminal.output import say, visible

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy; return the exit status."""
    formatter = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser(prog="make deploy", description=__doc__, formatter_class=formatter).parse_args(arguments)
    # A stream that the caller has closed is None.
    at_terminal = all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))
    try:
        session = boto3.Session()
        project = Project(
            PROJECT,
            client=lambda region: session.client("cloudformation", region_name=region),
            run=_run,
            region=session.region_name or "",
        )
        deploy(project, Sources(os.environ, _ask if at_terminal else None, again=bool(os.environ.get("ASK"))))
    except DeployError as error:
        return _failed(str(error))
    except ClientError as error:
        return _failed(refused(error))
    except BotoCoreError as error:
        return _failed(unreachable(error, region="REGION", profile="AWS_PROFILE"))
    except (KeyboardInterrupt, EOFError):
        say("", "interrupted")
        return INTERRUPTED
    return 0


def _ask(text: str, offered: str) -> str:
    return input(visible(f"{text} [{offered}]: " if offered else f"{text}: "))


def _run(command: Sequence[str], folder: Path) -> int:
    sys.stdout.flush()
    return subprocess.run(command, cwd=folder, check=False).returncode


def _failed(why: str) -> int:
    say(f"error: {why}", err=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
