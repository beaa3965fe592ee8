"""The stack's secrets are looked at, set, edited and moved without being shown, lost, or left lying about."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from stripe_to_segment.secrets import Keys
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.secret import asking, commands
from stripe_to_segment_tools.commands.secret.editing import edited, private_file
from stripe_to_segment_tools.commands.secret.shapes import fingerprint
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import Faulty, a_signing_secret, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT = Path(__file__).parents[2]
LIVE, TEST, OTHER = (a_signing_secret(name, "DoNotShow") for name in ("live", "test", "other"))
KEYS = {
    "segment_write_key": "L" * 32,
    "segment_test_write_key": "T" * 32,
    "stripe_api_key": "rk_test_DoNotShow12",
    "client_reference_key": "DoNotShowThisReferenceKey",
}
HIDDEN = [LIVE, TEST, OTHER, SAMPLE_SECRET, *KEYS.values()]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with deployed() as stack:
        stack.put_signing(
            stripe_live_signing_secrets=[LIVE], stripe_test_signing_secrets=[TEST], note="call Ann", stripe_endpoints={}
        )
        stack.put_keys(**KEYS)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str, given: str | None = None) -> Result:
    result = CliRunner().invoke(app, ["secret", *words], input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not [word for word in HIDDEN if word in result.output], "no value is ever shown"
    return result


def versions(here: Deployed, arn: str) -> int:
    return len(here.secrets.list_secret_version_ids(SecretId=arn, IncludeDeprecated=True)["Versions"])


def previous(here: Deployed, arn: str) -> str:
    return str(here.secrets.get_secret_value(SecretId=arn, VersionStage="AWSPREVIOUS")["SecretString"])


# --- show-shape ---


def test_each_value_is_shown_by_its_fingerprint_and_checked_by_its_shape(here: Deployed) -> None:
    here.put_signing(
        **here.signing | {"stripe_endpoints": {"we_7": {"secret": fingerprint(TEST) + "00000000", "livemode": False}}}
    )
    result = run("show-shape")
    assert result.exit_code == 0
    lines = [line.split(maxsplit=4) for line in result.stdout.splitlines()]
    assert ["✓", "SigningSecret", "stripe_live_signing_secrets", fingerprint(LIVE), "has the shape"] in lines
    assert ["✓", "SigningSecret", "stripe_test_signing_secrets", fingerprint(TEST), "has the shape, of we_7"] in lines
    assert ["✓", "KeysSecret", "segment_write_key", fingerprint("L" * 32), "has the shape"] in lines
    assert len(fingerprint(LIVE)) == 8
    assert len(lines) == 6


def test_a_value_of_a_wrong_shape_gives_exit_status_1(here: Deployed) -> None:
    here.put_signing(stripe_live_signing_secrets=[SAMPLE_SECRET], **KEYS)
    here.put_keys(segment_write_key="L" * 31)
    result = run("show-shape", "--json")
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    flaws = {(each["secret"], each["field"]): each["flaw"] for each in said["values"]}
    assert flaws["SigningSecret", "stripe_live_signing_secrets"].startswith("the sample of this repository")
    assert flaws["KeysSecret", "segment_write_key"].startswith("31 characters")
    assert flaws["SigningSecret", "stripe_api_key"] == (
        "in the wrong secret: stripe-to-segment secret move --stack stripe-to-segment moves it"
    )
    assert "stripe_test_signing_secrets" in said["empty"]
    assert said["ok"] is False


# --- set ---


def test_a_key_is_asked_for_on_a_terminal_and_takes_the_place_of_the_one_there_was(
    here: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    here.put_keys(**KEYS | {"segment_write_key": "O" * 32})
    result = run("set", "segment_write_key", given=f"{'L' * 32}\n")
    assert result.exit_code == 0, result.output
    assert f"segment_write_key: {fingerprint('L' * 32)} is stored; the functions use it within" in result.stdout
    assert here.keys == KEYS, "and the others stay"


def test_a_secret_that_was_made_and_never_filled_can_be_filled(here: Deployed) -> None:
    """So is a secret that a user creates for the stack: Secrets Manager has no version of it to read."""
    here.keys_arn = here.secrets.create_secret(Name="team/keys")["ARN"]
    assert "empty" in run("show-shape").stdout
    assert run("set", "segment_write_key", given="L" * 32).exit_code == 0
    assert here.keys == {"segment_write_key": "L" * 32}
    here.keys_arn = here.secrets.create_secret(Name="team/other-keys")["ARN"]
    here.put_signing(**KEYS)
    assert run("move").exit_code == 0
    assert here.keys == KEYS


def test_a_key_is_piped_in_or_taken_from_a_variable(here: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    here.put_keys()
    assert run("set", "segment_write_key", given=f"  {'L' * 32}\n\n").exit_code == 0
    monkeypatch.setenv("MINE", "T" * 32)
    assert run("set", "segment_test_write_key", "--from-env", "MINE").exit_code == 0
    assert here.keys == {"segment_write_key": "L" * 32, "segment_test_write_key": "T" * 32}
    for given, words in [("", ()), ("a b", ()), (None, ("--from-env", "NOT_SET"))]:
        assert run("set", "segment_write_key", *words, given=given).exit_code == 2


def test_a_signing_secret_is_added_before_those_of_its_mode(here: Deployed) -> None:
    for _ in range(2):
        assert run("set", "stripe_live_signing_secrets", given=OTHER).exit_code == 0
    assert here.signing["stripe_live_signing_secrets"] == [OTHER, LIVE]
    assert here.signing["stripe_test_signing_secrets"] == [TEST]
    assert here.signing["note"] == "call Ann"


def test_a_signing_secret_that_gets_a_mode_leaves_the_list_of_those_without(here: Deployed) -> None:
    here.put_signing(stripe_signing_secrets=[OTHER, LIVE])
    run("set", "stripe_live_signing_secrets", given=LIVE)
    assert here.signing == {"stripe_live_signing_secrets": [LIVE], "stripe_signing_secrets": [OTHER]}
    run("set", "stripe_test_signing_secrets", given=OTHER)
    assert here.signing == {"stripe_live_signing_secrets": [LIVE], "stripe_test_signing_secrets": [OTHER]}


def test_a_secret_is_not_accepted_for_both_modes(here: Deployed) -> None:
    result = run("set", "stripe_live_signing_secrets", given=TEST)
    assert result.exit_code == 1
    assert "would sign events of both modes: take it out there first" in result.stderr
    assert here.signing["stripe_live_signing_secrets"] == [LIVE]
    here.options = ("--local",)
    assert run("set", "stripe_live_signing_secrets", given=TEST).exit_code == 0, "here it may"


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("stripe_live_signing_secrets", SAMPLE_SECRET, "the sample of this repository"),
        ("stripe_live_signing_secrets", "rk_live_DoNotShow123456", "no signing secret"),
        ("segment_write_key", LIVE, "a key of something else"),
        ("segment_write_key", "YOUR_WRITE_KEY", "a placeholder"),
        ("segment_write_key", "L" * 31, "Segment's have 32"),
        ("stripe_api_key", "L" * 32, "no secret or restricted key"),
        ("stripe_api_key", "rk_live_your_key_here", "a placeholder"),
        ("client_reference_key", "DoNotShow", "too short"),
        ("client_reference_key", "your_client_reference_key", "easy to guess"),
    ],
)
def test_an_invalid_value_is_not_written(here: Deployed, field: str, value: str, said: str) -> None:
    before = [here.signing, here.keys]
    result = run("set", field, given=value)
    assert result.exit_code == 1
    assert "not written: " in result.stderr
    assert said in result.stderr
    assert value not in result.output
    assert [here.signing, here.keys] == before


def test_an_unknown_field_or_one_without_a_mode_is_refused() -> None:
    assert "the fields are stripe_live_signing_secrets" in run("set", "stripe_key", given="x").stderr
    assert "say of which mode it is" in run("set", "stripe_signing_secrets", given=OTHER).stderr


def test_a_value_is_taken_out_by_its_fingerprint(here: Deployed) -> None:
    here.put_signing(stripe_live_signing_secrets=[OTHER, LIVE], stripe_signing_secrets=[TEST])
    assert run("set", "stripe_live_signing_secrets", "--remove", fingerprint(OTHER).upper()).exit_code == 0
    assert run("set", "stripe_signing_secrets", "--remove", fingerprint(TEST)).exit_code == 0
    assert here.signing == {"stripe_live_signing_secrets": [LIVE]}
    assert run("set", "stripe_api_key", "--remove", fingerprint(KEYS["stripe_api_key"])).exit_code == 0
    assert here.keys["stripe_api_key"] == ""
    result = run("set", "segment_write_key", "--remove", "00000000")
    assert result.exit_code == 1
    assert "holds nothing with the fingerprint 00000000" in result.stderr


def test_a_key_that_is_superseded_does_not_stay_where_it_was_before(here: Deployed) -> None:
    """Deliver takes what is empty in the KeysSecret from there: a key that was taken out would have come back."""
    here.put_signing(stripe_signing_secrets=[OTHER], **KEYS)
    here.put_keys()
    run("set", "segment_write_key", given="N" * 32)
    assert here.stack.keys().segment_write_key == "N" * 32
    assert "segment_write_key" not in here.signing
    assert KEYS["segment_write_key"] not in previous(here, here.signing_arn)
    run("set", "segment_write_key", "--remove", fingerprint("N" * 32))
    assert here.stack.keys().segment_write_key == ""
    assert here.stack.keys().segment_test_write_key == KEYS["segment_test_write_key"], "the others were not moved"


def test_nothing_is_written_over_what_somebody_else_wrote_meanwhile(
    here: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = iter(range(10))

    def meanwhile(operation: str, _: dict[str, Any]) -> None:
        if operation == "get_secret_value" and next(reads) == 1:
            here.secrets._client.put_secret_value(
                SecretId=here.keys_arn, SecretString='{"segment_write_key": "theirs"}'
            )

    monkeypatch.setattr(here, "secrets", Faulty(here.secrets, meanwhile))
    result = run("set", "segment_write_key", given="L" * 32)
    assert result.exit_code == 1
    assert "the KeysSecret was changed meanwhile: nothing was written" in result.stderr
    assert here.keys == {"segment_write_key": "theirs"}


# --- edit ---


def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> Path:
    """An editor that runs this Python with the file's path as `path`; what it prints goes into the file it gives."""
    script, said = tmp_path / "editor.py", tmp_path / "said"
    script.write_text(
        f"import json, os, pathlib, signal, stat, sys, time\npath = pathlib.Path(sys.argv[1])\n"
        f"said = open({str(said)!r}, 'a')\n{code}\n"
    )
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return said


