"""What `make run` says to options that cannot be, and where it runs already."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment_tools.local_stack import run
from stripe_to_segment_tools.local_stack.run import main
from stripe_to_segment_tools.local_stack.stack_file import only_run, write_stack_file

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_that_is_no_signing_secret_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An API key was taken for a signing secret, and then every event of `stripe listen` was refused."""
    monkeypatch.setenv("STRIPE_SECRET", "sk_test_notthisone")
    with pytest.raises(SystemExit) as stopped:
        main(["--no-samples"])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "STRIPE_SECRET is no signing secret: those begin with whsec_" in said
    assert "notthisone" not in said


def test_a_signing_secret_is_a_variable_and_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    """As an option everybody on the machine saw it in `ps`."""
    with pytest.raises(SystemExit) as stopped:
        main(["--secret", "whsec_notthisone"])
    assert stopped.value.code == 2
    assert "unrecognized arguments: --secret" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
@pytest.mark.parametrize("option", ["--port", "--page-port"])
def test_an_invalid_port_is_refused_with_a_message(option: str, port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([f"{option}={port}"])
    assert stopped.value.code == 2
    assert f"'{port}' is no port" in capsys.readouterr().err


def test_a_second_run_names_the_page_of_the_first_one_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "stack.json"
    monkeypatch.setattr(run, "only_run", partial(only_run, path))
    monkeypatch.setattr(run, "_run", lambda *_: pytest.fail("it started"))
    with only_run(path):
        write_stack_file({"page_url": "http://127.0.0.1:4242/token"}, path)
        assert main([]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(
        "error: `make run` is running already in this checkout: its page is http://127.0.0.1:4242/to"
    )
    assert "Stop it with Ctrl-C" in said


def test_a_run_owns_the_checkout_before_it_starts_anything(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    monkeypatch.setattr(run, "only_run", partial(only_run, path))

    def start(*_: object) -> None:
        assert main([]) == 1, "a second one"
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "_run", start)
    assert main([]) == 0
