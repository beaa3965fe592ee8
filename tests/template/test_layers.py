"""What `sam build` puts into the layers: all that the functions load, as bytecode, and little else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.built

HEADER = 16
HASHED, CHECKED = 0b01, 0b10

LOADS_EVERYTHING = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("error")
import boto3, requests, stripe
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities import parameters
for service in ("sqs", "dynamodb", "secretsmanager", "sts"):
    boto3.client(service, region_name="eu-central-1")
stripe.WebhookSignature.verify_header
stripe.StripeClient("sk_test_none").v1.customers.retrieve
Logger(service="test"), Metrics(namespace="test", service="test"), requests.Session()
print(all(module.__file__.startswith(sys.argv[1]) for module in (boto3, requests, stripe)))
"""


@pytest.fixture(params=["dependencies_layer", "package_layer"])
def layer(request: pytest.FixtureRequest) -> Path:
    """Each layer."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


def test_the_pruned_layer_still_has_all_that_the_functions_load(dependencies_layer: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c", LOADS_EVERYTHING, str(dependencies_layer)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - our own code
    assert (done.stdout.strip(), done.stderr) == ("True", "")


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


def test_bytecode_belongs_to_a_module_that_is_there(layer: Path) -> None:
    for compiled in layer.rglob("*.pyc"):
        assert Path(importlib.util.source_from_cache(str(compiled))).exists(), compiled


def test_botocore_describes_only_the_services_that_are_called(dependencies_layer: Path) -> None:
    services = {path.name for path in (dependencies_layer / "botocore/data").iterdir() if path.is_dir()}
    assert services == {"dynamodb", "secretsmanager", "sqs", "sts"}


def test_nothing_is_shipped_for_tests_or_type_checkers(layer: Path) -> None:
    found = [path for path in layer.rglob("*") if path.name in {"tests", "test", "py.typed"} or path.suffix == ".pyi"]
    assert found == []


def test_parts_that_nothing_loads_are_left_out(dependencies_layer: Path) -> None:
    for unused in ("stripe/params", "aws_lambda_powertools/event_handler", "boto3/data", "bin"):
        assert not (dependencies_layer / unused).exists(), unused


def test_one_layer_fits_both_architectures(layer: Path) -> None:
    assert list(layer.rglob("*.so")) == []


def test_a_scanner_can_tell_which_versions_are_in_the_layer(dependencies_layer: Path) -> None:
    kept = {path.name.split("-")[0] for path in dependencies_layer.glob("*.dist-info") if (path / "METADATA").exists()}
    assert {"stripe", "boto3", "botocore", "requests", "aws_lambda_powertools", "urllib3", "certifi"} <= kept


def test_the_layers_files_are_the_same_whenever_they_are_built(layer: Path) -> None:
    """Dates and modes are fixed, so that the same input gives the same archive, and no new version."""
    assert {int(path.stat().st_mtime) for path in layer.rglob("*.py*")} == {1577836800}
    assert {oct(path.stat().st_mode & 0o777) for path in layer.rglob("*.py")} <= {"0o644", "0o755"}


def test_the_package_layer_is_this_checkouts_package(project: Path, package_layer: Path) -> None:
    source = project / "layers/stripe_to_segment/python"
    modules = {path.relative_to(source) for path in source.rglob("*.py")}
    assert {path.relative_to(package_layer) for path in package_layer.rglob("*.py")} == modules
