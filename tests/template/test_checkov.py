"""Each exception from checkov's rules in `make check` is needed and has a reason."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
CHECKOV = PROJECT / ".tools/checkov/bin/checkov"
CONFIGURATION = PROJECT / ".checkov.yaml"

pytestmark = pytest.mark.skipif(not CHECKOV.exists(), reason="checkov is not installed: run `make check` once")


def failed(folder: Path) -> dict[str, list[str]]:
    """The resources that fail a rule, by the rule's id; in another folder checkov does not find the exceptions."""
    template = str(PROJECT / "template.yaml")
    command = [str(CHECKOV), "-f", template, "--framework", "cloudformation", "--skip-download", "-o", "json", "-s"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for check in json.loads(done.stdout)["results"]["failed_checks"]:
        found.setdefault(check["check_id"], []).append(check["resource"])
    return found


def test_every_exception_has_a_reason() -> None:
    text = CONFIGURATION.read_text("utf-8")
    reasons = re.findall(r"((?:^  # .+\n)+)  - (CKV_\w+)$", text, re.MULTILINE)
    assert [rule for _, rule in reasons] == yaml.safe_load(text)["skip-check"]
    assert all(": " in reason for reason, _ in reasons), "the rule, then the reason"


@pytest.mark.tool
def test_every_exception_is_needed(tmp_path: Path) -> None:
    found = failed(tmp_path)
    assert sorted(found) == sorted(yaml.safe_load(CONFIGURATION.read_text("utf-8"))["skip-check"])
    assert found["CKV_AWS_115"] == [
        "AWS::Serverless::Function.ReconcileFunction",
        "AWS::Serverless::Function.AuditFunction",
    ], "the others can be limited"
