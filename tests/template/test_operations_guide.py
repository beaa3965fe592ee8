"""The operations guide has a section for each alarm, commands that work, and every metric, reason and code."""

from __future__ import annotations

import ast
import math
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.delivery.report import KEY_REASONS
from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.reasons import Reason
from stripe_to_segment.segment_side.answers import KNOWN
from stripe_to_segment.stripe_api.reader import TYPES_IN_A_CALL
from tests.template.test_alarms import NAMES, dashboard, emitted

if TYPE_CHECKING:
    from tests.template.conftest import Template

PROJECT = Path(__file__).parents[2]
GUIDE = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ *```bash\n(.*?)^ *```$", GUIDE, re.DOTALL | re.MULTILINE)
# Fields that Powertools, Lambda's own error lines, and CloudWatch add to a line.
OF_EVERY_LINE = {"message", "level", "timestamp"}
OF_ERRORS = {"errorType", "errorMessage"}
OF_CLOUDWATCH = {"@timestamp", "@message"}
WORDS = {
    *(
        "fields",
        "filter",
        "stats",
        "sort",
        "limit",
        "by",
        "as",
        "desc",
        "asc",
        "and",
        "or",
        "in",
        "like",
        "into",
        "unnest",
    ),
    *("source", "not"),
}


def section(name: str) -> str:
    """The text of the alarm's section."""
    (found,) = re.findall(rf"^### {name}\n(.*?)(?=^##)", GUIDE, re.DOTALL | re.MULTILINE)
    return str(found)


def logged() -> set[str]:
    """Every field that the handlers and the package put into a log line."""
    names = set()
    for folder in ("functions", "layers/stripe_to_segment/python"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Dict):
                    names |= {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
                if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                    names.add(str(node.slice.value))
    return names


def fields_of(query: str) -> set[str]:
    """The fields that a Logs Insights query reads, without keywords, functions, strings and its own aliases."""
    plain = re.sub(r'"[^"]*"|\'[^\']*\'|/[^/]*/', " ", query)
    made = set(re.findall(r"\b(?:as|into) (\w+)", plain))
    functions = set(re.findall(r"(\w+)\(", plain))
    named = {name.split(".")[0] for name in re.findall(r"@?[A-Za-z_][\w.]*", re.sub(r"\b\d+\w*", " ", plain))}
    return {name for name in named - made - functions if name.lower() not in WORDS}


def queries() -> list[tuple[str, str]]:
    """The log group's short name and the query of each `ask` in the guide."""
    return re.findall(r"^ask (\w+) '([^']+)'", GUIDE, re.MULTILINE)


def test_every_alarm_has_a_section_and_every_section_an_alarm() -> None:
    alarms = GUIDE.split("\n## Alarms\n")[1].split("\n## ")[0]
    assert re.findall(r"^### (.+)$", alarms, re.MULTILINE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_section_states_the_meaning_the_risk_where_to_look_and_what_to_do(name: str) -> None:
    said = section(name)
    assert re.findall(r"^\*\*(\w[\w ]*)\*\*", said, re.MULTILINE) == ["Means", "At risk", "Look", "Do"]
    assert re.search(r"^(ask|aws|stripe-to-segment) ", said, re.MULTILINE), "a command to paste"


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_every_command_of_the_guide_is_valid_shell(command: str) -> None:
    done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True, check=False)  # noqa: S607 - the shell that reads the guide
    assert (done.returncode, done.stderr) == (0, "")


def test_queries_of_the_guide_read_only_logged_fields(project_template: str) -> None:
    api = set(re.findall(r'"(\w+)": "\$context', project_template))
    known = logged() | OF_EVERY_LINE | OF_ERRORS | OF_CLOUDWATCH
    assert len(queries()) > 15
    for group, query in queries():
        assert fields_of(query) <= (api | OF_CLOUDWATCH if group == "api" else known), query


def test_queries_of_the_dashboard_read_only_logged_fields(template: Template) -> None:
    found = [widget["properties"]["query"] for widget in dashboard(template) if widget["type"] == "log"]
    assert len(found) == 2
    for query in found:
        assert query.startswith("SOURCE '${DeliverLogGroup}' | ")
        assert fields_of(query) <= logged() | OF_CLOUDWATCH, query


def test_the_guide_explains_every_written_metric_and_no_others() -> None:
    table = GUIDE.split("\n## Metrics\n")[1].split("\n## ")[0]
    first = [row.split("|")[1] for row in re.findall(r"^\|.*\|$", table, re.MULTILINE)[2:]]
    explained = {
        name if name[0] != "." else f"Identity{name}" for row in first for name in re.findall(r"`([\w.]+)`", row)
    }
    assert explained == set().union(*emitted().values())


def test_every_reason_is_in_the_guide() -> None:
    """The reasons of events that send nothing were in the log, but no document explained them."""
    listed = GUIDE.split("\n## Reasons\n")[1].split("\n## ")[0]
    assert [reason for reason in sorted(Reason) if f"`{reason}`" not in listed] == []


def test_every_reason_is_one_word() -> None:
    """Some were codes and some sentences, and nobody could filter a log by all of them alike."""
    assert [reason for reason in Reason if not re.fullmatch(r"[a-z0-9_]+", reason)] == []


def test_a_reason_is_written_in_one_place() -> None:
    """Four files once repeated the strings, and a typo in one silenced an alarm."""
    # A record has a field of the one name, and an audit says of withheld calls both.
    texts = {reason.value for reason in Reason if "_" in reason.value} - {"opted_out", "unknown_user"}
    found = [
        f"{path.relative_to(PROJECT)}: {node.value}"
        for folder in ("functions", "layers/stripe_to_segment/python")
        for path in (PROJECT / folder).rglob("*.py")
        if path.name != "reasons.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in texts
    ]
    assert found == []


def test_every_recorded_code_of_an_endpoints_answer_is_in_the_guide() -> None:
    listed = section("What the endpoint says")
    assert [code for code in sorted(KNOWN.values()) if f"`{code}`" not in listed] == []


def test_the_write_keys_section_names_every_reason_that_triggers_its_alarm() -> None:
    said = section("write-key")
    assert all(f"`{reason}`" in said for reason in KEY_REASONS)
    assert all(f'"{reason}"' in said for reason in KEY_REASONS)


def test_the_number_of_alarms_in_the_price_list_is_right(template: Template) -> None:
    conditions = [
        found["Condition"] for found in template.resources.values() if found["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert f"each of {conditions.count('IsWatched')} to {len(conditions)} alarms" in GUIDE


def test_the_requests_of_a_run_of_reconcile_are_right() -> None:
    code = (PROJECT / "functions/reconcile/app.py").read_text("utf-8")
    (most,) = re.findall(r"^MOST_REQUESTS = (\d+)$", code, re.MULTILINE)
    lists = {2: "two", 3: "three", 4: "four"}[math.ceil(len(CATALOG) / TYPES_IN_A_CALL)]
    said = " ".join(GUIDE.split())
    assert f"A run makes at most {most} requests to Stripe" in said
    assert f"at most {TYPES_IN_A_CALL} types ({lists} lists for the types that are mapped)" in said
