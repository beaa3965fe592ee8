"""`register` makes Stripe's endpoint what the mapping needs, loses no event on the way, and can be repeated at will."""

from __future__ import annotations

import inspect
import json
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from stripe import HTTPClient, api_version
from stripe.params import WebhookEndpointCreateParams
from typer.testing import CliRunner, Result

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.access import stripe as stripe_access
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.register.signing_secrets import KEPT_SECONDS
from stripe_to_segment_tools.commands.register.steps import QUIET_TYPE, REPLACES, ROLE
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION
from stripe_to_segment_tools.samples.files import samples
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET
from tests.unit.a_stack import WEBHOOK_URL, Deployed, deployed
from tests.unit.edges import Faulty, a_signing_secret, refusal
from tests.unit.shapes import a_subscription
from tests.unit.stripe_list import KEY, StripeList

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.stripe_webhooks import StripeWebhooks

# What else stands in the secret: keys that an earlier release had there, and a word of the user's own.
FILLED = {"segment_write_key": "w" * 32, "segment_test_write_key": "t" * 32, "note": "call Ann before you change this"}
BY_HAND = a_signing_secret("by hand")
# Where the imitation of Stripe is: the stack's own setting is not enough for a key to go there.
AT: list[str] = []


@pytest.fixture
def stripe(api: StripeList) -> StripeWebhooks:
    return api.webhooks


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, api: StripeList) -> Iterator[Deployed]:
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    # The library waits before it tries again.
    monkeypatch.setattr(HTTPClient, "INITIAL_DELAY", 0.0)
    with deployed() as stack:
        stack.functions.variables = {"STRIPE_API_BASE": api.url}
        AT[:] = ["--stripe-api-base", api.url]
        stack.put_signing(**FILLED)
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def run(*words: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(app, ["register", *words, *AT], input=answer)


def done(*words: str) -> Any:
    """What a run that went well says to a program."""
    result = run("--json", *words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def signing(here: Deployed) -> list[str]:
    """The signing secrets of test mode, which is the key's."""
    found: list[str] = here.signing.get("stripe_test_signing_secrets", [])
    return found


def registered(here: Deployed, stripe: StripeWebhooks) -> str:
    """One endpoint, made by an earlier run; gives its id."""
    assert run().exit_code == 0
    stripe.log.clear()
    (name,) = stripe.endpoints
    assert signing(here) == [stripe.secrets[name]]
    return name


def cut_off(stripe: StripeWebhooks, method: str, path: str = "") -> None:
    """Stripe fails from this request on, as if the machine had gone down: nothing can be mended either."""
    down = False

    def before(asked: str, at: str) -> tuple[int, dict[str, Any]] | None:
        nonlocal down
        down = down or (asked == method and at.endswith(path))
        return (500, {"error": {"type": "api_error", "message": "down"}}) if down else None

    stripe.before = before


def mended(stripe: StripeWebhooks) -> None:
    stripe.before = lambda _method, _path: None


def test_the_endpoint_gets_the_mapped_types_and_the_version_and_its_secret_is_kept(
    here: Deployed, stripe: StripeWebhooks
) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    (endpoint,) = stripe.endpoints.values()
    assert endpoint["url"] == WEBHOOK_URL
    assert endpoint["enabled_events"] == list(CATALOG)
    assert endpoint["api_version"] == API_VERSION
    assert endpoint["description"] == "stripe-to-segment: stripe-to-segment"
    assert endpoint["metadata"] == {ROLE: "account"}
    assert stripe.connect == set()
    assert signing(here) == [stripe.secrets[endpoint["id"]]]
    assert f"created   {endpoint['id']}" in result.stdout


def test_the_version_is_that_of_the_sample_events() -> None:
    assert {sample.event["api_version"] for sample in samples()} == {API_VERSION}


def test_stripe_knows_the_version_and_every_mapped_type() -> None:
    """As its own client lists them."""
    known = set(re.findall(r'"([^"\s]+)"', inspect.getsource(WebhookEndpointCreateParams)))
    assert len(known) > 200
    assert {API_VERSION, *CATALOG} <= known


def test_the_api_version_is_the_newest_that_stripes_library_knows() -> None:
    """Endpoints, samples and tests stayed at a version that was half a year older than the library's."""
    assert api_version == API_VERSION


def test_an_endpoint_is_enabled_only_after_its_secret_is_stored(here: Deployed, stripe: StripeWebhooks) -> None:
    kept: list[bool] = []

    def before(method: str, path: str) -> None:
        if method == "POST" and "we_" in path:
            kept.append(signing(here) == list(stripe.secrets.values()))

    stripe.before = before
    run()
    created, updated = stripe.log
    assert created[1]["enabled_events"] == [QUIET_TYPE]
    assert QUIET_TYPE in CATALOG
    assert updated[1]["enabled_events"] == list(CATALOG)
    assert kept == [True]


def test_the_other_fields_of_the_secret_stay(here: Deployed) -> None:
    run()
    assert {name: here.signing[name] for name in FILLED} == FILLED


def test_a_second_run_finds_nothing_to_do(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    before = here.signing
    result = run()
    assert result.exit_code == 0
    assert result.stdout.startswith(f"nothing to do: {name} sends the {len(CATALOG)} mapped event types")
    assert done()["steps"] == []
    assert (stripe.log, here.signing) == ([], before)


@pytest.mark.parametrize("prepare", ["nothing", "another version", "another list"])
def test_a_dry_run_says_what_it_would_do_and_changes_nothing(
    here: Deployed, stripe: StripeWebhooks, prepare: str
) -> None:
    here.put_signing(stripe_test_signing_secrets=[BY_HAND])
    if prepare != "nothing":
        version = API_VERSION if prepare == "another list" else "2022-11-15"
        stripe.add(WEBHOOK_URL, ["*"] if prepare == "another version" else ["invoice.paid"], api_version=version)
    before = json.dumps([stripe.endpoints, here.signing])
    result = run("--dry-run")
    assert result.exit_code == 0
    verb = {"nothing": "create", "another version": "replace", "another list": "update"}[prepare]
    assert f"would {verb}" in result.stdout
    assert json.dumps([stripe.endpoints, here.signing]) == before
    assert stripe.log == []


def test_no_secret_and_no_key_is_ever_shown(here: Deployed, stripe: StripeWebhooks) -> None:
    said = [run().output, run("--rotate", "--yes").output, run("--json").output, run("--dry-run").output]
    stripe.permission = "none"
    said.append(run().output)
    for text in said:
        assert KEY not in text
        assert not any(secret in text for secret in [*stripe.secrets.values(), *FILLED.values()]), text
    assert signing(here)


def test_a_wrong_list_of_events_is_corrected_and_a_disabled_endpoint_enabled(
    here: Deployed, stripe: StripeWebhooks
) -> None:
    name = registered(here, stripe)
    stripe.endpoints[name] |= {"enabled_events": ["invoice.paid", "charge.succeeded"], "status": "disabled"}
    result = run()
    assert "sends charge.succeeded too and is disabled" in result.stdout
    assert "backfill --since 4d --stack stripe-to-segment" in result.stderr
    assert stripe.endpoints[name]["enabled_events"] == list(CATALOG)
    assert stripe.endpoints[name]["status"] == "enabled"
    assert [asked for asked, _ in stripe.log] == [f"POST {name}"]


def test_all_events_are_more_than_the_mapped_ones(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    stripe.endpoints[name]["enabled_events"] = ["*"]
    assert "it sends * too" in run().stdout
    assert stripe.endpoints[name]["enabled_events"] == list(CATALOG)


def test_the_endpoint_is_found_on_any_page_and_others_are_left_alone(here: Deployed, stripe: StripeWebhooks) -> None:
    stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    for number in range(120):
        stripe.add(f"https://example.com/{number}", ["*"])
    here.put_signing(stripe_test_signing_secrets=[BY_HAND])
    result = run()
    assert result.exit_code == 0
    assert "nothing to do: we_1 " in result.stdout
    assert "whether the signing secret of we_1 is in the SigningSecret is unknown" in result.stderr
    assert stripe.log == []


# --- Each secret for its mode ---


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeWebhooks]:
    """The account's live mode, with a key of that mode in the environment."""
    with StripeList(key="rk_live_list") as api:
        monkeypatch.setenv("STRIPE_API_KEY", api.key)
        AT[:] = ["--stripe-api-base", api.url]
        yield api.webhooks


def test_a_keys_mode_is_the_mode_of_its_endpoints_secret(here: Deployed, live: StripeWebhooks) -> None:
    (step,) = done()["steps"]
    assert here.signing["stripe_live_signing_secrets"] == [live.secrets[step["endpoint"]]]
    assert signing(here) == []
    assert here.signing["stripe_endpoints"][step["endpoint"]]["livemode"] is True


def as_before(here: Deployed, *secrets: str) -> None:
    """As a release from before there were modes has left the secret: one list, and notes without a mode."""
    notes = here.signing.get("stripe_endpoints", {})
    held = {name: value for name, value in here.signing.items() if not name.endswith("_signing_secrets")}
    plain = {name: {key: value for key, value in note.items() if key != "livemode"} for name, note in notes.items()}
    here.put_signing(**held | {"stripe_signing_secrets": [*secrets], "stripe_endpoints": plain})


def test_secrets_whose_endpoint_is_noted_move_to_their_mode(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    as_before(here, BY_HAND, stripe.secrets[name])
    (step,) = done("--dry-run")["steps"]
    assert (step["action"], step["endpoint"]) == ("assign", name)
    assert "only events of test mode" in step["why"]
    assert signing(here) == []
    assert f"assigned  {name}: its signing secret must sign only events of test mode" in run().stdout
    assert signing(here) == [stripe.secrets[name]]
    assert here.signing["stripe_signing_secrets"] == [BY_HAND], "of which nobody knows the mode"
    assert here.signing["stripe_endpoints"][name]["livemode"] is False
    assert {name: here.signing[name] for name in FILLED} == FILLED
    assert stripe.log == [], "nothing is done in Stripe"
    assert done()["steps"] == []


def test_the_last_secret_without_a_mode_takes_its_list_with_it(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    as_before(here, stripe.secrets[name])
    run()
    assert "stripe_signing_secrets" not in here.signing


def test_a_secret_in_the_list_of_the_other_mode_moves(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    here.put_signing(**here.signing | {"stripe_test_signing_secrets": [], "stripe_live_signing_secrets": signing(here)})
    run()
    assert signing(here) == [stripe.secrets[name]]
    assert here.signing["stripe_live_signing_secrets"] == []


def test_the_other_modes_secret_does_not_make_an_endpoint_complete(here: Deployed, stripe: StripeWebhooks) -> None:
    """With a live secret in the list, a test endpoint that this stack could not verify counted as connected."""
    here.put_signing(stripe_live_signing_secrets=[BY_HAND])
    stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    result = run()
    assert result.exit_code == 1
    assert "no signing secret of its mode" in result.stderr


@pytest.mark.parametrize("text", ["whsec_…", SAMPLE_SECRET])
def test_a_placeholder_does_not_make_an_endpoint_complete(here: Deployed, stripe: StripeWebhooks, text: str) -> None:
    here.put_signing(stripe_test_signing_secrets=[text])
    stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    assert "no signing secret of its mode" in run().stderr


def test_the_stacks_setting_alone_never_sends_a_key_to_another_address(api: StripeList) -> None:
    """Whoever may change the stack's parameter got a key that may write webhook endpoints."""
    AT.clear()
    result = run()
    assert result.exit_code == 2
    assert f"--stripe-api-base {api.url}" in result.stderr
    assert api.requests == []


# --- An endpoint that is to be another ---


def test_another_version_needs_another_endpoint_and_the_old_one_is_deleted_last(
    here: Deployed, stripe: StripeWebhooks
) -> None:
    name = registered(here, stripe)
    stripe.endpoints[name]["api_version"] = "2022-11-15"
    result = run("--yes")
    assert result.exit_code == 0, result.output
    (new,) = stripe.endpoints.values()
    assert [asked for asked, _ in stripe.log] == ["POST", f"POST {new['id']}", f"DELETE {name}"]
    assert (new["api_version"], new["enabled_events"]) == (API_VERSION, list(CATALOG))
    assert signing(here) == [stripe.secrets[new["id"]], stripe.secrets[name]], "two live secrets lose no event"
    assert f"replaced  {name} by {new['id']}" in result.stdout
    assert "2022-11-15 → " in result.stdout
    assert "backfill --since 4d" in result.stderr
    assert done()["steps"] == []


def test_it_asks_before_it_replaces_an_endpoint(here: Deployed, stripe: StripeWebhooks) -> None:
    name = registered(here, stripe)
    result = run("--rotate", answer="n\n")
    assert (result.exit_code, list(stripe.endpoints)) == (1, [name])
    assert f"replace {name} by a new endpoint" in result.stderr
    assert run("--rotate", answer="y\n").exit_code == 0
    assert name not in stripe.endpoints


def test_a_replaced_endpoints_secret_is_forgotten_after_a_day(
    here: Deployed, stripe: StripeWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = registered(here, stripe)
    here.put_signing(**here.signing | {"stripe_live_signing_secrets": [BY_HAND]})
    run("--rotate", "--yes")
    (new,) = stripe.endpoints
    assert signing(here) == [stripe.secrets[new], stripe.secrets[old]]
    assert done()["steps"] == []
    later = time.time() + KEPT_SECONDS + 60
    monkeypatch.setattr(time, "time", lambda: later)
    assert [step["action"] for step in done()["steps"]] == ["forget"]
    assert signing(here) == [stripe.secrets[new]]
    assert here.signing["stripe_live_signing_secrets"] == [BY_HAND]
    assert done()["steps"] == []


@pytest.mark.parametrize("rotate", [False, True])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "endpoints"), ("POST", "we_2"), ("DELETE", "we_1")],
    ids=["before it is made", "before it listens", "before the old one goes"],
)
def test_a_run_that_is_cut_off_is_finished_by_the_next(
    here: Deployed, stripe: StripeWebhooks, method: str, path: str, rotate: bool
) -> None:
    old = registered(here, stripe)
    if not rotate:
        stripe.endpoints[old]["api_version"] = "2022-11-15"
    words = ["--yes", *(["--rotate"] if rotate else [])]
    cut_off(stripe, method, path)
    stopped = run(*words)
    assert stopped.exit_code == 1
    assert "run this again: it continues where it stopped" in stopped.stderr
    assert stripe.endpoints[old]["status"] == "enabled", "somebody listens"
    mended(stripe)
    assert run(*words).exit_code == 0
    (new,) = stripe.endpoints.values()
    assert (new["id"], new["enabled_events"], new["api_version"]) == ("we_2", list(CATALOG), API_VERSION)
    assert signing(here)[0] == stripe.secrets["we_2"]
    assert done()["steps"] == []


def test_an_endpoint_whose_secret_was_lost_on_the_way_is_made_anew(
    here: Deployed, stripe: StripeWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a crash between its creation and the storing of its secret.

    It never received an event, and is deleted.
    """

    def refuse(operation: str, _: dict[str, Any]) -> None:
        if operation == "put_secret_value":
            cut_off(stripe, "DELETE")
            raise refusal("AccessDeniedException", "PutSecretValue")

    with monkeypatch.context() as patched:
        patched.setattr(here, "secrets", Faulty(here.secrets, refuse))
        stopped = run()
    assert stopped.exit_code == 2
    assert "AWS refused PutSecretValue: AccessDeniedException" in stopped.stderr
    assert stripe.endpoints["we_1"]["enabled_events"] == [QUIET_TYPE]
    mended(stripe)
    assert [step["action"] for step in done()["steps"]] == ["delete", "create"]
    (name,) = stripe.endpoints
    assert signing(here) == [stripe.secrets[name]]


def test_an_endpoint_whose_secret_cannot_be_kept_is_not_left_behind(
    here: Deployed, stripe: StripeWebhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(operation: str, _: dict[str, Any]) -> None:
        if operation == "put_secret_value":
            raise refusal("AccessDeniedException", "PutSecretValue")

    monkeypatch.setattr(here, "secrets", Faulty(here.secrets, refuse))
    assert run().exit_code == 2
    assert stripe.endpoints == {}


def test_a_registered_endpoint_without_any_signing_secret_is_left_to_the_user(
    here: Deployed, stripe: StripeWebhooks
) -> None:
    stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    result = run()
    assert result.exit_code == 1
    assert "we_1 is registered, but the SigningSecret has no signing secret of its mode" in result.stderr
    assert "stripe-to-segment secret set stripe_test_signing_secrets" in result.stderr
    assert "--rotate" in result.stderr
    assert stripe.log == []
    assert run("--rotate", "--yes").exit_code == 0
    assert signing(here) == [stripe.secrets["we_2"]]


def test_two_endpoints_with_the_same_url_are_left_to_the_user(here: Deployed, stripe: StripeWebhooks) -> None:
    here.put_signing(stripe_test_signing_secrets=[BY_HAND])
    for _ in range(2):
        stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    result = run("--json")
    assert result.exit_code == 1
    assert "we_1 and we_2 have the same URL, so each event comes 2 times" in json.loads(result.stdout)["problems"][0]
    assert stripe.log == []
    stripe.endpoints["we_1"]["status"] = "disabled"
    assert run().stdout.startswith("nothing to do: we_2")


def test_connected_accounts_need_their_own_endpoint(here: Deployed, stripe: StripeWebhooks) -> None:
    here.functions.variables["CONNECT_EVENTS"] = "accept"
    assert [step["events_of"] for step in done()["steps"]] == ["account", "connect"]
    assert {each["metadata"][ROLE]: each["id"] in stripe.connect for each in stripe.endpoints.values()} == {
        "account": False,
        "connect": True,
    }
    assert sorted(signing(here)) == sorted(stripe.secrets.values())
    assert done()["steps"] == []
    done("--rotate", "--yes")
    assert len(stripe.endpoints) == len(stripe.connect & set(stripe.endpoints)) + 1 == 2


def test_with_connect_two_unmarked_endpoints_cannot_be_distinguished(here: Deployed, stripe: StripeWebhooks) -> None:
    here.functions.variables["CONNECT_EVENTS"] = "accept"
    for _ in range(2):
        stripe.add(WEBHOOK_URL, list(CATALOG), api_version=API_VERSION)
    result = run()
    assert result.exit_code == 1
    assert "Stripe does not say which of them takes the events of connected accounts" in result.stderr


@pytest.mark.parametrize(
    ("permission", "named"), [("none", "Webhook Endpoints: Read"), ("read", "Webhook Endpoints: Write")]
)
def test_a_restricted_key_without_a_permission_names_it(
    here: Deployed, stripe: StripeWebhooks, permission: str, named: str
) -> None:
    stripe.permission = permission
    result = run()
    assert result.exit_code in {1, 2}
    assert f"a restricted key needs the permission '{named}'" in result.stderr
    assert signing(here) == []


def test_stripes_limit_is_reported_with_stripes_text(stripe: StripeWebhooks) -> None:
    for number in range(16):
        stripe.add(f"https://example.com/{number}", ["*"])
    result = run()
    assert result.exit_code == 1
    assert "You have reached the maximum of 16 webhook endpoints." in result.stderr


def test_a_key_that_stripe_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "sk_test_revoked")
    result = run()
    assert result.exit_code == 2
    assert "Stripe refuses the API key (AuthenticationError, HTTP 401)" in result.stderr


def test_the_key_may_be_in_the_secret_and_a_missing_one_is_reported(
    here: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    result = run()
    assert result.exit_code == 2
    assert "set STRIPE_API_KEY, or stripe_api_key in the KeysSecret" in result.stderr
    here.put_keys(stripe_api_key=KEY)
    assert "API key from the KeysSecret" in run().stderr
    assert here.keys["stripe_api_key"] == KEY


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(here: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    monkeypatch.setattr(stripe_access, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    result = run(answer=f"{KEY}\n")
    assert result.exit_code == 0
    assert "Stripe API key:" in result.stderr
    assert KEY not in result.output
    assert len(signing(here)) == 1


def test_the_key_decides_the_mode_and_the_other_mode_is_mentioned(here: Deployed) -> None:
    assert "for live mode run this with a key of that mode in STRIPE_API_KEY" in run().stderr
    here.functions.variables["STRIPE_MODE"] = "live"
    result = run()
    assert result.exit_code == 2
    assert "test mode, which this stack's StripeMode refuses" in result.stderr


def test_a_secret_that_is_no_json_is_reported_before_anything_is_created(
    here: Deployed, stripe: StripeWebhooks
) -> None:
    here.secrets.put_secret_value(SecretId=here.signing_arn, SecretString="whsec_pasted")
    result = run()
    assert result.exit_code == 2
    assert "the SigningSecret is no JSON object" in result.stderr
    assert "whsec_pasted" not in result.output
    assert stripe.log == []


def test_a_lost_answer_creates_no_second_endpoint(stripe: StripeWebhooks) -> None:
    """The client asks again with the same idempotency key; here Stripe had not got so far."""
    lost = iter([True])

    def before(method: str, _path: str) -> tuple[int, dict[str, Any]] | None:
        if method == "POST" and next(lost, False):
            return 500, {"error": {"type": "api_error", "message": "try again"}}
        return None

    stripe.before = before
    assert run().exit_code == 0
    assert len(stripe.endpoints) == 1


def test_for_the_local_stack_register_explains_how_stripe_reaches_it(here: Deployed, stripe: StripeWebhooks) -> None:
    del here.functions.variables["STRIPE_API_BASE"]
    AT.clear()
    here.options = ("--local",)
    result = run("--local")
    assert result.exit_code == 2
    assert "STRIPE_SECRET=$(stripe listen --print-secret) make run" in result.stderr
    assert f"stripe listen --forward-to {WEBHOOK_URL}" in result.stderr
    assert stripe.log == []


def test_a_replacement_names_the_endpoint_that_it_replaces(here: Deployed, stripe: StripeWebhooks) -> None:
    old = registered(here, stripe)
    steps = done("--rotate", "--yes")["steps"]
    (new,) = stripe.endpoints.values()
    assert new["metadata"][REPLACES] == old
    assert [(step["action"], step["endpoint"], step["replaced"]) for step in steps] == [("replace", new["id"], old)]


def test_register_mentions_prime_until_the_source_is_primed_or_declined(here: Deployed) -> None:
    """The first payment decides the type of a column, and it comes once the endpoint is there."""
    here.put_keys(segment_test_write_key="t" * 32)
    assert any("stripe-to-segment prime --stack stripe-to-segment" in note for note in done()["notes"])
    assert CliRunner().invoke(app, ["prime", "--decline"]).exit_code == 0
    assert not [note for note in done()["notes"] if "stripe-to-segment prime" in note]


def test_it_says_that_what_is_in_stripe_already_was_not_imported(api: StripeList) -> None:
    api.objects = [a_subscription(id=f"sub_{number}", created=1_700_000_000) for number in range(3)]
    (note,) = (note for note in done()["notes"] if "stripe-to-segment import" in note)
    assert note.startswith("3 subscriptions in Stripe, 0 known here: run stripe-to-segment import --stack ")
    api.forbidden = {OBJECTS["subscription"].path}
    assert not [note for note in done()["notes"] if "import" in note], "only a new endpoint is reason to guess"
