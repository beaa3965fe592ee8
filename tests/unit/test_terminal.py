"""Text from outside cannot command the terminal, hide itself or turn a line around, whichever command prints it."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.lambda_runtime.runtime import _follow
from stripe_to_segment_tools.local_stack.console import print_error, print_result, print_table
from stripe_to_segment_tools.local_stack.rehearsal import Differences, Planned, Played
from stripe_to_segment_tools.terminal.output import _BLANK_LETTERS, make_console, visible
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import Endpoint, HttpRequest, a_signing_secret, say
from tests.unit.log_groups import CloudWatch, Logs
from tests.unit.shapes import a_customer, an_event
from tests.unit.stripe_list import KEY, StripeList

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

# Characters that clear the screen, recolour it and ring; the one-byte CSI; those that reverse the text; invisible ones.
ESCAPES = "\x1b[2J\x1b[31m\x07\b\r\x7f\x9b31m"
BIDIRECTIONAL = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
HIDDEN = "\u00ad\u200b\u2060\ufeff\u3164\u2028\u0085\U000e0041"
# SQS takes no control characters but through JSON: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference
SENDABLE = f"x{BIDIRECTIONAL}\u009b\u3164y"
EVIL = f"x{ESCAPES}{BIDIRECTIONAL}{HIDDEN}y"
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def unseen(text: str) -> set[str]:
    """What of a text a terminal would obey or hide; line breaks are layout."""
    return {each for each in text if each != "\n" and (unicodedata.category(each) in INVISIBLE or each == "\u3164")}


# --- the one place ---


@given(st.text())
def test_every_remaining_character_is_visible(text: str) -> None:
    assert unseen(visible(text)) == set()
    assert "\n" not in visible(text)


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_printed_json_reads_back_as_the_same_value(value: Any) -> None:
    for indent in (None, 2):
        written = visible(json.dumps(value, ensure_ascii=False, indent=indent), keep="\n")
        assert json.loads(written) == value
        assert unseen(written) == set()


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"], exclude_characters="".join(_BLANK_LETTERS))))
def test_visible_characters_stay(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", ["Zoë Müller", "東京\u3000タワー", "1\u00a0200 €", "שלום", "नमस्ते", "❤️ 🎉"])
def test_names_and_prices_stay_as_they_are(text: str) -> None:
    assert visible(text) == text


def test_an_escape_shows_the_original_character() -> None:
    assert visible("a\u202eb\x1b[0m\n\x7f") == "a\\u202eb\\u001b[0m\\n\\u007f"


def test_the_command_line_prints_in_no_other_way(project: Path) -> None:
    """A command that prints by itself would print what it got."""
    printing = {"print", "typer.echo", "typer.secho", "click.echo", "sys.stdout.write", "sys.stderr.write"}
    found = [
        f"{path.relative_to(project)}:{node.lineno}"
        for path in (project / "tools").rglob("*.py")
        if path.parts[-2:] != ("terminal", "output.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in printing
    ]
    assert found == []


# --- each command that prints what others wrote ---


SIGNING = a_signing_secret("terminal")
# Where the imitation of Stripe is: the stack's own setting is not enough for a key to go there.
AT: list[str] = []


class Door(Endpoint):
    """Answers with unexpected texts."""

    def respond(self, handler: BaseHTTPRequestHandler, _request: HttpRequest) -> None:
        say(500, EVIL.encode())(handler)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, api: StripeList) -> Iterator[Deployed]:
    """A stack whose every part returns control characters."""
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    with deployed() as stack, Door() as door:
        stack.logs, stack.cloudwatch = Logs(), CloudWatch()
        stack.functions.variables = {"STRIPE_API_BASE": api.url, "STRIPE_MODE": "test"}
        AT[:] = ["--stripe-api-base", api.url]
        stack.put_signing(stripe_test_signing_secrets=[SIGNING])
        stack.put_keys(segment_test_write_key=EVIL)
        stack.webhook_url = f"{door.url}/webhooks/stripe"
        stack.status = EVIL
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


@pytest.fixture
def event_file(tmp_path: Path) -> str:
    event = an_event("customer.created", a_customer(name=EVIL, description=f"{EVIL}\n{EVIL}"), id=f"evt_{EVIL}")
    path = tmp_path / "event.json"
    # Escaped, as Stripe's own JSON has to be; then raw, as JSON allows but for control characters.
    raw = json.dumps({**event.body, "type": f"customer.{EVIL}"}, ensure_ascii=False)
    path.write_text(f"{json.dumps(event.body)}\n{raw}\n{{broken {EVIL}", "utf-8")
    return str(path)


def shown(*words: str, answer: str = "") -> Result:
    """Run a command; it must show what was there, and let none of it through."""
    result = CliRunner().invoke(app, [*words], input=answer)
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    assert unseen(result.output) == set(), words
    assert "\\u202e" in result.output, f"{words}: nothing of it was shown, so nothing is shown by this test"
    return result


def test_explain_and_sample_show_invisible_characters(event_file: str) -> None:
    lines = shown("explain", event_file).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines[:2]] == [f"evt_{EVIL}"] * 2
    good = an_event("customer.created", a_customer(name=EVIL))
    for command in ("event", "request", "batch"):
        path = event_file.replace("event.json", "good.json")
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - one line
            json.dump(good.body, file)
        assert json.loads(shown("sample", command, path).stdout)


def test_secret_shows_invisible_characters(here: Deployed) -> None:
    here.put_signing(
        stripe_test_signing_secrets=[SIGNING],
        stripe_endpoints={EVIL: {"secret": hashlib.sha256(SIGNING.encode()).hexdigest()}},
    )
    shown("secret", "show-shape")
    shown("secret", "show-shape", "--json")
    shown("secret", "set", EVIL)
    shown("secret", "set", "segment_write_key", "--remove", EVIL)
    shown("secret", "set", "segment_write_key", "--from-env", EVIL.replace("\0", ""))


def test_send_shows_invisible_characters(event_file: str, here: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SIGNING_SECRET", "whsec_1")
    for how in ((), ("--json",), ("--fresh",)):
        shown("send", event_file, "--url", here.webhook_url, *how)
    shown("send", event_file, "--url", f"http://127.0.0.1:9/{EVIL.replace('/', '')}")


def test_tail_shows_invisible_characters(here: Deployed) -> None:
    about = {"event_id": EVIL, "event_type": EVIL, "reason": EVIL, "detail": f"{EVIL}\n{EVIL}"}
    here.logs.write("deliver", outcome="retry", calls=[EVIL], received=2, **about)
    here.logs.write("deliver", outcome="delivered", calls=[EVIL], received=1, **about)
    here.logs.write("receive", outcome="refused", message=EVIL, **about)
    here.logs.write("receive", errorType=EVIL, errorMessage=EVIL)
    assert len(shown("tail", "--no-follow").stdout.splitlines()) == 4, "a line break in it makes no second line"
    assert len(shown("tail", "--no-follow", "--json").stdout.splitlines()) == 4


def test_dlq_shows_invisible_characters(here: Deployed) -> None:
    said = {"reason": SENDABLE, "detail": SENDABLE, "event_id": SENDABLE, "event_type": SENDABLE, "account": SENDABLE}
    here.dead_letter(json.dumps({"id": "evt_1", "name": EVIL}), **said)
    here.dead_letter(f"no JSON {SENDABLE}\r\n{SENDABLE}", **said)
    shown("dlq", "list")
    shown("dlq", "list", "--json")
    for more in ((), ("--body",), ("--json",), ("--json", "--body")):
        shown("dlq", "show", *more)
    bodies = [json.loads(line)["body"] for line in shown("dlq", "show", "--json", "--body").stdout.splitlines()]
    assert json.dumps({"id": "evt_1", "name": EVIL}) in bodies
    shown("dlq", "redrive", "--all", "--dry-run")
    shown("dlq", "purge", answer="n\n")


def test_doctor_shows_invisible_characters(here: Deployed) -> None:
    here.functions.told = {"State": "Failed", "StateReason": EVIL, "LastUpdateStatus": EVIL, "Version": EVIL}
    here.functions.mapping = {"UUID": EVIL, "State": EVIL, "StateTransitionReason": EVIL}
    result = shown("doctor", *AT)
    assert "unsigned request" in result.stdout
    shown("doctor", "--json", *AT)


def test_register_shows_invisible_characters(here: Deployed, api: StripeList) -> None:
    assert CliRunner().invoke(app, ["register", *AT]).exit_code == 0
    (endpoint,) = api.webhooks.endpoints.values()
    endpoint["api_version"] = EVIL
    shown("register", "--dry-run", *AT)
    shown("register", "--dry-run", "--json", *AT)
    shown("register", *AT, answer="n\n")
    here.webhook_url = f"https://{EVIL}"
    shown("register", "--dry-run", *AT)


def test_backfill_shows_invisible_characters(here: Deployed, api: StripeList) -> None:
    api.happened(an_event("customer.created", a_customer(description="x" * 1_100_000), id=f"evt_{EVIL}"))
    del here
    shown("backfill", "--since", "30d", *AT)
    shown("backfill", "--since", "30d", "--json", *AT)


@pytest.mark.usefixtures("here")
def test_import_shows_invisible_characters_of_users(api: StripeList, tmp_path: Path) -> None:
    api.objects = [{**a_customer(id="cus_1", metadata={"user_id": EVIL}), "created": 1_700_000_000}]
    file = tmp_path / "users.csv"
    file.write_text("customer,user\ncus_1,u_1\n", encoding="utf-8")
    for more in ("--dry-run", "--yes"):
        shown("identify-customers", str(file), more, "--unregistered", *AT)
        shown("identify-customers", str(file), more, "--unregistered", "--json", *AT)
    file.write_text(f"customer,user\ncus_{EVIL},u_1\n", encoding="utf-8")
    shown("identify-customers", str(file), "--yes", "--unregistered", *AT)
    shown("import", "--users", str(file), "--unregistered", *AT)


def test_plan_shows_invisible_characters() -> None:
    for form in ("segment", "markdown", "jsonschema"):
        shown("plan", "--format", form, "--set", f"RENAME_EVENTS={json.dumps({'Order Completed': EVIL})}")
    shown("plan", "--set", EVIL)
    shown("plan", "--set", f"{EVIL}={EVIL}")


def test_demo_and_run_show_invisible_characters(capsys: pytest.CaptureFixture[str]) -> None:
    call = {"type": "track", "event": EVIL, "messageId": EVIL}
    played = Played(Planned(EVIL, {}, EVIL, EVIL, [call]), 400, EVIL, [call], 0.1)
    nothing = Played(Planned(EVIL, {}, EVIL, EVIL, []), 200, EVIL, [], 0.1)
    console = make_console()
    print_table(console, [played, nothing])
    print_result(console, [played], Differences({EVIL: played.problems}, [EVIL], [EVIL], [EVIL]), 1.0)
    print_error(ValueError(f"the end of its log:\n{EVIL}"))
    said = capsys.readouterr()
    for text in said:
        assert unseen(text) == set()
        assert "\\u202e" in text
    assert "log:\n" in said.err


def test_invoke_shows_invisible_characters_of_a_log() -> None:
    log = io.StringIO()
    lines: list[str] = []
    # As one line: what is no line break to a terminal does not end one here.
    _follow(io.StringIO(f"{EVIL}\n", newline="\n"), lines, log)
    assert unseen(log.getvalue()) == set()
    assert log.getvalue().endswith("y\n")
