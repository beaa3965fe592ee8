"""docs/recipes.md: Terraform's part is parsed, the CDK app is synthesised, with what `make package` writes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stripe_to_segment_tools.build.package import BUILD, package
from stripe_to_segment_tools.commands.deploy.parameters import read_parameters

pytestmark = [pytest.mark.built, pytest.mark.tool]

PROJECT = Path(__file__).resolve().parents[2]
type Json = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package."""
    found = tmp_path_factory.mktemp("recipes")
    package(BUILD, found / "dist")
    return found


@pytest.fixture(scope="module")
def packaged(folder: Path) -> Json:
    """The package's template, which `sam build` has written without tags."""
    found: Json = yaml.safe_load((folder / "dist/template.yaml").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def recipes(folder: Path) -> Json:
    """What the recipes make."""
    python, script = PROJECT / ".tools/recipes/bin/python", Path(__file__).with_name("run_recipes.py")
    assert python.exists(), f"{python} is missing: run `make test`, which installs it"
    command = [python, script, PROJECT / "docs/recipes.md", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found: Json = json.loads(done.stdout)
    return found


def named(blocks: list[Json], kind: str) -> Json:
    """The blocks of a kind by their names."""
    return {name.strip('"'): body for each in blocks for name, body in each.get(f'"{kind}"', {}).items()}


def test_terraform_deploys_the_template_with_parameters_and_outputs_that_it_has(recipes: Json, packaged: Json) -> None:
    (stack,) = named(recipes["terraform"]["resource"], "aws_cloudformation_stack").values()
    parameters = {name: value.strip('"') for name, value in stack["parameters"].items()}
    assert parameters["ProtectState"] == "false", "the first deployment"
    assert parameters.keys() <= packaged["Parameters"].keys()
    # tests/stack/test_package.py deploys with these.
    assert [each.strip('"') for each in stack["capabilities"]] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    (output,) = recipes["terraform"]["output"]
    assert 'outputs["WebhookUrl"]' in output['"webhook_url"']["value"]
    assert "WebhookUrl" in packaged["Outputs"]


def test_terraform_uploads_the_archives_to_where_its_template_looks_for_them(recipes: Json, folder: Path) -> None:
    (values,) = recipes["terraform"]["locals"]
    written = values["template"].partition(", ")[2].rstrip(")}").split('", "')
    old, new = (each.strip('"') for each in written)
    archive = named(recipes["terraform"]["resource"], "aws_s3_object")["archive"]
    manifest = json.loads((folder / "dist/manifest.json").read_text("utf-8"))
    template = (folder / "dist/template.yaml").read_text("utf-8").replace(old, new)
    for path in manifest["archives"].values():
        key = archive["key"].strip('"').replace("${each.value}", path)
        assert f"Uri: s3://${{var.bucket}}/{key}\n" in template


def test_the_cdk_keeps_every_resource_as_it_is_but_for_the_place_of_its_code(recipes: Json, packaged: Json) -> None:
    synthesised = recipes["cdk"]["Resources"]
    assert synthesised.keys() - {"CDKMetadata"} == packaged["Resources"].keys()
    for name, resource in packaged["Resources"].items():
        made = synthesised[name]
        assert made["Properties"].keys() == resource["Properties"].keys(), name
        assert set(made.get("DependsOn", [])) == set(resource.get("DependsOn", [])), name
        for part in ("Type", "Condition", "DeletionPolicy", "UpdateReplacePolicy"):
            assert made.get(part) == resource.get(part), (name, part)
    for section in ("Transform", "Globals", "Mappings"):
        assert recipes["cdk"][section] == packaged[section], section
    for section in ("Conditions", "Outputs"):
        assert recipes["cdk"][section].keys() == packaged[section].keys(), section


def test_the_cdk_uploads_each_archive_and_names_it_in_its_resource(recipes: Json, folder: Path) -> None:
    manifest = json.loads((folder / "dist/manifest.json").read_text("utf-8"))
    files = recipes["assets"]["files"]
    keys = {
        place["objectKey"]: (folder / "cdk.out" / each["source"]["path"]).read_bytes()
        for each in files.values()
        for place in each["destinations"].values()
    }
    for name, path in manifest["archives"].items():
        properties = recipes["cdk"]["Resources"][name]["Properties"]
        key = (properties.get("CodeUri") or properties["ContentUri"])["Key"]
        assert keys[key] == (folder / "dist" / path).read_bytes(), name


def test_the_parameters_of_the_cdk_are_in_the_stack(recipes: Json) -> None:
    given = {"AlarmEmail", "ProtectState"}
    assert read_parameters(PROJECT / "template.yaml").keys() - recipes["cdk"]["Parameters"].keys() == given
    assert recipes["cdk"]["Resources"]["AlarmSubscription"]["Properties"]["Endpoint"] == "ops@example.com"
