"""The stack's two secrets: read leniently, never shown, seldom fetched, and kept when a fetch fails."""

from __future__ import annotations

import dataclasses
import inspect
import json
import time
import traceback
from random import Random
from string import ascii_letters, digits, hexdigits
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment import aws
from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.key_shapes import LOCAL_SECRET, SAMPLE_SECRET, reference_key_flaw, signing_secret_flaw
from stripe_to_segment.secrets import (
    Keys,
    KeysReader,
    SecretSource,
    SigningSecrets,
    read_keys,
    read_signing_secrets,
)
from stripe_to_segment.stripe_api.reader import StripeReader
from stripe_to_segment.stripe_api.thin_events import ThinEventReader
from tests.unit.edges import SecretsManager, Spoken, a_signing_secret, refusal, speaking

pytestmark = pytest.mark.usefixtures("spoken")

ONE, TWO, THREE = (a_signing_secret(name) for name in ("one", "two", "three"))
HIDDEN = a_signing_secret("hidden", "DoNotShow")
FULL = {"segment_write_key": "live_key", "segment_test_write_key": "test_key", "stripe_api_key": "rk_1"}


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

    def source(self) -> SecretSource[SigningSecrets]:
        return SecretSource(lambda: read_signing_secrets(self.fetch()), lambda: self.now)


def signing(*secrets: str) -> dict[str, Any]:
    return {"stripe_live_signing_secrets": list(secrets)}


def read(**content: Any) -> SigningSecrets:
    return read_signing_secrets(json.dumps(content))


# --- What they hold ---


def test_each_list_is_valid_for_its_mode_and_the_one_without_a_mode_for_both() -> None:
    found = read(stripe_live_signing_secrets=[ONE], stripe_test_signing_secrets=[TWO], stripe_signing_secrets=[THREE])
    assert found.vouching(livemode=True) == (ONE, THREE)
    assert found.vouching(livemode=False) == (TWO, THREE)
    assert found.every == (ONE, TWO, THREE)


def test_a_secret_in_several_lists_is_tried_once() -> None:
    found = read(stripe_live_signing_secrets=[ONE], stripe_test_signing_secrets=[ONE], stripe_signing_secrets=[ONE])
    assert found.every == found.vouching(livemode=True) == found.vouching(livemode=False) == (ONE,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([ONE, TWO], (ONE, TWO)),
        (ONE, (ONE,)),
        ([f" {ONE}\n", "", "  ", None, 7, [TWO]], (ONE,)),
        ([], ()),
        ("", ()),
        (None, ()),
        ({"a": ONE}, ()),
    ],
)
@pytest.mark.parametrize("field", ["stripe_live_signing_secrets", "stripe_signing_secrets"])
def test_signing_secrets_are_a_list_or_one_text(field: str, value: object, expected: tuple[str, ...]) -> None:
    assert read(**{field: value}).every == expected


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        (SAMPLE_SECRET, "sample"),
        (LOCAL_SECRET, "sample"),
        ("whsec_…", "placeholder"),
        ("whsec_...", "placeholder"),
        ("whsec_" + "x" * 32, "placeholder"),
        ("whsec_" + "0" * 64, "placeholder"),
        ("whsec_abcd1234abcd1234abcd1234abcd1234", "placeholder"),
        ("whsec_your_webhook_signing_secret_here", "placeholder"),
        ("whsec_REPLACE_ME_WITH_THE_REAL_ONE_0", "placeholder"),
        ("whsec_1234567890abcdef1234567890abcdef", "placeholder"),
        ("whsec_has a space in the middle of it", "placeholder"),
        ("whsec_test", "malformed"),
        (ONE[:20], "malformed"),
        (ONE.removeprefix("whsec_") * 2, "malformed"),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "malformed"),
    ],
)
def test_on_aws_an_invalid_signing_secret_is_not_accepted_and_counted_by_its_error(text: str, flaw: str) -> None:
    """A secret of two letters, or the one of the sample requests, opened the door to everybody."""
    found = read(stripe_live_signing_secrets=[text, ONE], stripe_test_signing_secrets=[text])
    assert found.every == (ONE,)
    assert found.refused == {flaw: 2}
    lenient = read_signing_secrets(json.dumps(signing(text)), strict=False)
    assert (lenient.live, lenient.refused) == ((text,), {}), "an emulator on this machine takes any text"