CHANGE = "document = json.loads(path.read_text()); document{place} = {value}; path.write_text(json.dumps(document))"


def test_changes_in_the_editor_are_written_and_named(
    here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = "print(oct(path.stat().st_mode), oct(path.parent.stat().st_mode), path, file=said)\n"
    change = CHANGE.format(place='["KeysSecret"]["segment_write_key"]', value=repr("N" * 32))
    said = editor(tmp_path, monkeypatch, look + change)
    before = versions(here, here.signing_arn)
    result = run("edit")
    assert result.exit_code == 0, result.output
    assert result.stdout == "changed: segment_write_key\nthe functions use it within five minutes\n"
    assert here.keys == KEYS | {"segment_write_key": "N" * 32}
    assert versions(here, here.signing_arn) == before, "what did not change is not written"
    mode, folder_mode, path = said.read_text().split()
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert stat.S_IMODE(int(folder_mode, 8)) == 0o700
    assert Path(path).is_relative_to(tmp_path), "in memory, where the user has a folder there"
    assert not Path(path).parent.exists()


def test_nothing_changed_writes_nothing(here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor(tmp_path, monkeypatch, "")
    here.put_keys(segment_write_key="L" * 32)
    before = versions(here, here.keys_arn), versions(here, here.signing_arn)
    assert run("edit").stdout == "nothing was changed\n"
    assert (versions(here, here.keys_arn), versions(here, here.signing_arn)) == before


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("path.write_text('{')", "it is no JSON"),
        ("path.write_text('[]')", "one object with SigningSecret and KeysSecret"),
        (CHANGE.format(place='["KeysSecret"]', value="[]"), "KeysSecret is to be an object"),
        (
            CHANGE.format(place='["KeysSecret"]["segment_write_key"]', value="[]"),
            "segment_write_key: it is to be a text",
        ),
        (
            CHANGE.format(place='["SigningSecret"]["stripe_live_signing_secrets"]', value="''"),
            "stripe_live_signing_secrets: it is to be a list of texts",
        ),
        (
            CHANGE.format(place='["SigningSecret"]["stripe_live_signing_secrets"]', value=repr([SAMPLE_SECRET])),
            "stripe_live_signing_secrets: the sample of this repository",
        ),
        (
            CHANGE.format(place='["SigningSecret"]["segment_write_key"]', value=repr("L" * 32)),
            "segment_write_key belongs into the KeysSecret, not into the SigningSecret",
        ),
        ("sys.exit(3)", "ended with status 3: nothing was written"),
    ],
)
def test_an_invalid_edit_is_reported_and_nothing_is_written(
    here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    editor(tmp_path, monkeypatch, code)
    before = [here.signing, here.keys]
    result = run("edit")
    assert result.exit_code in {1, 2}
    assert said in result.stderr
    assert [here.signing, here.keys] == before
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_on_a_terminal_an_invalid_edit_may_be_continued(
    here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    good = CHANGE.format(place='["KeysSecret"]["segment_write_key"]', value=repr("N" * 32))
    code = (
        "text = path.read_text()\n"
        "if text.startswith('half'):\n"
        f"    path.write_text(text.removeprefix('half'))\n    {good}\n"
        "else:\n    path.write_text('half' + text)\n"
    )
    editor(tmp_path, monkeypatch, code)
    result = run("edit", given="y\n")
    assert result.exit_code == 0, result.output
    assert "error: it is no JSON" in result.stderr
    assert "edit again?" in result.stderr
    assert here.keys["segment_write_key"] == "N" * 32
    assert run("edit", given="n\n").exit_code == 1


def test_a_secret_that_is_no_json_can_be_mended(
    here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.secrets.put_secret_value(SecretId=here.signing_arn, SecretString=LIVE)
    code = (
        "document = json.loads(path.read_text())\n"
        "document['SigningSecret'] = {'stripe_live_signing_secrets': [document['SigningSecret']]}\n"
        "path.write_text(json.dumps(document))\n"
    )
    editor(tmp_path, monkeypatch, code)
    assert run("edit").exit_code == 0
    assert here.signing == {"stripe_live_signing_secrets": [LIVE]}


def test_a_change_by_somebody_else_while_the_editor_is_open_stays(
    here: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor(tmp_path, monkeypatch, CHANGE.format(place='["KeysSecret"]["segment_write_key"]', value=repr("N" * 32)))

    def meanwhile(path: Path) -> Any:
        here.put_keys(segment_write_key="theirs")
        return edited(path)

    monkeypatch.setattr("stripe_to_segment_tools.commands.secret.commands.edited", meanwhile)
    result = run("edit")
    assert result.exit_code == 1
    assert "the KeysSecret was changed meanwhile: nothing was written" in result.stderr
    assert here.keys == {"segment_write_key": "theirs"}


def test_keys_in_the_wrong_place_are_moved_before_anything_is_edited(here: Deployed) -> None:
    here.put_signing(**here.signing | KEYS)
    result = run("edit")
    assert result.exit_code == 2
    assert "first stripe-to-segment secret move --stack stripe-to-segment" in result.stderr


KEEPS_A_COPY = (
    "(path.parent / '.secret.json.swp').write_text(path.read_text()); print(path.parent, file=said, flush=True)"
)
INTERRUPTED = """
import sys
from pathlib import Path
from stripe_to_segment_tools.local_stack import stop_on_signals
from stripe_to_segment_tools.commands.secret.editing import edited, private_file

with stop_on_signals(), private_file("whsec_hidden") as path:
    edited(path)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_behind_when_it_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    said = editor(tmp_path, monkeypatch, f"{KEEPS_A_COPY}\ntime.sleep(20)")
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED], cwd=PROJECT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (said.exists() and said.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    folder = Path(said.read_text().strip())
    assert {each.name for each in folder.iterdir()} == {"secret.json", ".secret.json.swp"}
    os.kill(process.pid, number)
    assert process.wait(40) != 0
    assert not folder.exists()


def test_the_disk_is_overwritten_before_it_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    kept: list[bytes] = []

    def keep(folder: Path, **_: Any) -> None:
        kept.extend(each.read_bytes() for each in folder.iterdir())

    monkeypatch.setattr("stripe_to_segment_tools.commands.secret.editing.shutil.rmtree", keep)
    with private_file(LIVE) as path:
        (path.parent / "copy~").write_text(LIVE)
    assert [set(content) for content in kept] == [{0}, {0}]
    assert [len(content) for content in kept] == [len(LIVE)] * 2


# --- move ---


@pytest.fixture
def before(here: Deployed) -> Deployed:
    """A stack as an earlier release left it, just after the update: everything in one secret."""
    here.put_signing(stripe_signing_secrets=[OTHER], note="call Ann", **KEYS)
    here.put_keys(**dict.fromkeys(KEYS, ""))
    return here


def test_the_keys_move_and_the_signing_secrets_stay(before: Deployed) -> None:
    result = run("move")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "moved to the KeysSecret: segment_write_key, segment_test_write_key, stripe_api_key, client_reference_key",
        "removed from the SigningSecret and from its previous version",
    ]
    assert "roll the keys" in result.stderr
    assert before.keys == KEYS
    assert before.signing == {"stripe_signing_secrets": [OTHER], "note": "call Ann"}
    assert not any(key in previous(before, before.signing_arn) for key in KEYS.values())
    again = run("move")
    assert (again.exit_code, again.stdout) == (0, "nothing to do: there is no key in the SigningSecret\n")


def test_a_key_that_is_there_already_stays_and_a_difference_is_said(before: Deployed) -> None:
    before.put_keys(segment_write_key="N" * 32, segment_test_write_key="T" * 32)
    said = run("move").stdout
    assert "moved to the KeysSecret: stripe_api_key, client_reference_key\n" in said
    assert "in the KeysSecret already: segment_write_key, with another value, which is used and stays\n" in said
    assert "in the KeysSecret already: segment_test_write_key\n" in said
    assert before.keys == KEYS | {"segment_write_key": "N" * 32}


@pytest.mark.parametrize("cut_off_at", range(12))
def test_an_interrupted_move_leaves_the_keys_readable_and_the_next_run_finishes(
    before: Deployed, monkeypatch: pytest.MonkeyPatch, cut_off_at: int
) -> None:
    operations = iter(range(100))
    seen: list[Keys] = []

    def fail(operation: str, _: dict[str, Any]) -> None:
        if next(operations) == cut_off_at:
            raise refusal("InternalServiceError", operation)

    with monkeypatch.context() as patched:
        patched.setattr(before, "secrets", Faulty(before.secrets, fail))
        stopped = run("move")
    seen.append(before.stack.keys())
    assert stopped.exit_code in {0, 2}
    finished = run("move")
    assert finished.exit_code == 0, finished.output
    seen.append(before.stack.keys())
    assert seen == [Keys(**KEYS)] * 2
    assert not any(key in json.dumps(before.signing) for key in KEYS.values())
    assert not any(key in previous(before, before.signing_arn) for key in KEYS.values())


def test_one_secret_for_both_is_left_alone(before: Deployed) -> None:
    """Taking the keys out would have taken them away."""
    before.keys_arn = before.signing_arn
    result = run("move")
    assert result.exit_code == 2
    assert "SigningSecretArn and KeysSecretArn name one secret" in result.stderr
    assert before.signing["segment_write_key"] == KEYS["segment_write_key"]
    run("set", "segment_write_key", given="N" * 32)
    assert before.signing["segment_write_key"] == "N" * 32


@pytest.mark.parametrize("operation", ["get_secret_value", "put_secret_value"])
def test_a_refusal_of_aws_is_reported_with_its_code(
    before: Deployed, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    def fail(asked: str, _: dict[str, Any]) -> None:
        if asked == operation:
            raise refusal("AccessDeniedException", asked)

    monkeypatch.setattr(before, "secrets", Faulty(before.secrets, fail))
    result = run("move")
    assert result.exit_code == 2
    assert "AccessDeniedException" in result.stderr
