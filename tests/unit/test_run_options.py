"""What `make run` says to options that cannot be."""

from __future__ import annotations

import pytest

from stripe_to_segment_tools.local_stack.run import main


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
