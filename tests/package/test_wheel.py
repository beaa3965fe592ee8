"""The command line by itself: `uvx stripe-to-segment …`, without a checkout."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stripe_to_segment import __version__
from stripe_to_segment.settings import settings_from
from stripe_to_segment_tools.commands.cli import COMMANDS
from stripe_to_segment_tools.commands.explain import explain
from stripe_to_segment_tools.samples.files import EVENTS, samples
from stripe_to_segment_tools.samples.inputs import read_events
from tests.package.conftest import PROJECT, hatchling

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.package.conftest import Installed

pytestmark = pytest.mark.tool

# What imports these runs in a checkout alone: the local stack's tests, what `make` builds, the types of AWS's clients.
CHECKOUT_ALONE = {
    "aws-lambda-typing",
    "awslambdaric",
    "cryptography",
    "cyclonedx-python-lib",
    "hypercorn",
    "ministack",
    "moto",
    "packageurl-python",
    "packaging",
    "playwright",
    "snapshot-restore-py",
}
EVENT = EVENTS / "invoice.paid.subscription_create.json"


def test_explain_says_what_it_says_in_the_checkout(installed: Installed) -> None:
    result = installed.run("explain", str(EVENT))
    assert result.returncode == 0, result.stderr
    (expected,) = explain(read_events([str(EVENT)]), settings_from({}))
    assert json.loads(result.stdout) == expected.line()


def test_the_wheel_runs_and_not_the_checkout(installed: Installed) -> None:
    """What is tested here would be tested in vain if it came from the checkout."""
    result = installed.run_python(
        "import stripe_to_segment, stripe_to_segment_tools as t; print(t.__file__, stripe_to_segment.__file__)"
    )
    assert all(path.startswith(str(installed.environment)) for path in result.stdout.split())


def test_it_says_its_version(installed: Installed, wheel: Path) -> None:
    assert installed.run("--version").stdout == f"{__version__}\n"
    assert wheel.name == f"stripe_to_segment-{__version__}-py3-none-any.whl"
    calls = json.loads(installed.run("explain", str(EVENT)).stdout)["calls"]
    assert {call["context"]["library"]["version"] for call in calls} == {__version__}


@pytest.fixture(scope="module")
def helps(installed: Installed) -> dict[str, str]:
    """The help of each command, from one process: twenty would import the same for half a second each."""
    done = installed.run_python(
        "import contextlib, io, json\n"
        "from stripe_to_segment_tools.commands.cli import COMMANDS, app\n"
        "said = {}\n"
        "for name, _, _ in COMMANDS:\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "        app([name, '--help'], prog_name='stripe-to-segment')\n"
        "    said[name] = out.getvalue()\n"
        "print(json.dumps(said))\n"
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("command", [name for name, _, _ in COMMANDS])
def test_every_command_can_be_imported(helps: dict[str, str], command: str) -> None:
    """Nothing that a command imports is missing from the wheel's requirements."""
    assert f"stripe-to-segment {command}" in helps[command]


def test_the_wheel_contains_the_samples(installed: Installed) -> None:
    assert installed.run("sample", "list").stdout.split() == [each.name for each in samples()]
    posted = installed.run("sample", "event", EVENT.stem, "--as-is").stdout
    assert json.loads(installed.run("explain", "-", given=posted).stdout)["outcome"] == "mapped"


@pytest.mark.parametrize("form", ["segment", "markdown", "jsonschema", "warehouse"])
def test_the_tracking_plan_is_written(installed: Installed, form: str) -> None:
    result = installed.run("plan", "--format", form)
    assert result.returncode == 0, result.stderr
    assert "Order Completed" in result.stdout or "order_completed" in result.stdout


def test_a_command_of_a_local_stack_says_where_one_is_started(installed: Installed) -> None:
    for command in (["doctor", "--local"], ["dlq", "list", "--local"]):
        result = installed.run(*command)
        assert result.returncode == 2
        assert result.stderr.startswith("error: no local stack is running: start one with `make run` in a checkout")


def test_the_extra_brings_the_stand_in_for_segment(wheel: Path, environment: Callable[[str], Installed]) -> None:
    code = (
        "import httpx\n"
        "from stripe_to_segment_tools.receiver.runner import Receiver\n"
        "call = {'type': 'track', 'event': 'A', 'userId': 'u', 'messageId': 'm', 'timestamp': '2026-01-01T00:00:00Z'}\n"
        "with Receiver() as segment:\n"
        "    sent = httpx.post(f'{segment.url}/v1/batch', json={'batch': [call]}, auth=('key', ''))\n"
        "    print(sent.status_code)\n"
    )
    done = environment(f"{wheel}[local]").run_python(code)
    assert done.stdout == "200\n", done.stderr


