"""A client reference names a user only if it is signed, or if the setting trusts unsigned ones."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.mapping.references import MAX_REFERENCE, signed_reference, user_of
from stripe_to_segment_tools.commands.cli import app
from tests.unit.shapes import NOW, a_customer, a_session, a_subscription, an_event
from tests.unit.worlds import World

KEY = "0123456789abcdef0123456789abcdef"
NODE = shutil.which("node") or ""
COMPLETED = "checkout.session.completed"
GUIDE = (Path(__file__).parents[2] / "docs" / "identity.md").read_text("utf-8")

users = st.text(min_size=1, max_size=60).filter(lambda text: text == text.strip() and text.isprintable())


def by_link(**more: Any) -> dict[str, Any]:
    """A session that a Payment Link made."""
    return a_session(payment_link="plink_1", **more)


def world(**settings: str) -> World:
    """A world whose secret holds the key."""
    return World(None, None, KEY, **settings)


def users_of(calls: list[dict[str, Any]]) -> set[str | None]:
    return {call.get("userId") for call in calls}


# --- Signing ---


@given(users)
def test_a_signed_reference_names_its_user_in_characters_that_stripe_takes(user: str) -> None:
    try:
        reference = signed_reference(user, KEY)
    except ConfigurationError:
        assert len(user.encode()) > 100
        return
    assert re.fullmatch(rf"[A-Za-z0-9_-]{{1,{MAX_REFERENCE}}}", reference)
    assert user_of(reference, KEY) == user


@given(users, st.text(alphabet="0123456789abcdef", min_size=1, max_size=32))
def test_a_reference_signed_with_another_key_is_refused(user: str, other: str) -> None:
    reference = signed_reference(user[:30], KEY)
    assert user_of(reference, other) is None
    assert user_of(reference, "") is None


@given(users, users)
def test_a_signature_is_valid_for_one_user_only(user: str, victim: str) -> None:
    _, _, mac = signed_reference(user[:30], KEY).rpartition("_")
    assert user_of(f"{victim}_{mac}", KEY) in {None, user[:30]}


@pytest.mark.parametrize("reference", ["", "_", "user_1", "user_1_", f"_{'0' * 32}", "user_1_ä", "a_" + "0" * 500])
def test_an_unsigned_reference_names_no_user(reference: str) -> None:
    assert user_of(reference, KEY) is None


def test_a_reference_that_stripe_would_drop_is_not_made() -> None:
    with pytest.raises(ConfigurationError, match="200 characters"):
        signed_reference("u" * 168, KEY)
    assert len(signed_reference("u" * 167, KEY)) == 200


# --- Who may name a user ---


def test_a_visitor_of_a_payment_link_cannot_name_the_user() -> None:
    """Anybody could put another user's id into the address of a Payment Link, and act as that user."""
    calls = world().deliver(an_event(COMPLETED, by_link(client_reference_id="user_victim")))
    assert calls
    assert users_of(calls) == {None}


def test_a_payment_link_names_the_user_by_a_signed_reference() -> None:
    session = by_link(client_reference_id=signed_reference("jo@example.com", KEY))
    calls = world().deliver(an_event(COMPLETED, session))
    assert users_of(calls) == {"jo@example.com"}
    assert calls[0]["context"]["stripe"]["identity"] == "client_reference_id"


def test_without_a_key_no_signature_counts() -> None:
    session = by_link(client_reference_id=signed_reference("user_1", "other"))
    assert users_of(World().deliver(an_event(COMPLETED, session))) == {None}


def test_a_signed_reference_on_a_servers_session_is_the_user_alone() -> None:
    session = a_session(client_reference_id=signed_reference("user_1", KEY))
    assert users_of(world().deliver(an_event(COMPLETED, session))) == {"user_1"}


@pytest.mark.parametrize(
    ("trusted", "server", "link", "signed"),
    [
        ("server", "user_1", None, "user_1"),
        ("signed", None, None, "user_1"),
        ("always", "user_1", "user_1", "user_1"),
        ("ignore", None, None, None),
    ],
)
def test_the_setting_decides_which_references_count(
    trusted: str, server: str | None, link: str | None, signed: str | None
) -> None:
    sessions = [
        (server, a_session(client_reference_id="user_1")),
        (link, by_link(client_reference_id="user_1")),
        (signed, by_link(client_reference_id=signed_reference("user_1", KEY))),
    ]
    for user, session in sessions:
        calls = world(CLIENT_REFERENCE_ID=trusted).deliver(an_event(COMPLETED, session))
        assert users_of(calls) == {user}