@pytest.mark.parametrize(
    ("letters", "length"), [(ascii_letters + digits, 24), (ascii_letters + digits, 32), (hexdigits[:16], 64)]
)
def test_no_signing_secret_of_stripe_is_refused(letters: str, length: int) -> None:
    """As the Dashboard and `stripe listen` have them, and shorter ones than there are."""
    draw = Random(length)
    for _ in range(5_000):
        secret = f"whsec_{''.join(draw.choices(letters, k=length))}"
        assert signing_secret_flaw(secret) == "", secret


def test_all_keys_are_read() -> None:
    assert read_keys(json.dumps(FULL)) == Keys("live_key", "test_key", "rk_1")


@pytest.mark.parametrize("value", ["", "  ", None, 7, ["key"], {"a": "key"}])
def test_a_key_that_is_no_text_is_not_configured(value: object) -> None:
    assert read_keys(json.dumps({"segment_write_key": value})).segment_write_key == ""


def test_a_pasted_key_loses_its_spaces() -> None:
    assert read_keys('{"segment_write_key": " key\\n"}').segment_write_key == "key"


def test_the_secrets_as_deployed_configure_nothing() -> None:
    deployed = json.dumps({"stripe_signing_secrets": [], **dict.fromkeys(FULL, "")})
    assert read_signing_secrets(deployed) == read_signing_secrets("{}") == SigningSecrets()
    assert read_keys(deployed) == read_keys("{}") == Keys()


def test_test_events_never_fall_back_to_the_live_key() -> None:
    live_only = Keys(segment_write_key="live_key")
    assert (live_only.write_key(livemode=True), live_only.write_key(livemode=False)) == ("live_key", "")


@pytest.mark.parametrize(
    "text",
    [
        HIDDEN,
        f'{{"stripe_api_key": "{HIDDEN}"',
        f'["{HIDDEN}"]',
        f'"{HIDDEN}"',
        "",
        "null",
        "[" * 100_000 + HIDDEN,
    ],
    ids=["plain text", "half", "list", "string", "empty", "null", "nested"],
)
def test_garbage_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Vault(text).source().get()
    assert "the SigningSecret is no JSON object: `stripe-to-segment secret edit` mends it" in str(caught.value)
    assert HIDDEN not in "".join(traceback.format_exception(caught.value))


def test_neither_text_nor_repr_show_what_they_hold() -> None:
    for held in (SigningSecrets((HIDDEN,), (HIDDEN,), (HIDDEN,)), Keys(HIDDEN, HIDDEN, HIDDEN)):
        assert HIDDEN not in f"{held} {held!r} {[held]}"


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in (read_signing_secrets, read_keys):
        try:
            reader(text)
        except ConfigurationError:
            continue


# --- When they are read ---


def test_a_secret_is_fetched_when_first_needed_and_kept_for_five_minutes() -> None:
    vault = Vault(signing(ONE), signing(TWO))
    source = vault.source()
    assert vault.fetched == 0
    first = source.get()
    vault.now += 299
    assert source.get() is first
    assert vault.fetched == 1
    vault.now += 1
    assert source.get().live == (TWO,)


def test_a_refresh_finds_a_rotated_secret() -> None:
    vault = Vault(signing(ONE), signing(ONE, TWO))
    source = vault.source()
    source.get()
    vault.now += 30
    assert source.refresh()
    assert source.get().live == (ONE, TWO)


def test_a_refresh_that_finds_nothing_new_says_so() -> None:
    vault = Vault(signing(ONE))
    source = vault.source()
    source.get()
    vault.now += 30
    assert not source.refresh()
    assert vault.fetched == 2


def test_refreshing_is_bounded() -> None:
    vault = Vault(signing(ONE))
    source = vault.source()
    source.get()
    for _ in range(1000):
        source.refresh()
        vault.now += 0.1
    assert vault.fetched <= 1 + 100 / 30


@pytest.mark.parametrize("cache", [SecretSource, StripeReader, ThinEventReader])
def test_what_is_cached_grows_old_while_lambda_has_frozen_the_function(cache: type[object]) -> None:
    """The monotonic clock may stand still meanwhile. A function that is called now and then used a revoked write key
    for days, and refused events that were signed with a new secret.
    """
    assert inspect.signature(cache).parameters["clock"].default is time.time


def test_a_clock_that_is_set_back_makes_no_secret_last_longer() -> None:
    vault = Vault(signing(ONE), signing(TWO))
    source = vault.source()
    source.get()
    vault.now -= 86_400
    assert source.get().live == (TWO,)
    assert vault.fetched == 2
    vault.now += 30
    assert not source.refresh()
    assert vault.fetched == 3


