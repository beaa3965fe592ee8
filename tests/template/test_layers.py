"""The layers that `sam build` makes: everything that the functions load, with bytecode, and little else."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.built

HEADER = 16
HASHED, CHECKED = 0b01, 0b10
ENVIRONMENT = {
    "PATH": os.defpath,
    "PYTHONDONTWRITEBYTECODE": "1",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "SIGNING_SECRET_ARN": "none",
    "KEYS_SECRET_ARN": "none",
    "STATE_TABLE": "state",
    "EVENTS_QUEUE_URL": "http://127.0.0.1:1/events",
    "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1:1/dead-letters",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "test",
}

# Imports a function and makes each call that it may ever make, to an address where nothing listens.
CALLS_EVERYTHING = """
import sys, warnings
function, layers = sys.argv[1], sys.argv[2:]
sys.path[:0] = [function, *layers]
warnings.simplefilter("error")
import app, requests, stripe
from botocore.exceptions import EndpointConnectionError
from stripe_to_segment import aws
from stripe_to_segment.observability import logger
from stripe_to_segment.stripe_api.reader import stripe_client

def refused(error, call, *given, **named):
    try:
        call(*given, **named)
    except error:
        return
    raise AssertionError(call)

calls = {
    "sqs": {"send_message": {"QueueUrl": "http://127.0.0.1:1/q", "MessageBody": "{}"}},
    "dynamodb": {"get_item": {"TableName": "state", "Key": {"pk": {"S": "x"}}}},
    "secretsmanager": {"get_secret_value": {"SecretId": "x"}},
    "sts": {"get_caller_identity": {}},
}
aws.CONFIG = aws.CONFIG.merge(aws.Config(retries={"total_max_attempts": 1}))
for service, operations in calls.items():
    for name, given in operations.items():
        refused(EndpointConnectionError, getattr(aws.client(service), name), **given)
answers = stripe_client("rk_test_none", "http://127.0.0.1:1", 1)
refused(stripe.APIConnectionError, answers.raw_request, "get", "/v1/events", types=["invoice.paid"], limit=1)
refused(stripe.APIConnectionError, answers.raw_request, "get", "/v2/core/events/evt_1", stripe_context="acct_1")
refused(stripe.SignatureVerificationError, stripe.WebhookSignature.verify_header, "{}", "t=1,v1=0", "whsec_none")
refused(requests.ConnectionError, requests.Session().post, "https://127.0.0.1:1/v1/batch", json={}, timeout=1)
try:
    raise ValueError("logged with its traceback")
except ValueError:
    logger.exception("failed")
foreign = [name for name in ("app", "boto3", "requests", "stripe", "stripe_to_segment")
           if not sys.modules[name].__file__.startswith((function, *layers))]
assert not foreign, foreign
"""


@pytest.fixture(params=["dependencies_layer", "package_layer"])
def layer(request: pytest.FixtureRequest) -> Path:
    """Each of the layers."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.mark.parametrize("function", ["receive", "deliver", "reconcile", "audit"])
