"""The stack's one secret: read leniently, shown to nobody, and fetched seldom."""

from __future__ import annotations

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.secrets import Secrets, SecretSource, read_secret

SECRET = "whsec_donotshow"
FULL = {
    "stripe_signing_secrets": ["whsec_1", "whsec_2"],
    "segment_write_key": "live_key",
    "segment_test_write_key": "test_key",
    "stripe_api_key": "rk_1",
}


class Vault:
    """Gives texts one after the other, the last one again and again; an exception is raised."""

    def __init__(self, *texts: object) -> None:
        self.texts = list(texts)
        self.fetched = 0
        self.now = 1000.0

    def fetch(self) -> str:
        self.fetched += 1
        text = self.texts[min(self.fetched, len(self.texts)) - 1]
        if isinstance(text, Exception):
            raise text
        return text if isinstance(text, str) else json.dumps(text)

    def source(self) -> SecretSource:
        return SecretSource(self.fetch, lambda: self.now)


def signing(*secrets: str) -> dict[str, Any]:
    return {"stripe_signing_secrets": list(secrets)}


def test_all_fields_are_read() -> None:
    assert read_secret(json.dumps(FULL)) == Secrets(("whsec_1", "whsec_2"), "live_key", "test_key", "rk_1")


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (["whsec_1", "whsec_2"], ("whsec_1", "whsec_2")),
        ("whsec_1", ("whsec_1",)),
        ([" whsec_1\n", "", "  ", None, 7, ["whsec_2"]], ("whsec_1",)),
        ([], ()),
        ("", ()),
        (None, ()),
        ({"a": "whsec_1"}, ()),
    ],
)
def test_signing_secrets_are_a_list_or_one_text(value: object, read: tuple[str, ...]) -> None:
    assert read_secret(json.dumps({"stripe_signing_secrets": value})).stripe_signing_secrets == read


@pytest.mark.parametrize("value", ["", "  ", None, 7, ["key"], {"a": "key"}])
def test_a_key_that_is_no_text_is_not_configured(value: object) -> None:
    assert read_secret(json.dumps({"segment_write_key": value})).segment_write_key == ""


def test_a_pasted_key_loses_its_spaces() -> None:
    assert read_secret('{"segment_write_key": " key\\n"}').segment_write_key == "key"


def test_the_secret_as_deployed_configures_nothing() -> None:
    empty = {
        "stripe_signing_secrets": [],
        "segment_write_key": "",
        "segment_test_write_key": "",
        "stripe_api_key": "",
    }
    assert read_secret(json.dumps(empty)) == read_secret("{}") == Secrets()


def test_test_events_never_fall_back_to_the_live_key() -> None:
    live_only = Secrets(segment_write_key="live_key")
    assert (live_only.write_key(livemode=True), live_only.write_key(livemode=False)) == ("live_key", "")


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f'{{"stripe_api_key": "{SECRET}"',
        f'["{SECRET}"]',
        f'"{SECRET}"',
        "",
        "null",
        "[" * 100_000 + SECRET,
    ],
    ids=["plain text", "half", "list", "string", "empty", "null", "nested"],
)
def test_garbage_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Vault(text).source().get()
    assert "stripe_signing_secrets" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_neither_text_nor_repr_show_what_it_holds() -> None:
    secrets = Secrets((SECRET,), SECRET, SECRET, SECRET)
    assert SECRET not in f"{secrets} {secrets!r} {[secrets]}"


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        secrets = read_secret(text)
    except ConfigurationError:
        return
    assert all(secret.strip() for secret in secrets.stripe_signing_secrets)


def test_the_secret_is_fetched_when_first_needed_and_kept_for_five_minutes() -> None:
    vault = Vault(signing("whsec_1"), signing("whsec_2"))
    source = vault.source()
    assert vault.fetched == 0
    first = source.get()
    vault.now += 300
    assert source.get() is first
    assert vault.fetched == 1
    vault.now += 1
    assert source.get().stripe_signing_secrets == ("whsec_2",)


def test_a_refresh_finds_a_rotated_secret() -> None:
    vault = Vault(signing("whsec_1"), signing("whsec_1", "whsec_2"))
    source = vault.source()
    source.get()
    vault.now += 30
    assert source.refresh()
    assert source.get().stripe_signing_secrets == ("whsec_1", "whsec_2")


def test_a_refresh_that_finds_nothing_new_says_so() -> None:
    vault = Vault(FULL)
    source = vault.source()
    source.get()
    vault.now += 30
    assert not source.refresh()
    assert vault.fetched == 2


def test_refreshing_is_bounded() -> None:
    vault = Vault(FULL)
    source = vault.source()
    source.get()
    for _ in range(1000):
        source.refresh()
        vault.now += 0.1
    assert vault.fetched <= 1 + 100 / 30


@pytest.mark.parametrize("trouble", [KeyError("SecretString"), ConnectionError(SECRET), SECRET])
def test_a_secret_that_cannot_be_read_is_not_asked_for_by_every_request(trouble: object) -> None:
    """Every request, a forged one too, cost a call to Secrets Manager as long as the first read had not succeeded."""
    vault = Vault(trouble)
    source = vault.source()
    for _ in range(100):
        with pytest.raises(ConfigurationError) as caught:
            source.get()
        assert SECRET not in str(caught.value)
    assert vault.fetched == 1


def test_a_secret_that_could_not_be_read_is_read_soon_after() -> None:
    vault = Vault(ConnectionError("refused"), FULL)
    source = vault.source()
    with pytest.raises(ConfigurationError, match="ConnectionError"):
        source.get()
    vault.now += 5
    assert source.get().segment_write_key == "live_key"


def test_a_refresh_that_fails_keeps_what_is_known() -> None:
    vault = Vault(FULL, ConnectionError("refused"))
    source = vault.source()
    known = source.get()
    vault.now += 30
    with pytest.raises(ConfigurationError):
        source.refresh()
    assert source.get() is known