@pytest.mark.parametrize("trouble", [KeyError("SecretString"), ConnectionError(HIDDEN), HIDDEN])
def test_a_secret_that_cannot_be_read_is_not_asked_for_by_every_request(trouble: object, spoken: Spoken) -> None:
    """Every request, a forged one too, cost a call to Secrets Manager as long as the first read had not succeeded."""
    vault = Vault(trouble)
    source = vault.source()
    for _ in range(100):
        with pytest.raises(ConfigurationError) as caught:
            source.get()
        assert HIDDEN not in "".join(traceback.format_exception(caught.value))
    assert vault.fetched == 1
    assert spoken.lines == [], "whoever asked says so"


def test_a_secret_that_could_not_be_read_is_read_soon_after() -> None:
    vault = Vault(ConnectionError("refused"), signing(ONE))
    source = vault.source()
    with pytest.raises(ConfigurationError, match="ConnectionError"):
        source.get()
    vault.now += 5
    assert source.get().live == (ONE,)


# --- When it cannot be read again ---


@pytest.mark.parametrize(
    "trouble", [refusal("InternalServiceError", "GetSecretValue"), ConnectionError(HIDDEN), HIDDEN]
)
def test_the_known_secret_is_used_after_a_failed_refresh(trouble: object, spoken: Spoken) -> None:
    """When Secrets Manager failed once, a correctly signed event was answered with 503 though the secret was known."""
    vault = Vault(signing(ONE), trouble)
    source = vault.source()
    known = source.get()
    vault.now += 300
    for _ in range(100):
        assert source.get() is known
        vault.now += 0.1
    assert vault.fetched == 2, "and is not asked for by every event"
    vault.now += 30
    assert source.get() is known
    assert vault.fetched == 3
    assert [line["level"] for line in spoken.lines] == ["WARNING"] * 2, "one line for each failure"
    assert spoken.lines[0]["reason"] in {"InternalServiceError", "ConnectionError", "unreadable"}
    assert HIDDEN not in spoken.text


def test_the_next_successful_refresh_replaces_the_known_secret(spoken: Spoken) -> None:
    vault = Vault(signing(ONE), ConnectionError("refused"), signing(TWO))
    source = vault.source()
    source.get()
    vault.now += 300
    assert source.get().live == (ONE,)
    vault.now += 30
    assert source.get().live == (TWO,)
    vault.now += 299
    source.get()
    assert vault.fetched == 3
    assert len(spoken.lines) == 1


def test_a_refresh_that_fails_found_nothing_new() -> None:
    vault = Vault(signing(ONE), ConnectionError("refused"))
    source = vault.source()
    known = source.get()
    vault.now += 30
    assert not source.refresh()
    assert source.get() is known