def test_a_reference_that_does_not_count_lets_the_next_source_answer_and_is_counted() -> None:
    here = world()
    here.deliver(an_event("customer.created", a_customer(metadata={"user_id": "user_1"})))
    (verdict,) = here.batch(an_event(COMPLETED, by_link(client_reference_id="user_victim")))
    assert users_of(here.calls) == {"user_1"}
    assert verdict.reference_refused
    (trusted,) = here.batch(an_event(COMPLETED, a_session(id="cs_2", client_reference_id="user_1")))
    assert not trusted.reference_refused


def test_a_stack_that_ignores_references_counts_no_refused_ones() -> None:
    (verdict,) = world(CLIENT_REFERENCE_ID="ignore").batch(an_event(COMPLETED, by_link(client_reference_id="P2036-1")))
    assert not verdict.reference_refused


# --- Metadata outranks ---


def test_a_reference_never_moves_a_customer_whom_metadata_named() -> None:
    here = world()
    here.deliver(an_event("customer.created", a_customer(metadata={"user_id": "user_1"})))
    session = a_session(client_reference_id="user_victim", mode="subscription", subscription="sub_basic")
    here.deliver(
        an_event(COMPLETED, session, created=NOW + 5),
        an_event("customer.subscription.created", a_subscription(), created=NOW + 6),
    )
    assert users_of(here.calls) == {"user_1"}


def test_metadata_that_comes_later_moves_a_customer_whom_a_reference_named() -> None:
    here = world()
    here.deliver(an_event(COMPLETED, a_session(client_reference_id="user_2"), created=NOW))
    old = an_event("customer.updated", a_customer(metadata={"user_id": "user_1"}), created=NOW - 50)
    here.deliver(old, an_event("customer.subscription.created", a_subscription()))
    assert here.calls[-1]["userId"] == "user_1", "metadata counts more, also where it is older"


def test_a_newer_reference_moves_a_customer_whom_a_reference_named() -> None:
    here = world()
    for number, user in enumerate(["user_1", "user_2"]):
        here.deliver(an_event(COMPLETED, a_session(id=f"cs_{number}", client_reference_id=user), created=NOW + number))
    here.deliver(an_event("customer.subscription.created", a_subscription(), created=NOW + 9))
    assert here.calls[-1]["userId"] == "user_2"


def test_a_record_of_an_earlier_release_is_taken_for_named_by_metadata() -> None:
    """Records did not say who had named the user; taken for a reference's, any link could have moved the customer."""
    here = world()
    here.deliver(an_event("customer.created", a_customer(metadata={"user_id": "user_1"})))
    (profile,) = here.store.load([("profile", "own:test:cus_basic")]).profiles.values()
    assert (profile.user_id, profile.named_by) == ("user_1", "")
    here.deliver(an_event(COMPLETED, a_session(client_reference_id="user_2"), created=NOW + 1))
    assert here.calls[-1]["userId"] == "user_1"


# --- The command and the guide ---


def run(*words: str, key: str = KEY, text: str = "") -> Any:
    return CliRunner().invoke(app, ["sign-reference", *words], env={"CLIENT_REFERENCE_KEY": key}, input=text)


def test_the_command_signs_each_user_and_reads_them_from_standard_input() -> None:
    expected = "".join(f"{signed_reference(user, KEY)}\n" for user in ("u1", "jo@example.com"))
    assert run("u1", "jo@example.com").stdout == expected
    assert run("-", text="u1\n\n jo@example.com \n").stdout == expected


def test_the_command_puts_the_reference_into_a_links_address() -> None:
    (line,) = run(
        "u1", "--link", "https://buy.stripe.com/abc?prefilled_promo_code=X&client_reference_id=old"
    ).stdout.split()
    assert line == (
        f"https://buy.stripe.com/abc?prefilled_promo_code=X&client_reference_id={signed_reference('u1', KEY)}"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [(["u" * 168], "too long"), (["u1", "--link", "http://x"], "Payment Link")],
)
def test_the_command_refuses_with_the_reason(words: list[str], says: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_guides_python_makes_a_valid_reference() -> None:
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if "def signed_reference" in each)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/identity.md", "exec"), names)  # noqa: S102 - the guide's own code
    for user in ("user_4821", "jo@example.com", "müller", "auth0|5f7c"):
        assert names["signed_reference"](user, KEY) == signed_reference(user, KEY)


@pytest.mark.skipif(not NODE, reason="runs the guide's JavaScript with Node.js, which is not here")
def test_the_guides_javascript_makes_a_valid_reference() -> None:
    (code,) = re.findall(r"```javascript\n(.*?)```", GUIDE, re.DOTALL)
    named = ["user_4821", "jo@example.com", "müller", "auth0|5f7c"]
    script = f"{code}\nfor (const user of {json.dumps(named)}) console.log(signedReference(user, '{KEY}'));"
    said = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True).stdout
    assert said.split() == [signed_reference(user, KEY) for user in named]
