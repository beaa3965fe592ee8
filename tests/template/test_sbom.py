"""The bill of materials lists exactly what was built, is valid CycloneDX, and is the same for the same build."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from stripe_to_segment_tools.build.sbom import VENDORED, bill_of, pinned_hashes

pytestmark = pytest.mark.built


@pytest.fixture(scope="module")
def build(dependencies_layer: Path) -> Path:
    """The output folder of `sam build`."""
    return dependencies_layer.parents[1]


@pytest.fixture(scope="module")
def pinned() -> dict[str, list[str]]:
    project = Path(__file__).parents[2]
    return pinned_hashes((project / "layers/dependencies/requirements.txt").read_text("utf-8"))


@pytest.fixture(scope="module")
def bill(build: Path) -> Any:
    """The bill of materials that `make build` wrote."""
    return json.loads((build / "sbom.cdx.json").read_text("utf-8"))


def libraries(bill: Any) -> dict[str, Any]:
    return {each["purl"]: each for each in bill["components"] if each.get("purl", "").startswith("pkg:pypi/")}


def test_it_lists_each_distribution_of_the_layer_and_no_others(bill: Any, dependencies_layer: Path) -> None:
    found = importlib.metadata.distributions(path=[str(dependencies_layer)])
    held = {f"pkg:pypi/{each.metadata['Name'].lower().replace('_', '-')}@{each.version}" for each in found}
    assert held == set(libraries(bill))


def test_every_file_of_the_layer_belongs_to_a_listed_distribution(bill: Any, dependencies_layer: Path) -> None:
    owners = importlib.metadata.packages_distributions()
    listed = {each["name"] for each in libraries(bill).values()}
    for path in dependencies_layer.iterdir():
        if path.suffix != ".dist-info" and path.name != "__pycache__":
            names = {name.lower().replace("_", "-") for name in owners[path.stem]}
            assert names & listed, path


def test_each_distribution_has_its_licence_and_its_pinned_hashes(bill: Any, pinned: dict[str, list[str]]) -> None:
    for each in libraries(bill).values():
        assert each["licenses"], each["name"]
        assert "not declared" not in json.dumps(each["licenses"])
        (reference,) = each["externalReferences"]
        hashes = {given["content"] for given in reference["hashes"] if given["alg"] == "SHA-256"}
        assert hashes == set(pinned[f"{each['name']}=={each['version']}"]) != set()


def test_it_lists_functions_and_layers_with_our_own_files(bill: Any, build: Path) -> None:
    units = {each["name"]: each for each in bill["components"] if "purl" not in each}
    assert set(units) == {path.name for path in build.iterdir() if path.is_dir()}
    for name in units.keys() - {"DependenciesLayer"}:
        files = {each["name"]: each["hashes"][0]["content"] for each in units[name]["components"]}
        there = [path for path in (build / name).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert files == {
            path.relative_to(build / name).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in there
        }
        assert files


def test_it_lists_what_the_page_brings_along_as_not_deployed(bill: Any) -> None:
    """The charting library has a licence that everybody who gets it gets too, and may have a hole one day."""
    found = {each["bom-ref"]: each for each in bill["components"] if each.get("scope") == "excluded"}
    assert set(found) == {f"vendor/{path.name}" for path in VENDORED.iterdir()}
    each = found["vendor/uplot"]
    assert each["purl"] == f"pkg:npm/uplot@{each['version']}"
    assert each["licenses"][0]["license"]["id"] == "MIT"
    assert {one["name"]: one["hashes"][0]["content"] for one in each["components"]} == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (VENDORED / "uplot").iterdir()
        if path.name != "README.md"
    }
    assert each["version"] in (VENDORED / "uplot" / "uPlot.iife.min.js").read_text("utf-8")[:200]


def test_the_application_depends_on_every_component(bill: Any) -> None:
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    reached: set[str] = set()
    left = [bill["metadata"]["component"]["bom-ref"]]
    while left:
        ref = left.pop()
        reached.add(ref)
        left += [each for each in needs[ref] if each not in reached]
    assert {each["bom-ref"] for each in bill["components"]} <= reached


def test_it_is_valid_cyclonedx(build: Path) -> None:
    # Without the checks of string formats, which take longer to import than all other tools.
    text = (build / "sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_the_same_build_gives_the_same_bytes(
    build: Path, pinned: dict[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    for name in ("DeliverFunction", "DependenciesLayer", "StripeToSegmentLayer"):
        shutil.copytree(build / name, tmp_path / name)
    one = bill_of(tmp_path, pinned)
    assert one == bill_of(tmp_path, pinned)
    assert "timestamp" not in json.loads(one)["metadata"]
    assert str(tmp_path) not in one
    (tmp_path / "DeliverFunction" / "enrich.py").write_text("# Another.\n")
    other = bill_of(tmp_path, pinned)
    assert json.loads(one)["serialNumber"] != json.loads(other)["serialNumber"]


def test_it_has_a_timestamp_only_if_one_is_given(
    build: Path, pinned: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1577836800")
    assert json.loads(bill_of(build, pinned))["metadata"]["timestamp"] == "2020-01-01T00:00:00+00:00"


def test_an_unpinned_distribution_is_an_error(build: Path) -> None:
    with pytest.raises(KeyError):
        bill_of(build, {})