def test_no_code_of_the_current_folder_is_run(installed: Installed) -> None:
    """A checkout's `enrich` is the user's own; a folder that a command happens to be called in is not."""
    (installed.folder / "functions/deliver").mkdir(parents=True)
    (installed.folder / "functions/deliver/enrich.py").write_text("raise SystemExit(9)\n", "utf-8")
    (installed.folder / "template.yaml").write_text("", "utf-8")
    assert installed.run("explain", str(EVENT)).returncode == 0


def test_a_shell_completes_commands_and_their_options(installed: Installed) -> None:
    def completed(words: str) -> set[str]:
        code = (
            "import os; os.environ.update(_STRIPE_TO_SEGMENT_COMPLETE='complete_zsh', "
            f"_TYPER_COMPLETE_ARGS={words!r}); "
            "from stripe_to_segment_tools.commands.cli import app; app(prog_name='stripe-to-segment')"
        )
        return set(re.findall(r'"([\w-]+)"\:', installed.run_python(code).stdout))

    assert completed("stripe-to-segment ") >= {name for name, _, _ in COMMANDS}
    assert completed("stripe-to-segment dlq re") == {"redrive"}
    assert completed("stripe-to-segment doctor --st") == {"--stack", "--stripe-api-base"}


@pytest.mark.parametrize("command", [["--help"], ["--version"], ["explain", str(EVENT)]], ids=lambda each: each[0])
def test_commands_without_network_import_no_client(installed: Installed, command: list[str]) -> None:
    """They took 0.8 s to start, as every command imported what any of them needs. `make bench` holds the time."""
    code = (
        f"import sys; sys.argv = ['stripe-to-segment', *{command!r}]\n"
        "from stripe_to_segment_tools.commands.cli import app\n"
        "try: app()\n"
        "except SystemExit: print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    imported = set(installed.run_python(code).stderr.split())
    assert "typer" in imported
    assert imported.isdisjoint({"boto3", "botocore", "httpx", "pydantic", "requests", "stripe", "urllib3", "yaml"})


def test_every_imported_package_is_required() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["local"]]
    required = {canonicalize_name(Requirement(each).name) for each in asked}
    distributions = packages_distributions()
    with_types = {"_typeshed", *(name for name in distributions if name.startswith("mypy_boto3"))}
    needed = {
        canonicalize_name(name)
        for module in _imported() - with_types
        for name in distributions.get(module, [module])
        if not name.startswith(("stripe-to-segment", "types-"))
    }
    # boto3 brings the rest.
    assert needed - {"botocore", "urllib3"} - CHECKOUT_ALONE == required


def test_the_tests_run_with_the_required_versions() -> None:
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / "requirements/dev.txt").read_text("utf-8"), re.MULTILINE))
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    for each in map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["local"]]):
        assert each.specifier.contains(pinned[canonicalize_name(each.name)]), each
        assert any(bound.operator == ">=" for bound in each.specifier), each


def test_the_pinned_environment_is_what_the_wheel_asks_for() -> None:
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    listed = (PROJECT / "requirements/cli.in").read_text("utf-8")
    assert re.findall(r"^\w\S*", listed, re.MULTILINE) == [Requirement(each).name for each in asked]


def test_the_wheel_holds_the_packages_and_the_samples_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {
        "stripe_to_segment",
        "stripe_to_segment_tools",
    }
    assert not [name for name in names if "__pycache__" in name]
    assert {name.rpartition("/")[2] for name in names if name.startswith("stripe_to_segment_tools/events/")} >= {
        path.name for path in EVENTS.glob("*.json")
    }


def test_its_page_on_pypi_links_to_no_file_beside_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert "Description-Content-Type: text/markdown" in metadata
    assert "## What arrives, and what to sum" in metadata
    assert re.findall(r"\]\((?!https://|#)[^)]*\)", metadata) == []


def test_the_same_sources_are_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert hatchling("wheel", tmp_path).read_bytes() == wheel.read_bytes()


def test_the_source_distribution_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(hatchling("sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=unpacked, check=True, capture_output=True, timeout=120)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def _imported() -> set[str]:
    """The packages of others that some module imports."""
    found = set()
    for folder in ("layers/stripe_to_segment/python", "tools"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {name.name for name in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(str(node.module))
    own = {"stripe_to_segment", "stripe_to_segment_tools"}
    return {name.partition(".")[0] for name in found} - sys.stdlib_module_names - own
