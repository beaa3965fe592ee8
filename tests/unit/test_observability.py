"""The lines that may be logged: those of this package and the team, and only warnings and errors of libraries."""

from __future__ import annotations

import io
import json
import logging
import traceback
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ParamValidationError

from stripe_to_segment.errors import ConfigurationError, UnexpectedError
from stripe_to_segment.observability import about, count, hold_back_libraries, logger, observed, set_level
from tests.unit.edges import Spoken, refusal, speaking
from tests.unit.shapes import a_customer, an_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRIVATE = "jo.doe@example.com"


@pytest.fixture
def spoken() -> Iterator[Spoken]:
    with speaking() as spoken:
        yield spoken
    set_level("INFO")


@pytest.fixture
def root() -> Iterator[io.StringIO]:
    """The output of all of Python's loggers, in a function whose runtime client set the root logger to DEBUG."""
    root, factory, written = logging.getLogger(), logging.getLogRecordFactory(), io.StringIO()
    level, handler = root.level, logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


def say_all(name: str, folder: Path | str) -> None:
    """Log at each level from a file in a folder, as a library or a team's code would."""
    code = compile(
        "for level in (10, 20, 30, 40):\n    log.log(level, 'from %s', level)\n", f"{folder}/module.py", "exec"
    )
    exec(code, {"log": logging.getLogger(name)})  # noqa: S102 - a file that need not exist


@pytest.mark.parametrize(
    "name", ["botocore.endpoint", "urllib3.connectionpool", "stripe", "made.later", "root", "enrich"]
)
def test_a_library_logs_nothing_below_a_warning(root: io.StringIO, name: str) -> None:
    """At DEBUG, botocore wrote the whole secret and every event into the log."""
    hold_back_libraries("/var/task")
    say_all(name, "/opt/python/library")
    assert root.getvalue() == "WARNING from 30\nERROR from 40\n"


def test_with_the_root_logger_at_debug_only_the_teams_own_lines_are_logged(root: io.StringIO) -> None:
    hold_back_libraries("/var/task")
    logging.getLogger().setLevel(logging.DEBUG)
    logging.getLogger("library").setLevel(logging.DEBUG)
    say_all("library", "/var/lang/lib")
    say_all("library", "/var/task-of-somebody-else")
    assert "DEBUG" not in root.getvalue()
    assert "INFO" not in root.getvalue()
    say_all("enrich", "/var/task/regions")
    assert "DEBUG from 10\nINFO from 20\n" in root.getvalue()


def test_a_handler_that_a_team_adds_gets_no_lines_of_libraries(root: io.StringIO) -> None:
    hold_back_libraries("/var/task")
    own = io.StringIO()
    library = logging.getLogger("library.of.its.own")
    library.addHandler(logging.StreamHandler(own))
    library.setLevel(logging.DEBUG)
    say_all(library.name, "/opt/python")
    assert own.getvalue() == "from 30\nfrom 40\n"
    assert root.getvalue().startswith("WARNING from 30")


def test_a_teams_own_lines_come_at_info_where_nobody_set_a_level(root: io.StringIO) -> None:
    hold_back_libraries("/var/task")
    say_all("enrich", "/var/task")
    assert root.getvalue().startswith("INFO from 20")


@pytest.mark.parametrize(("name", "heard"), [("DEBUG", 4), ("INFO", 3), ("WARNING", 2), ("ERROR", 1), ("", 3)])
def test_the_log_level_decides_whatever_lambdas_own_level_is(
    spoken: Spoken, monkeypatch: pytest.MonkeyPatch, name: str, heard: int
) -> None:
    """Powertools takes Lambda's level, INFO for the sake of metrics, before the one that the user chose."""
    monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", "INFO")
    set_level(name)
    for say in (logger.debug, logger.info, logger.warning, logger.error):
        say("said")
    assert len(spoken.lines) == heard


def test_a_line_has_its_time_in_the_format_of_lambda(spoken: Spoken) -> None:
    """Lambda reads RFC 3339; of a line with another timestamp it takes the level for INFO."""
    logger.info("said")
    stamp = spoken.lines[0]["timestamp"]
    assert stamp.endswith("Z")
    assert abs((datetime.fromisoformat(stamp) - datetime.now().astimezone()).total_seconds()) < 60
    assert len(stamp) == len("2026-11-18T11:06:40.123Z")


@pytest.mark.parametrize("odd", ["\n", "\r", "\x1b[2J", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\x00"])
def test_no_character_of_an_id_forges_a_line_or_reaches_a_terminal(spoken: Spoken, odd: str) -> None:
    event = an_event("customer.updated", a_customer(), id=f'evt_1{odd}{{"level":"INFO"}}')
    logger.info("event delivered", extra=about(event))
    assert all(" " <= character <= "~" for character in spoken.text.removesuffix("\n"))
    assert spoken.lines[0]["event_id"] == event.id


def test_a_very_long_id_is_shortened(spoken: Spoken) -> None:
    event = an_event("customer.updated", a_customer(), id="evt_" + "1" * 500_000, account="acct_" + "1" * 500_000)
    logger.info("event delivered", extra=about(event))
    assert len(spoken.text) < 1_000


def failing(error: BaseException) -> Callable[[], Any]:
    @observed
    def handler() -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError(PRIVATE), "KeyError"),
        (SystemExit(PRIVATE), "SystemExit"),
        (ValueError(f"invalid literal for int() with base 10: {PRIVATE!r}"), "ValueError"),
        (json.JSONDecodeError("Expecting value", PRIVATE, 0), "JSONDecodeError"),
        (
            ParamValidationError(report=f"Invalid type for parameter MessageBody, value: {PRIVATE}"),
            "ParamValidationError",
        ),
        (refusal("AccessDeniedException", "PutItem"), "AccessDeniedException"),
        (refusal(f"{PRIVATE}\n", "PutItem"), "ClientError"),
    ],
)
def test_an_unforeseen_error_is_logged_with_its_type_and_place_only(error: BaseException, kind: str) -> None:
    """Lambda logs the text of an error that leaves a handler, and botocore's quotes the event that it was given."""
    with pytest.raises(UnexpectedError) as raised:
        failing(error)()
    assert str(raised.value) == kind
    told = "".join(traceback.format_exception(raised.value))
    assert "raise error" in told
    assert PRIVATE not in told


def test_an_error_of_the_package_keeps_its_text() -> None:
    with pytest.raises(ConfigurationError, match="segment_write_key is empty"):
        failing(ConfigurationError("segment_write_key is empty"))()


def test_the_metrics_of_a_handler_are_written_however_it_ends(spoken: Spoken) -> None:
    @observed
    def handler(*, fails: bool) -> None:
        count("EventsDelivered")
        if fails:
            raise KeyError(PRIVATE)

    handler(fails=False)
    with pytest.raises(UnexpectedError):
        handler(fails=True)
    assert spoken.metrics == {"EventsDelivered": 2}


def test_a_handler_without_metrics_writes_and_warns_of_nothing(spoken: Spoken) -> None:
    observed(lambda: None)()
    assert spoken.text == ""