def test_the_pruned_layers_contain_everything_that_a_function_may_call(
    project: Path, function: str, package_layer: Path, dependencies_layer: Path
) -> None:
    folders = [project / "functions" / function, package_layer, dependencies_layer]
    # Without site-packages, a package that the layers lack is missing here too.
    command = [sys.executable, "-S", "-s", "-c", CALLS_EVERYTHING, *map(str, folders)]
    done = subprocess.run(command, env=ENVIRONMENT, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_module_comes_with_bytecode_that_is_never_checked_against_its_source(layer: Path) -> None:
    sources = list(layer.rglob("*.py"))
    assert sources
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.exists(), source
        header = compiled.read_bytes()[:HEADER]
        assert header[:4] == importlib.util.MAGIC_NUMBER, source
        flags = int.from_bytes(header[4:8], "little")
        assert flags & HASHED, source
        assert not flags & CHECKED, source


def test_all_bytecode_belongs_to_an_existing_module(layer: Path) -> None:
    for compiled in layer.rglob("*.pyc"):
        assert Path(importlib.util.source_from_cache(str(compiled))).exists(), compiled


def test_botocore_contains_only_the_services_that_the_functions_call(dependencies_layer: Path) -> None:
    services = {path.name for path in (dependencies_layer / "botocore/data").iterdir() if path.is_dir()}
    assert services == {"dynamodb", "secretsmanager", "sqs", "sts"}


def test_the_layers_contain_nothing_for_tests_or_type_checkers(layer: Path) -> None:
    found = [path for path in layer.rglob("*") if path.name in {"tests", "test", "py.typed"} or path.suffix == ".pyi"]
    assert found == []


def test_unused_parts_are_left_out(dependencies_layer: Path) -> None:
    for unused in ("stripe/params", "stripe/events", "aws_lambda_powertools/event_handler", "boto3/data", "bin"):
        assert not (dependencies_layer / unused).exists(), unused
    utilities = {path.name for path in (dependencies_layer / "aws_lambda_powertools/utilities").iterdir()}
    assert utilities == {"__init__.py", "__pycache__", "jmespath_utils"}


def test_one_layer_fits_both_architectures(layer: Path) -> None:
    assert list(layer.rglob("*.so")) == []


def test_a_scanner_can_see_which_versions_are_in_the_layer(dependencies_layer: Path) -> None:
    kept = {path.name.split("-")[0] for path in dependencies_layer.glob("*.dist-info") if (path / "METADATA").exists()}
    assert {"stripe", "boto3", "botocore", "requests", "aws_lambda_powertools", "urllib3", "certifi"} <= kept


def test_licences_and_notices_come_with_the_code(dependencies_layer: Path) -> None:
    """The licences of boto3, botocore and four others were deleted, because they lie beside METADATA, not in a folder.

    All licences require their text to be passed on, and the Apache licence also its NOTICE:
    https://www.apache.org/licenses/LICENSE-2.0#redistribution
    """
    for kept in importlib.metadata.distributions(path=[str(dependencies_layer)]):
        name = kept.metadata["Name"]
        folder = next(dependencies_layer.glob(f"{name.replace('-', '_')}-{kept.version}.dist-info"))
        # The same version is installed here, unpruned.
        installed = importlib.metadata.distribution(name)
        assert installed.version == kept.version
        wanted = [
            file for file in installed.files or () if re.match("LICEN|NOTICE|COPYING|AUTHORS", file.name, re.IGNORECASE)
        ]
        assert wanted, f"{name} has no licence"
        for file in wanted:
            assert (dependencies_layer / file).read_bytes() == file.read_binary(), file
        for named in kept.metadata.get_all("License-File", []):
            assert list(folder.rglob(named)), f"{name} names {named}"


def test_the_layers_files_are_the_same_whenever_they_are_built(layer: Path) -> None:
    """Dates and modes are fixed, so that the same input gives the same archive, and no new version."""
    assert {int(path.stat().st_mtime) for path in layer.rglob("*.py*")} == {1577836800}
    assert {oct(path.stat().st_mode & 0o777) for path in layer.rglob("*.py")} <= {"0o644", "0o755"}


def test_the_package_layer_is_the_same_to_the_byte_wherever_and_whenever_it_is_built(
    project: Path, tmp_path: Path
) -> None:
    """Built with another folder, time zone, umask and hash seed: bytecode contains paths, and sets in hash order."""
    one = build_package(project, tmp_path / "one", 0o022, TZ="UTC", PYTHONHASHSEED="1")
    other = build_package(project, tmp_path / "an/other", 0o077, TZ="Asia/Tokyo", PYTHONHASHSEED="7")
    assert one == other


def build_package(project: Path, folder: Path, umask: int, **environment: str) -> dict[Path, tuple[int, bytes]]:
    """Build the layer as SAM does; returns each file's mode and bytes."""
    folder.mkdir(parents=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    path = f"{project / '.tools/sam/bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["make", "--silent", "build-StripeToSegmentLayer"],  # noqa: S607 - as SAM calls it
        cwd=project / "layers/stripe_to_segment",
        env={**inherited, "PATH": path, "ARTIFACTS_DIR": str(folder), **environment},
        umask=umask,
        check=True,
    )
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): (path.stat().st_mode, path.read_bytes()) for path in files}


def test_every_third_party_file_is_pinned_by_hash(project: Path) -> None:
    recipe = (project / "layers/dependencies/Makefile").read_text("utf-8")
    assert "--require-hashes --only-binary :all:" in recipe
    assert "requirements.txt" in recipe


def test_the_package_layer_is_this_checkouts_package(project: Path, package_layer: Path) -> None:
    source = project / "layers/stripe_to_segment/python"
    modules = {path.relative_to(source) for path in source.rglob("*.py")}
    assert {path.relative_to(package_layer) for path in package_layer.rglob("*.py")} == modules
