"""Cold start: what importing a function costs, in fresh processes that see its code, its layers and nothing else."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measured import Measured, interleaved
from benchmarks.targets import Target
from stripe_to_segment_tools.lambda_runtime.built_function import read_built_function
from stripe_to_segment_tools.lambda_runtime.environment import lambda_environment

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["cold_starts", "cold_targets", "environment_beside", "loaded_needlessly"]

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / ".aws-sam/build"
DEPENDENCIES = BUILD / "DependenciesLayer/python"
LAYERS = (BUILD / "StripeToSegmentLayer/python", DEPENDENCIES)
PLAIN = ROOT / ".local/bench/aws-pattern"
COMPILED = ROOT / ".local/bench/aws-pattern-compiled"
PATTERN = ROOT / "benchmarks/aws_pattern"

RECEIVE, DELIVER = "import receive", "import deliver"
FLOOR = "floor: import boto3, one SQS client"
AWS_PATTERN = "AWS's Stripe-to-EventBridge pattern, plain pip directory"
AWS_PATTERN_COMPILED = "the same, with bytecode"
RECEIVE_READY, DELIVER_READY = "receive, ready to answer", "deliver, ready to answer"

SUBJECTS = {
    FLOOR: ("import boto3; boto3.client('sqs')", (DEPENDENCIES,)),
    RECEIVE: ("import app", (BUILD / "ReceiveFunction", *LAYERS)),
    DELIVER: ("import app", (BUILD / "DeliverFunction", *LAYERS)),
    # With the clients that the first request makes.
    RECEIVE_READY: (
        "import app; app.aws.client('secretsmanager'); app.aws.client('sqs')",
        (BUILD / "ReceiveFunction", *LAYERS),
    ),
    DELIVER_READY: (
        "import app; app.aws.client('secretsmanager'); app.store(); app.aws.client('sqs')",
        (BUILD / "DeliverFunction", *LAYERS),
    ),
    AWS_PATTERN: ("import app", (PATTERN, PLAIN)),
    AWS_PATTERN_COMPILED: ("import app", (PATTERN, COMPILED)),
}

# All that a function may load beside Python's library: what a new import brings along is a miss until it stands here.
AWS = {"boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"}
HTTPS = {"requests", "certifi", "charset_normalizer", "idna"}
USED = AWS | HTTPS | {"aws_lambda_powertools", "typing_extensions", "stripe_to_segment"}
# stripe checks signatures, and brings requests along; deliver sends, with requests, and checks none.
PACKAGES = {RECEIVE: USED | {"app", "stripe"}, DELIVER: USED | {"app", "enrich"}}
# Parts of these packages that it has no use for.
FORBIDDEN = {
    RECEIVE: (
        "aws_lambda_powertools.event_handler",
        "stripe_to_segment.mapping.translate",
        "stripe_to_segment.state.dynamodb",
        "stripe_to_segment.segment_side.client",
    ),
    DELIVER: ("aws_lambda_powertools.event_handler", "stripe_to_segment.stripe_side.signature"),
}

OF_THE_PROCESS = {"PATH", "LD_LIBRARY_PATH", "PYTHONPATH"}
# What only a deployment knows, made up.
RESOURCES = {
    "SIGNING_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:none",
    "KEYS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:none",
    "EVENTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/events",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/dead-letters",
    "STATE_TABLE": "state",
}


@cache
def environment_of(function: str) -> dict[str, str]:
    """Lambda's environment for a built function, such as DeliverFunction."""
    return lambda_environment(read_built_function(function)) | RESOURCES


def environment_beside(function: str) -> dict[str, str]:
    """The same for a process of this project, but for where it finds its own programs and modules."""
    return {name: value for name, value in environment_of(function).items() if name not in OF_THE_PROCESS}


def cold_starts(rounds: int) -> dict[str, Measured]:
    """Processor seconds of a whole process each, less those of an interpreter that imports nothing."""
    subjects: dict[str, Callable[[], float]] = {
        name: lambda code=code, path=path: _processor_seconds(code, path) for name, (code, path) in SUBJECTS.items()
    }
    empty = "empty"
    found = interleaved({empty: lambda: _processor_seconds("pass", ()), **subjects}, rounds)
    bare = sorted(found.pop(empty))[rounds // 2]
    return {name: Measured(name, tuple(value - bare for value in values)) for name, values in found.items()}


def cold_targets(cold: dict[str, Measured]) -> list[Target]:
    """The limits on the import of each function."""
    limits = ((RECEIVE, FLOOR, 1.3), (RECEIVE, AWS_PATTERN, 0.6), (DELIVER, FLOOR, 1.3), (DELIVER, AWS_PATTERN, 0.6))
    ratios = [Target(f"{name} / {other}", cold[name].over(cold[other]), most) for name, other, most in limits]
    needless = [Target(f"{name}: modules it has no use for", len(loaded_needlessly(name)), 0) for name in FORBIDDEN]
    clients = [Target(f"{name}: clients made, addresses asked", _contacts(name), 0) for name in FORBIDDEN]
    return [*ratios, *needless, *clients]


def loaded_needlessly(name: str) -> list[str]:
    """The modules that importing a function loads and that it has no use for."""
    code, path = SUBJECTS[name]
    listing = (
        f"{code}, sys\n"
        "files = {name: getattr(module, '__file__', None) or '' for name, module in sys.modules.items()}\n"
        f"print(*(name for name, file in files.items() if file.startswith({tuple(map(str, path))!r})))"
    )
    loaded = _run(listing, path).split()
    return [each for each in loaded if each.partition(".")[0] not in PACKAGES[name] or each in FORBIDDEN[name]]


def _contacts(name: str) -> int:
    """How many AWS clients are made and how many connections are tried while a function is imported."""
    code, path = SUBJECTS[name]
    watch = (
        "import sys, botocore.session as session\n"
        "found = []\n"
        "session.Session.create_client = lambda *given, **more: found.append(given)\n"
        "sys.addaudithook(lambda event, _: event in ('socket.connect', 'socket.getaddrinfo') and found.append(event))\n"
    )
    return int(_run(f"{watch}{code}\nprint(len(found))", path))


def _processor_seconds(code: str, path: tuple[Path, ...]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(code, path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(code: str, path: tuple[Path, ...]) -> str:
    function = "ReceiveFunction" if BUILD / "ReceiveFunction" in path else "DeliverFunction"
    environment = environment_of(function) | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    # The interpreter itself, not the environment's link to it; -S -s: no site-packages; -B: Lambda's folders are
    # read-only, so no bytecode is written.
    interpreter = str(Path(sys.executable).resolve())
    command = [interpreter, "-S", "-s", "-B", "-c", code]
    return subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