@pytest.mark.parametrize("code", ["InvalidSignatureException", "RequestExpired"])
def test_an_expired_request_to_aws_is_signed_again_at_once(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda may freeze an environment between signing and sending; the first event of a cold start then got 503."""
    client: Any = SecretsManager('{"a": 1}')
    monkeypatch.setattr(aws, "client", {"secretsmanager": client}.__getitem__)
    client.failures = [code]
    assert aws.secret_text("arn") == '{"a": 1}'
    assert client.calls == 2
    client.failures = [code, code]
    with pytest.raises(ClientError):
        aws.secret_text("arn")
    client.calls, client.failures = 0, ["AccessDeniedException"]
    with pytest.raises(ClientError):
        aws.secret_text("arn")
    assert client.calls == 1, "anything else is not mended by asking again"


@pytest.mark.parametrize("stored", ['{"a": 1}', '\ufeff{"a": 1}', b'{"a": 1}', '\ufeff{"a": 1}'.encode()])
def test_a_secret_that_was_stored_from_a_file_is_read(stored: str | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--secret-binary` stores bytes, of which the log said KeyError; PowerShell puts a mark before a text."""
    client: Any = SecretsManager(stored)
    monkeypatch.setattr(aws, "client", {"secretsmanager": client}.__getitem__)
    assert aws.secret_text("arn") == '{"a": 1}'


@pytest.mark.parametrize("stored", [b"", b"\xff\xfe", b"\x89PNG"])
def test_bytes_that_are_no_text_are_no_json_object(stored: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    client: Any = SecretsManager(stored)
    monkeypatch.setattr(aws, "client", {"secretsmanager": client}.__getitem__)
    with pytest.raises(ConfigurationError, match="is no JSON object"):
        read_keys(aws.secret_text("arn"))


# --- The keys, while some are where an earlier release kept them ---


class Two:
    """The KeysSecret and the one that held the keys before, and which of them were read."""

    def __init__(self, keys: object, former: object) -> None:
        self.held = {"keys": keys, "former": former}
        self.read: list[str] = []

    def __call__(self, arn: str) -> str:
        self.read.append(arn)
        found = self.held[arn]
        if isinstance(found, Exception):
            raise found
        return json.dumps(found)


def test_a_key_that_is_empty_is_taken_from_where_it_was_before() -> None:
    two = Two({"segment_write_key": "new"}, FULL)
    assert KeysReader(two, "keys", "former", strict=False)() == Keys("new", "test_key", "rk_1")


def test_once_all_have_moved_the_other_secret_is_left_alone() -> None:
    two = Two(FULL, {"stripe_signing_secrets": [ONE]})
    reader = KeysReader(two, "keys", "former", strict=False)
    assert reader() == reader() == Keys("live_key", "test_key", "rk_1")
    assert two.read == ["former", "keys", "keys"]


def test_a_stack_with_a_given_signing_secret_has_no_former_one() -> None:
    two = Two(FULL, ConnectionError("never asked"))
    assert KeysReader(two, "keys", "", strict=False)() == Keys("live_key", "test_key", "rk_1")


@pytest.mark.parametrize("broken", ["keys", "former"])
def test_keys_that_were_read_only_in_part_are_not_used(broken: str) -> None:
    """With the live key alone, test events would be taken for unwanted and dropped."""
    two = Two({"segment_write_key": "new"}, FULL)
    two.held[broken] = ConnectionError("refused")
    with pytest.raises(ConnectionError):
        KeysReader(two, "keys", "former", strict=False)()


@pytest.mark.parametrize("moment", range(4))
def test_keys_are_found_at_any_moment_of_a_move(moment: int) -> None:
    """As `secret move` writes: first there, then not here any more; each write may fall between the two reads."""
    two = Two({}, FULL)
    steps = iter([("keys", FULL), ("former", {})])

    def step() -> None:
        for name, content in [next(steps, ("", {}))]:
            if name:
                two.held[name] = content

    def reading(arn: str) -> str:
        text = two(arn)
        if moment in {1, 3}:
            step()
        if moment in {2, 3}:
            step()
        return text

    assert KeysReader(reading, "keys", "former", strict=False)() == Keys("live_key", "test_key", "rk_1")


# --- Keys that are none ---

API_KEY, REFERENCE_KEY = "rk_live_51Hq8ZtKfLhV2TnWp", "0f9d3c5e7a1b2d4c6e8f0a1b3c5d7e9f"


@pytest.mark.parametrize(
    ("name", "text", "flaw"),
    [
        ("stripe_api_key", "L" * 32, "malformed"),
        ("stripe_api_key", "whsec_88ca6100013c794ed26e58cc", "malformed"),
        ("stripe_api_key", "rk_live_…", "malformed"),
        ("stripe_api_key", "rk_live_xxxxxxxxxxxx", "placeholder"),
        ("stripe_api_key", "sk_test_your_key_here", "placeholder"),
        ("client_reference_key", "hunter2", "short"),
        ("client_reference_key", "x" * 32, "placeholder"),
        ("client_reference_key", "abcd" * 8, "placeholder"),
        ("client_reference_key", "<a long random text>", "placeholder"),
        ("client_reference_key", "your_client_reference_key", "placeholder"),
    ],
)
def test_on_aws_an_invalid_key_is_neither_sent_nor_trusted(name: str, text: str, flaw: str) -> None:
    """A write key in the wrong field went to Stripe, and who guessed `hunter2` could sign references as anybody."""
    good = {"segment_write_key": "w", "stripe_api_key": API_KEY, "client_reference_key": REFERENCE_KEY}
    with speaking() as spoken:
        keys = KeysReader(Two(good | {name: text}, {}), "keys", "former", strict=True)()
    assert keys == dataclasses.replace(Keys("w", "", API_KEY, REFERENCE_KEY), **{name: ""})
    (line,) = spoken.lines
    assert line["refused"] == {name: flaw}
    assert text not in spoken.text
    assert "secret set" in line["message"]


def test_on_the_local_stack_and_for_checks_invalid_keys_are_returned() -> None:
    odd = {"stripe_api_key": "rk_1", "client_reference_key": "short"}
    assert KeysReader(Two(odd, {}), "keys", "former", strict=False)() == Keys("", "", "rk_1", "short")


@pytest.mark.parametrize(("letters", "length"), [(ascii_letters + digits, 16), (hexdigits[:16], 16), (hexdigits, 64)])
def test_no_random_key_of_references_is_refused(letters: str, length: int) -> None:
    draw = Random(length)
    for _ in range(5_000):
        assert reference_key_flaw("".join(draw.choices(letters, k=length))) == ""
