"""`doctor` finds the problems of a stack, names the fix of each, shows no secret, and leaves nothing behind."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from typer.testing import CliRunner, Result

from stripe_to_segment.mapping.catalog import CATALOG
from stripe_to_segment.receiving.examine import examine
from stripe_to_segment.secrets import SigningSecrets
from stripe_to_segment.settings import settings_from
from stripe_to_segment.state.circuit import Circuit, circuit_name
from stripe_to_segment.state.dynamodb import DynamoStore
from stripe_to_segment.stripe_side.objects import OBJECTS
from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.build.stripe_requests import permissions
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.doctor import door
from stripe_to_segment_tools.commands.doctor.door import harmless_event
from stripe_to_segment_tools.commands.prime.sources import sources_of
from stripe_to_segment_tools.commands.register.webhook_endpoints import API_VERSION
from stripe_to_segment_tools.commands.send.command import send
from stripe_to_segment_tools.samples.signing import SAMPLE_SECRET
from stripe_to_segment_tools.terminal.moments import iso
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import TABLE, Endpoint, HttpRequest, a_signing_secret, refusal, say
from tests.unit.log_groups import CloudWatch, Logs
from tests.unit.shapes import DAY, a_subscription, an_event
from tests.unit.stripe_list import KEY, StripeList
from tests.unit.worlds import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

TOPIC = "arn:aws:sns:eu-central-1:1:alarms"
BY_HAND, OTHER = a_signing_secret("by hand"), a_signing_secret("other")
KEYS = {"segment_write_key": "L" * 32, "segment_test_write_key": "T" * 32, "stripe_api_key": ""}
# Where the imitation of Stripe is: the stack's own setting is not enough for a key to go there.
AT: list[str] = []


class Door(Endpoint):
    """A deployed receive function, and a deliver function that says at once what it did."""

    def __init__(self, here: Deployed, logs: Logs) -> None:
        super().__init__()
        self.here, self.logs = here, logs
        self.refuses = True
        self.said: dict[str, Any] | None = {"outcome": "delivered", "reason": "nothing to send"}

    def respond(self, handler: BaseHTTPRequestHandler, request: HttpRequest) -> None:
        secrets = self.here.stack.signing_secrets()
        reply = examine(
            request.raw, request.headers.get("stripe-signature"), secrets, self.here.stack.settings(), time.time()
        )
        if reply.status == 400 and not self.refuses:
            say(200, b'{"received": true}')(handler)
            return
        if reply.outcome == "queue" and reply.event and self.said:
            self.logs.write("deliver", event_id=reply.event.id, ago=1, **self.said)
        say(reply.status, json.dumps(reply.body).encode())(handler)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, api: StripeList) -> Iterator[Deployed]:
    """A stack without problems, registered by `register` itself."""
    monkeypatch.setenv("STRIPE_API_KEY", KEY)
    # Together with the stack's BatchWindowSeconds a second, for a machine that has other things to do as well.
    monkeypatch.setattr(door, "PATIENCE_SECONDS", -4.0)
    monkeypatch.setattr(door, "PAUSE_SECONDS", 0.05)
    with deployed() as stack:
        stack.logs, stack.cloudwatch = Logs(), CloudWatch()
        stack.functions.variables = {"STRIPE_API_BASE": api.url, "STRIPE_MODE": "test", "TRUST_STRIPE_API_BASE": "true"}
        AT[:] = ["--stripe-api-base", api.url]
        stack.put_signing(stripe_test_signing_secrets=[BY_HAND])
        stack.put_keys(**KEYS)
        stack.more_outputs["AlarmTopicArn"] = TOPIC
        stack.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=True)
        set_up(stack.dynamodb, there=True)
        stack.cloudwatch.alarm("stripe-to-segment-dead-letters", "OK", TOPIC)
        stack.resources.alarms = ["stripe-to-segment-dead-letters"]
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        with Door(stack, stack.logs) as entrance:
            stack.webhook_url = f"{entrance.url}/webhooks/stripe"
            stack.door = entrance
            assert CliRunner().invoke(app, ["register", *AT]).exit_code == 0
            assert CliRunner().invoke(app, ["prime", "--decline"]).exit_code == 0
            yield stack


def set_up(dynamodb: Any, *, there: bool) -> None:
    """The settings that a table has by the template, or that one lacks which was restored from a backup."""
    expiry = {"Enabled": there, "AttributeName": "expires_at"}
    dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=expiry)
    backups = {"PointInTimeRecoveryEnabled": there}
    dynamodb.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=backups)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *words, *AT])


def failed(*words: str) -> dict[str, tuple[str, str]]:
    """The failed checks by name, each with its state and its fix."""
    result = run("--json", *words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    said = json.loads(result.stdout)
    found = {check["name"]: (check["said"], check["fix"]) for check in said["checks"] if check["state"] == "failed"}
    assert (said["ok"], result.exit_code) == ((False, 1) if found else (True, 0))
    assert all(fix for _, fix in found.values()), "nothing is wrong without something to do about it"
    return found


def not_checked() -> dict[str, tuple[str, str]]:
    checks = json.loads(run("--json").stdout)["checks"]
    return {check["name"]: (check["said"], check["fix"]) for check in checks if check["state"] == "not checked"}


def test_a_stack_in_order_has_nothing_wrong(here: Deployed) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[-1] == f"{len(lines) - 1} ✓  0 ✗  0 not checked"
    assert all(line.startswith("✓ ") for line in lines[:-1])
    assert "\x1b" not in result.stdout
    assert here.events == []


def test_no_key_and_no_secret_is_shown(here: Deployed) -> None:
    here.put_keys(**KEYS | {"stripe_api_key": "rk_test_0123456789"})
    said = [run().output, run("--json").output]
    here.put_keys(**dict.fromkeys(KEYS, "has no shape"))
    here.put_signing(stripe_signing_secrets=["no-secret-0", OTHER], **KEYS)
    said.append(run().output)
    hidden = [KEY, BY_HAND, OTHER, "L" * 32, "T" * 32, "has no shape", "no-secret-0", "rk_test_0123"]
    assert not [word for word in hidden for text in said if word in text]


def test_each_empty_field_is_reported_with_its_consequence(here: Deployed) -> None:
    here.functions.variables["STRIPE_MODE"] = "both"
    here.put_signing()
    here.put_keys()
    found = failed()
    said, fix = found["signing secrets, test mode"]
    assert said == "none: every webhook of test mode is refused, and Stripe retries"
    assert fix.startswith("stripe-to-segment register --stack stripe-to-segment with a key of test mode")
    assert "deploy with StripeMode=test" in found["signing secrets, live mode"][1]
    assert found["segment_write_key"][0] == "none: live events wait in the queue"
    assert "StripeMode=test" in found["segment_write_key"][1]
    assert found["segment_test_write_key"][0] == "none: test events wait in the queue"
    assert here.door.requests == [], "a request would be answered with 503, which rings"
    here.put_keys(**KEYS | {"segment_test_write_key": ""})
    assert "segment_test_write_key" not in failed()


# --- What was there before ---


def test_subscriptions_that_nobody_imported_are_counted(here: Deployed, api: StripeList) -> None:
    old = int(time.time()) - 90 * DAY
    api.objects = [a_subscription(id=f"sub_{number}", customer="cus_1", created=old) for number in range(3)]
    api.objects += [a_subscription(id="sub_new", customer="cus_1", created=int(time.time()))]
    api.objects += [a_subscription(id="sub_ended", customer="cus_1", created=old, status="canceled")]
    World(DynamoStore(here.dynamodb, TABLE)).deliver(an_event("customer.subscription.updated", api.objects[0]))
    said, fix = failed()["import, test mode"]
    assert said == "3 subscriptions in Stripe, 1 known here"
    assert fix.startswith("stripe-to-segment import --stack stripe-to-segment")
    World(DynamoStore(here.dynamodb, TABLE)).deliver(
        *(an_event("customer.subscription.updated", one) for one in api.objects[1:3])
    )
    assert "import, test mode" not in failed()


def test_a_key_that_may_not_read_subscriptions_leaves_the_import_unchecked(api: StripeList) -> None:
    api.forbidden = {OBJECTS["subscription"].path}
    said, fix = not_checked()["import, test mode"]
    assert "may not read Subscriptions" in said
    assert fix == "a key with the permission 'Subscriptions: Read'"


# --- Each secret in its place ---


def test_keys_in_their_former_place_are_reported_with_the_command_that_moves_them(here: Deployed) -> None:
    here.put_signing(**here.signing | KEYS)
    here.put_keys()
    found = failed()
    assert list(found) == ["keys in their place"], "they serve all the same"
    said, fix = found["keys in their place"]
    assert said.startswith(
        "segment_write_key, segment_test_write_key still in the SigningSecret, which the function on"
    )
    assert fix == "stripe-to-segment secret move --stack stripe-to-segment"


def test_a_signing_secret_without_a_mode_is_reported_with_both_ways_to_give_it_one(here: Deployed) -> None:
    here.put_signing(stripe_signing_secrets=[BY_HAND, OTHER])
    said, fix = failed()["signing secrets without a mode"]
    assert said == "2 in stripe_signing_secrets, of an unknown mode: they are valid for both"
    assert "register --stack stripe-to-segment with a key of each mode" in fix
    assert "stripe-to-segment secret edit --stack stripe-to-segment" in fix


def test_a_signing_secret_in_both_lists_is_reported_but_not_on_the_local_stack(here: Deployed) -> None:
    here.put_signing(**here.signing | {"stripe_live_signing_secrets": [BY_HAND]})
    assert "whoever knows it as a test secret can sign live events" in failed()["signing secrets of both modes"][0]
    here.options = ("--local",)
    assert "signing secrets of both modes" not in failed()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SAMPLE_SECRET, "1 is the sample of this repository, which everybody can read"),
        ("whsec_…", "1 is a placeholder"),
        ("rk_test_012345678", "1 is no signing secret: they begin with whsec_"),
    ],
)
def test_an_unusable_signing_secret_is_reported(here: Deployed, text: str, said: str) -> None:
    here.put_signing(**here.signing | {"stripe_live_signing_secrets": [text]})
    found, fix = failed("--no-event")["signing secrets"]
    assert found.startswith(f"not used: {said}")
    assert "stripe-to-segment secret show-shape --stack stripe-to-segment names it" in fix


def test_an_endpoint_whose_secret_is_valid_for_both_modes_is_left_to_register(here: Deployed) -> None:
    here.put_signing(
        **{"stripe_live_signing_secrets": here.signing["stripe_test_signing_secrets"]}
        | {"stripe_endpoints": here.signing["stripe_endpoints"]}
    )
    said, fix = failed("--no-event")["endpoint, test mode"]
    assert "is not among those of its mode alone" in said
    assert fix == "stripe-to-segment register --stack stripe-to-segment"


def test_the_test_event_is_of_a_mode_with_a_signing_secret(here: Deployed) -> None:
    here.functions.variables["STRIPE_MODE"] = "both"
    here.put_signing(stripe_live_signing_secrets=[OTHER])
    run()
    _, signed = here.door.requests
    assert json.loads(signed.raw)["livemode"] is True
    assert "signed event" not in failed()


def test_a_key_that_may_not_go_to_the_api_address_is_reported(here: Deployed) -> None:
    del here.functions.variables["TRUST_STRIPE_API_BASE"]
    here.put_keys(**KEYS | {"stripe_api_key": "rk_test_0123456789"})
    said, fix = failed("--no-event")["stripe_api_key"]
    assert said.startswith("not used: StripeApiBase is http://127.0.0.1:")
    assert fix.startswith("deploy with TrustStripeApiBase=true")


def test_no_key_is_sent_to_an_address_that_only_the_stacks_setting_names(here: Deployed, api: StripeList) -> None:
    address = AT[1]
    AT.clear()
    api.requests.clear()
    assert failed("--no-event") == {}
    said, fix = not_checked()["endpoint"]
    assert said == "not checked in Stripe"
    assert f"--stripe-api-base {address}" in fix
    assert api.requests == []
    assert here.signing


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("segment_test_write_key", "YOUR_WRITE_KEY", "it is a placeholder"),
        ("segment_test_write_key", "T" * 31, "31 characters; Segment's have 32"),
        ("segment_test_write_key", "whsec_0123456789abcdef0123456789", "a key of something else"),
        ("segment_test_write_key", "T" * 16 + " " + "T" * 15, "or has a space"),
        ("segment_test_write_key", "L" * 32, "test events reach the live source"),
        ("stripe_api_key", "pk_test_0123456789", "no secret or restricted key"),
        ("client_reference_key", "short", "no signed reference counts"),
    ],
)
def test_a_key_of_a_wrong_form_is_reported(here: Deployed, field: str, value: Any, said: str) -> None:
    here.put_keys(**here.keys | {field: value})
    wrong = failed("--no-event")
    # Another key is another source, which was not primed.
    wrong.pop("warehouse, test source", None)
    (found,) = wrong.values()
    assert said in found[0]


def test_a_key_with_all_permissions_is_reported_with_those_it_needs(here: Deployed) -> None:
    here.put_keys(**here.keys | {"stripe_api_key": "sk_test_0123456789"})
    checks = json.loads(run("--json", "--no-event").stdout)["checks"]
    (said,) = [check["said"] for check in checks if check["name"] == "stripe_api_key"]
    assert said == f"test mode, secret: a restricted one that may read {permissions()} would do"


def test_keys_of_other_services_have_other_shapes(here: Deployed) -> None:
    here.functions.variables["SEGMENT_ENDPOINT"] = "https://ingest.jitsu.example.com"
    here.put_keys(**here.keys | {"segment_test_write_key": "keyId:keySecret"})
    assert {*failed()} == {"warehouse, test source"}, "another source, which nobody has primed"


def test_a_secret_that_is_no_json_is_reported_and_the_rest_is_checked(here: Deployed) -> None:
    here.secrets.put_secret_value(SecretId=here.signing_arn, SecretString=OTHER)
    found = failed()
    assert list(found) == ["secrets"]
    assert "the SigningSecret is no JSON object: `stripe-to-segment secret edit` mends it" in found["secrets"][0]
    assert OTHER not in found["secrets"][0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"enabled_events": [kind for kind in CATALOG if kind != "product.updated"]}, "lacks product.updated"),
        # A wall of fifty names hid what else was wrong.
        (
            {"enabled_events": ["invoice.paid"]},
            f"lacks {len(CATALOG) - 1} event types (checkout.session.completed, checkout.session.async",
        ),
        ({"enabled_events": ["*"]}, "sends * too"),
        ({"api_version": "2022-11-15"}, "has API version 2022-11-15"),
        ({"status": "disabled"}, "is disabled"),
        ({"url": "https://example.com/"}, "none has the URL"),
    ],
)
def test_an_endpoint_with_wrong_settings_is_left_to_register(
    api: StripeList, change: dict[str, Any], said: str
) -> None:
    (endpoint,) = api.webhooks.endpoints.values()
    endpoint |= change
    (found,) = failed().values()
    assert said in found[0]
    assert found[1] == "stripe-to-segment register --stack stripe-to-segment"


def test_two_endpoints_are_reported_because_each_event_arrives_twice(here: Deployed, api: StripeList) -> None:
    api.webhooks.add(here.webhook_url, list(CATALOG), api_version=API_VERSION)
    assert failed()["endpoint, test mode"][0] == "2 have this URL, so each event comes 2 times"
    here.functions.variables["CONNECT_EVENTS"] = "accept"
    assert "endpoint, test mode" not in failed(), "one of them may be for connected accounts"


def test_connected_accounts_need_an_endpoint_too(here: Deployed) -> None:
    here.functions.variables["CONNECT_EVENTS"] = "accept"
    assert (
        failed()["endpoint, test mode"][0] == "none for the events of connected accounts, and ConnectEvents is accept"
    )


def test_an_endpoint_of_thin_events_is_checked_with_the_key_that_reads_them(here: Deployed, api: StripeList) -> None:
    api.webhooks.clear()
    register = [*["register", "--thin", "--stack", "stripe-to-segment"], *AT]
    assert CliRunner().invoke(app, register).exit_code == 0
    name, (made,) = "endpoint, test mode", api.destinations.destinations.values()
    waits = "thin events wait: the KeysSecret has no stripe_api_key of this mode"
    assert failed()[name] == (waits, "stripe-to-segment secret set stripe_api_key --stack stripe-to-segment")
    here.put_keys(**KEYS | {"stripe_api_key": KEY})
    assert name not in failed()
    made["enabled_events"] = made["enabled_events"][1:]
    said, fix = failed()[name]
    assert fix == "stripe-to-segment register --thin --stack stripe-to-segment"
    assert f"lacks {next(iter(CATALOG))}" in said


def test_snapshots_and_thin_events_of_the_same_things_come_twice(api: StripeList) -> None:
    """It needs no right to see event destinations: most stacks have none."""
    assert CliRunner().invoke(app, ["register", "--thin", *AT]).exit_code == 0
    both = "we_1 and ed_test_1 send the same events, as snapshots and thin"
    assert failed()["endpoint, test mode"][0] == both
    api.destinations.allowed = False
    assert "endpoint, test mode" not in failed()


def test_without_a_key_the_endpoint_is_not_checked_and_doctor_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRIPE_API_KEY")
    assert failed() == {}
    said, fix = not_checked()["endpoint, test mode"]
    assert said == "there is no Stripe API key of test mode"
    assert "'Webhook Endpoints: Read'" in fix


def test_the_local_stack_has_no_endpoint_in_stripe(here: Deployed) -> None:
    del here.functions.variables["STRIPE_API_BASE"]
    AT.clear()
    here.options = ("--local",)
    said, fix = not_checked()["endpoint"]
    assert "Stripe cannot reach a stack on this machine" in said
    assert fix == f"stripe listen --forward-to {here.webhook_url}"


def test_a_key_without_the_permission_names_it(api: StripeList) -> None:
    api.webhooks.permission = "none"
    said, fix = failed()["endpoint, test mode"]
    assert "the permission 'Webhook Endpoints: Read'" in said
    assert fix.startswith("another key: STRIPE_API_KEY=rk_test_…"), fix


def test_a_key_that_stripe_refuses_is_not_mended_by_a_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a key that was revoked, the fix was to deploy again."""
    monkeypatch.setenv("STRIPE_API_KEY", "rk_test_revoked1")
    found = failed()
    assert {*found} == {"endpoint, test mode", "import, test mode"}
    for said, fix in found.values():
        assert "was it revoked" in said
        assert "secret set stripe_api_key --stack stripe-to-segment" in fix
        assert "deploy" not in fix.replace("`deliver`", "")


def test_with_an_event_bus_neither_endpoint_nor_signing_secret_is_missed(here: Deployed, api: StripeList) -> None:
    here.parameters["EventBusName"] = "aws.partner/stripe.com/ed_1"
    here.rules.states["events", "aws.partner/stripe.com/ed_1"] = {"stripe-to-segment-1": "ENABLED"}
    api.webhooks.clear()
    here.put_signing()
    assert failed() == {}


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", False),
        ("UPDATE_IN_PROGRESS", True),
        ("REVIEW_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_COMPLETE", True),
        ("ROLLBACK_FAILED", True),
    ],
)
def test_a_failed_deployment_is_reported(here: Deployed, status: str, wrong: bool) -> None:
    here.status = status
    assert ("stack" in failed("--no-event")) is wrong


def test_a_stack_whose_first_change_set_was_declined_waits_for_no_deployment(here: Deployed) -> None:
    """`doctor` said to wait until the deployment is over, which never begins."""
    here.status = "REVIEW_IN_PROGRESS"
    assert failed("--no-event")["stack"] == (
        "stripe-to-segment is only planned: its change set was not carried out",
        "deploy again: make deploy",
    )


def test_a_function_that_cannot_run_and_a_queue_that_is_not_polled_are_reported(here: Deployed) -> None:
    here.functions.told = {"State": "Failed", "StateReason": "the role cannot be assumed"}
    here.functions.mapping["State"] = "Disabled"
    found = failed("--no-event")
    assert found["deliver function"][0] == "Failed, last update Successful: the role cannot be assumed"
    assert found["queue → deliver"][1] == "aws lambda update-event-source-mapping --uuid m-1 --enabled"
    here.functions.mapping.clear()
    assert "no event source mapping connects the queue" in failed("--no-event")["queue → deliver"][0]


def test_a_queue_that_nothing_polls_beside_one_that_is_polled_is_reported(here: Deployed) -> None:
    """The mapping of the import queue stood for that of the events queue, which somebody had deleted."""
    here.functions.mapping.clear()
    assert [*failed("--no-event")] == ["queue → deliver"]
    here.functions.mapping = {**here.functions.import_mapping, "EventSourceArn": "arn:aws:sqs:eu-central-1:1:events"}
    here.functions.import_mapping["State"] = "Disabled"
    assert failed("--no-event") == {
        "import queue → deliver": ("Disabled", "aws lambda update-event-source-mapping --uuid m-2 --enabled")
    }


def test_a_mapping_that_would_delete_what_has_to_wait_is_reported(here: Deployed) -> None:
    """One made anew in the console lacks this setting: Lambda then deletes every record of a batch that ends well."""
    here.functions.mapping["FunctionResponseTypes"] = []
    (found,) = failed("--no-event").items()
    assert found == (
        "queue → deliver",
        (
            "records that have to wait are deleted: the mapping does not let deliver report them",
            "aws lambda update-event-source-mapping --uuid m-1 --function-response-types ReportBatchItemFailures",
        ),
    )


def test_a_queue_that_loses_records_silently_is_reported_with_the_command_that_sets_it_back(here: Deployed) -> None:
    """Without its redrive policy, or with SQS's own retention of four days, records ended without a dead letter."""
    urls = {"events queue": here.events_url, "import queue": here.import_url, "dead letters": here.letters_url}
    for url in urls.values():
        here.sqs.set_queue_attributes(
            QueueUrl=url, Attributes={"MessageRetentionPeriod": "345600", "RedrivePolicy": ""}
        )
    found = failed("--no-event")
    assert [*found] == [
        "dead letters, retention",
        *(f"{queue} queue, {lost}" for queue in ("events", "import") for lost in ("retention", "redrive policy")),
    ]
    assert found["dead letters, retention"][0] == "SQS deletes after 4 d what lies there, and not after 14 days"
    for name, (_, fix) in found.items():
        *command, url, option, given = shlex.split(fix)
        assert (command[:4], option) == (["aws", "sqs", "set-queue-attributes", "--queue-url"], "--attributes")
        assert url == urls[name.partition(",")[0]]
        attributes = json.loads(given) if given.startswith("{") else dict([given.split("=")])
        here.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    assert failed("--no-event") == {}


def test_an_audit_that_never_runs_is_reported(here: Deployed) -> None:
    here.functions.set_by_hand = {"audit": 0}
    assert [*failed("--no-event")] == ["audit function"]


def test_a_function_that_does_not_run_the_last_deployment_is_reported(here: Deployed) -> None:
    here.functions.not_published = {"MemorySize": 1024, "Layers": [{"Arn": "arn:aws:lambda:::layer:package:8"}]}
    said, fix = failed()["deliver function"]
    assert said == "version 3 runs, not what was deployed last: other Layers, MemorySize"
    assert fix.startswith(
        "unless you went back on purpose: aws lambda update-alias --function-name deliver --name live "
    )


def test_a_function_that_somebody_has_throttled_is_reported(here: Deployed) -> None:
    """The console's button Throttle reserves 0 executions; doctor saw that events waited, and not why."""
    here.functions.set_by_hand = {"deliver": 0, "receive": 3}
    assert failed("--no-event") == {
        "deliver function": (
            "its reserved concurrency is 0, so it never runs",
            "aws lambda delete-function-concurrency --function-name deliver",
        )
    }


def test_a_log_group_that_is_gone_is_reported_with_the_command_that_makes_it_anew(here: Deployed) -> None:
    """No metric came any more, so that no alarm on them rang, and `doctor` found all in order."""
    group = "/aws/lambda/stripe-to-segment-receive"
    here.logs.gone.add(group)
    ((name, (said, fix)),) = failed("--no-event").items()
    assert (name, fix) == ("log of receive", f"aws logs create-log-group --log-group-name {group}")
    assert said.startswith(f"{group} is gone")


def test_a_schedule_that_starts_nothing_is_reported(here: Deployed) -> None:
    """Its alarm rings after two days; nothing said so before."""
    here.put_keys(**KEYS | {"stripe_api_key": KEY})
    here.parameters |= {"ReconcileSchedule": "rate(6 hours)", "AuditSchedule": "rate(1 day)"}
    here.rules.states["function:reconcile:live", ""] = {"a-rule": "DISABLED"}
    found = failed("--no-event")
    assert found["reconcile schedule"] == ("disabled: it starts nothing", "aws events enable-rule --name a-rule")
    assert found["audit schedule"][0] == "there is none"
    here.rules.states = {
        ("function:reconcile:live", ""): {"a-rule": "ENABLED"},
        ("function:audit:live", ""): {"other": "ENABLED"},
    }
    assert not {"reconcile schedule", "audit schedule"} & {*failed("--no-event")}


def test_an_event_bus_that_brings_nothing_is_reported(here: Deployed) -> None:
    """All events come through it, and only those of the webhook were checked."""
    bus = "aws.partner/stripe.com/ed_1"
    here.parameters["EventBusName"] = bus
    here.rules.source = "DELETED"
    here.rules.states["events", bus] = {"stripe-to-segment-1": "DISABLED"}
    assert failed("--no-event") == {
        "event bus rule": (
            "disabled: it starts nothing",
            f"aws events enable-rule --name stripe-to-segment-1 --event-bus-name {bus}",
        ),
        "event source": (
            "DELETED: Stripe sends nothing to it",
            "make an event destination in Stripe, and deploy with its bus",
        ),
    }
    here.rules.source, here.rules.states["events", bus] = "ACTIVE", {"stripe-to-segment-1": "ENABLED"}
    assert failed("--no-event") == {}


def test_a_queue_that_is_gone_is_reported_with_what_brings_it_back(here: Deployed) -> None:
    """It said to deploy again, which makes nothing: CloudFormation does not notice what was deleted outside of it."""

    def gone(operation: str, _: dict[str, Any]) -> None:
        if operation == "get_queue_attributes":
            raise refusal("AWS.SimpleQueueService.NonExistentQueue", "GetQueueAttributes")

    here.fault = gone
    assert failed("--no-event")["queues"][1].endswith("docs/operations.md, A part of the stack is gone")


def test_a_table_that_is_gone_is_reported(here: Deployed) -> None:
    """It was a check that could not be made, to be tried again, so doctor's exit status was 0."""
    here.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    here.dynamodb.delete_table(TableName=TABLE)
    found = failed()
    assert {"state", "Segment"} <= found.keys()
    assert all(fix.endswith("A part of the stack is gone") for _, fix in found.values())


def test_a_secret_that_is_marked_for_deletion_is_reported_with_the_command_that_restores_it(
    here: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was a check that could not be made, and hid all that need the keys."""

    def deleted(**_: str) -> None:
        raise refusal("InvalidRequestException", "GetSecretValue")

    monkeypatch.setattr(here.secrets, "get_secret_value", deleted)
    said, _ = failed("--no-event")["secrets"]
    assert "marked for deletion; `aws secretsmanager restore-secret --secret-id " in said


def test_a_kms_key_that_is_disabled_is_reported(here: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing worked any more, and `doctor` had only not checked the secrets."""

    def locked(**_: Any) -> Any:
        raise refusal("DecryptionFailure", "GetSecretValue")

    described = here.dynamodb.describe_table(TableName=TABLE)
    described["Table"]["TableStatus"] = "INACCESSIBLE_ENCRYPTION_CREDENTIALS"
    monkeypatch.setattr(here.dynamodb, "describe_table", lambda **_: described)
    monkeypatch.setattr(here.secrets, "get_secret_value", locked)
    found = failed("--no-event")
    assert found["secrets"][0] == "AWS refused GetSecretValue: DecryptionFailure"
    assert found["state"][0] == "the table is INACCESSIBLE_ENCRYPTION_CREDENTIALS: events wait"
    assert {fix for _, fix in found.values()} == {
        "enable its KMS key again, or let it be used: docs/operations.md, Secrets, and a key of your own"
    }


def test_a_function_that_was_just_deployed_is_not_wrong(here: Deployed) -> None:
    here.functions.told = {"State": "Pending", "LastUpdateStatus": "InProgress"}
    assert failed() == {}
    assert not_checked()["deliver function"] == ("Lambda is preparing it", "try again in a moment")


def test_dead_letters_and_long_waits_are_reported_with_the_next_command(here: Deployed) -> None:
    here.dead_letter("{}", reason="http_400")
    here.sqs.send_message(QueueUrl=here.events_url, MessageBody="{}")
    here.cloudwatch.values = {"ApproximateAgeOfOldestMessage": 120, "LongestWait": 7260}
    found = failed("--no-event")
    assert found["dead letters"] == ("1", "stripe-to-segment dlq list --stack stripe-to-segment")
    said, fix = found["events queue"]
    assert said == "1 to be fetched, 0 under way or waiting for another try; the longest wait: 2 h"
    assert "docs/operations.md, events-wait" in fix
    here.cloudwatch.values = {"ApproximateAgeOfOldestMessage": 90}
    assert list(failed("--no-event")) == ["dead letters"]


def test_subscriptions_with_an_unknown_discount_are_counted(here: Deployed) -> None:
    here.cloudwatch.sums = {"UnknownDiscounts": 12}
    said, fix = failed()["discounts"]
    assert said == "in 31 days 12 events without mrr, because only the discount's id is known"
    assert "Discounts with an unknown coupon" in fix


def test_subscriptions_with_a_price_that_no_webhook_states_are_counted(here: Deployed) -> None:
    here.cloudwatch.sums = {"UnknownPrices": 3}
    said, fix = failed()["prices"]
    assert said == "in 31 days 3 events without mrr, because no webhook states what the price costs"
    assert "Prices that no webhook states" in fix
    assert said_of("discounts") == "no mrr of the last 31 days lacked one"


def test_alarms_in_state_alarm_are_reported_but_not_those_of_a_stack_with_a_longer_name(here: Deployed) -> None:
    here.cloudwatch.alarm("stripe-to-segment-write-key", "ALARM", TOPIC)
    here.cloudwatch.alarm("stripe-to-segment-staging-quiet", "ALARM", "arn:aws:sns:eu-central-1:1:another")
    assert failed() == {"alarm write-key": ("rings since 2026-11-18T11:06Z", "docs/operations.md, write-key")}
    here.more_outputs.clear()
    assert failed() == {}
    assert "deploy with DashboardAndAlarms=true" in not_checked()["alarms"][1]


def said_of(name: str) -> str:
    checks = json.loads(run("--json", "--no-event").stdout)["checks"]
    return str(next(check["said"] for check in checks if check["name"] == name))


def test_alarms_that_are_gone_or_tell_nobody_are_reported(here: Deployed) -> None:
    """Without any alarm `doctor` said that none was in alarm, and of disabled ones that all was well."""
    (here.cloudwatch.alarms[0])["ActionsEnabled"] = False
    assert failed("--no-event") == {
        "alarms that tell nobody": (
            "1 of 1: their actions are disabled",
            "aws cloudwatch enable-alarm-actions --alarm-names stripe-to-segment-dead-letters",
        )
    }
    here.cloudwatch.alarms.clear()
    assert [*failed("--no-event")] == ["alarms"]


def test_an_alarm_that_is_gone_among_others_is_reported(here: Deployed) -> None:
    """Only a stack without any alarm was noticed; the one on dead letters could be missing."""
    here.resources.alarms += ["stripe-to-segment-events-wait", "stripe-to-segment-write-key"]
    here.cloudwatch.alarm("stripe-to-segment-write-key", "OK", "arn:aws:sns:eu-central-1:1:another")
    said, fix = failed("--no-event")["alarms that are gone"]
    assert said == "events-wait, write-key: gone, or they tell the topic no more"
    assert fix.endswith("A part of the stack is gone")


def test_a_table_that_lacks_the_settings_of_the_template_is_reported(here: Deployed) -> None:
    """A table that is restored from a backup has neither expiry nor backups, and nothing said so."""
    set_up(here.dynamodb, there=False)
    found = failed("--no-event")
    assert {name: fix.split(" --table-name ")[0] for name, (_, fix) in found.items()} == {
        "state's expiry": "aws dynamodb update-time-to-live",
        "state's backups": "aws dynamodb update-continuous-backups",
    }


def test_the_concurrency_of_the_account_and_the_rest_for_webhooks_are_reported() -> None:
    assert said_of("concurrency") == (
        "the account has 10 in this region, 10 of them not reserved; "
        "deliver takes up to 5, so 4 are left for webhooks and the account's other functions"
    )


@pytest.mark.parametrize(("schedule", "missed"), [("ReconcileSchedule", "reconciled"), ("AuditSchedule", "audited")])
def test_a_schedule_without_the_api_key_that_it_needs_is_a_failure(here: Deployed, schedule: str, missed: str) -> None:
    here.parameters[schedule] = "rate(1 day)"
    said, fix = failed("--no-event")["stripe_api_key"]
    assert said == f"none, but {schedule} is set: nothing is {missed}"
    assert "make a restricted key" in fix


@pytest.mark.parametrize(
    ("most", "parameters", "starves"),
    [
        (5, {}, False),
        (7, {}, False),
        (8, {}, True),
        (10, {}, True),
        (6, {"AuditSchedule": "rate(1 day)"}, False),
        (7, {"AuditSchedule": "rate(1 day)"}, True),
        (10, {"ReceiveReservedConcurrency": "5"}, False),
        (10, {"DeliverReservedConcurrency": "10"}, False),
    ],
)
def test_deliver_must_not_take_all_executions_of_the_account(
    here: Deployed, most: int, parameters: dict[str, str], starves: bool
) -> None:
    """With the ten of a new account, and ten batches at a time, Stripe got 503 as long as there was a backlog."""
    here.functions.mapping["ScalingConfig"] = {"MaximumConcurrency": most}
    here.parameters |= parameters
    found = failed("--no-event")
    assert ("concurrency" in found) is starves
    if starves:
        said, fix = found["concurrency"]
        assert said.endswith(f"deliver takes up to {most}, so webhooks can be answered with 503")
        assert fix.endswith(f"or deploy with MaximumConcurrency={6 if parameters else 7}")


def test_a_reservation_for_deliver_that_an_import_uses_up_is_reported(here: Deployed) -> None:
    here.functions.import_mapping["ScalingConfig"] = {"MaximumConcurrency": 2}
    here.parameters["DeliverReservedConcurrency"] = "5"
    said, fix = failed("--no-event")["concurrency"]
    assert said.endswith("deliver has 5 of its own and gets up to 7 batches at a time: Lambda refuses some")
    assert fix == "deploy with DeliverReservedConcurrency=7, or 0"


def test_concurrency_reserved_by_other_functions_is_subtracted(here: Deployed) -> None:
    here.functions.concurrency, here.functions.reserved = 1000, 996
    assert "1000 in this region, 4 of them not reserved" in failed("--no-event")["concurrency"][0]


def test_alarms_without_a_subscriber_are_reported(here: Deployed) -> None:
    """Without AlarmEmail all alarms rang, but only in the console."""
    here.topics.subscriptions = []
    assert failed("--no-event") == {
        "alarm subscribers": (
            "no address is subscribed: nobody gets the alarms",
            "ALARM_EMAIL=you@example.com make deploy",
        )
    }
    here.topics.subscriptions = ["PendingConfirmation"]
    said, fix = failed("--no-event")["alarm subscribers"]
    assert said == "the subscription is not confirmed: nobody gets the alarms yet"
    assert fix == "follow the link in AWS's mail"
    here.parameters["AlarmEmail"] = "oncall@example.com"
    assert failed("--no-event")["alarm subscribers"][1].endswith("--notification-endpoint oncall@example.com")
    here.topics.subscriptions = ["PendingConfirmation", "arn:aws:sns:eu-central-1:1:alarms:1", "PendingConfirmation"]
    assert failed("--no-event") == {}
    here.topics.subscriptions, here.more_outputs = [], {}
    assert failed("--no-event") == {}, "there are no alarms, which is said already"


@pytest.mark.parametrize("listed", [["Deleted"], ["Deleted", "Deleted", "Deleted"], []])
def test_a_subscription_that_somebody_has_ended_is_reported_with_what_renews_it(
    here: Deployed, listed: list[str]
) -> None:
    """One click on a link in an alarm's mail ends the subscription, which SNS then lists as Deleted: `doctor` said that
    one got the alarms. Another `make deploy` with the same address changes nothing."""
    here.parameters["AlarmEmail"] = "oncall@example.com"
    here.topics.subscriptions = listed
    assert failed("--no-event") == {
        "alarm subscribers": (
            "oncall@example.com is subscribed no more: nobody gets the alarms",
            f"aws sns subscribe --topic-arn {TOPIC} --protocol email --notification-endpoint oncall@example.com",
        )
    }


def test_a_state_that_holds_data_must_be_protected(here: Deployed) -> None:
    assert said_of("state") == "protected from deletion"
    here.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    for item in here.dynamodb.scan(TableName=TABLE)["Items"]:
        here.dynamodb.delete_item(TableName=TABLE, Key={"pk": item["pk"]})
    assert said_of("state").startswith("empty, and not protected from deletion yet")
    here.dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "customer#cus_1"}})
    said, fix = failed("--no-event")["state"]
    assert said == "1 items, and anybody who may can delete the table"
    assert "ProtectState=true" in fix


def test_the_local_stack_is_not_asked_for_data_of_an_account(here: Deployed) -> None:
    here.options, here.topics.subscriptions, here.functions.concurrency = ("--local",), [], 1
    here.dynamodb.update_table(TableName=TABLE, DeletionProtectionEnabled=False)
    here.dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "customer#cus_1"}})
    assert not {"concurrency", "alarm subscribers", "state"} & set(failed("--no-event"))


def test_checks_without_permission_are_skipped_and_the_others_run(here: Deployed) -> None:
    def refuse(operation: str, _: dict[str, Any]) -> None:
        if operation == "get_queue_attributes":
            raise refusal("AccessDenied", "GetQueueAttributes")

    here.fault = refuse
    assert failed() == {}
    assert not_checked()["queues"] == (
        "AWS refused GetQueueAttributes: AccessDenied",
        "docs/permissions.md lists the permissions of this command",
    )


def test_a_lost_network_is_not_reported_as_a_fault_of_the_stack(here: Deployed) -> None:
    def fail(operation: str, _: dict[str, Any]) -> None:
        if operation == "get_queue_attributes":
            raise EndpointConnectionError(endpoint_url="https://sqs")

    here.fault = fail
    assert failed() == {}
    assert "Could not connect" in not_checked()["queues"][0]


def test_a_webhook_that_accepts_unsigned_requests_is_reported(here: Deployed) -> None:
    here.door.refuses = False
    assert failed()["unsigned request"][0] == '200: {"received": true}'


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (404, "A part of the stack is gone"),
        (403, "A part of the stack is gone"),
        (429, "door-refuses"),
        (500, "receive-errors"),
        (503, "receive-errors"),
    ],
)
def test_what_a_broken_door_answers_is_reported_with_its_section(
    here: Deployed, monkeypatch: pytest.MonkeyPatch, status: int, fix: str
) -> None:
    """It said to deploy again, which brings back neither an API that is gone nor a permission."""
    monkeypatch.setattr(here.door, "respond", lambda handler, _: say(status, b'{"message":"no"}')(handler))
    assert failed()["unsigned request"][1].endswith(f"docs/operations.md, {fix}")


def test_a_webhook_that_does_not_answer_is_reported(here: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    here.webhook_url = "http://127.0.0.1:9/webhooks/stripe"
    monkeypatch.setattr(door, "send", partial(send, patience=0))
    found = failed()
    assert found["unsigned request"][0] == "nothing answers at http://127.0.0.1:9/webhooks/stripe"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "deliver logged nothing of it within"),
        (
            {"outcome": "retry", "reason": "store_unavailable", "detail": "AccessDenied"},
            "retry: store_unavailable AccessDenied",
        ),
        ({"outcome": "dead", "reason": "mapper_failed"}, "dead: mapper_failed"),
    ],
)
def test_a_test_event_that_is_not_delivered_is_reported(here: Deployed, said: dict[str, Any] | None, told: str) -> None:
    here.door.said = said
    (found,) = failed().values()
    assert found[0].startswith(told)


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_stack_that_logs_only_failures_is_not_reported_for_an_event_without_a_line(
    here: Deployed, level: str
) -> None:
    """A stack in order had a ✗ at these levels, because deliver logs no event that went through."""
    here.parameters["LogLevel"], here.door.said = level, None
    assert failed() == {}
    assert not_checked()["queue to deliver"][0].endswith(f"at LogLevel={level} it logs nothing else")
    here.door.said = {"outcome": "dead", "reason": "mapper_failed"}
    assert failed()["queue to deliver"][0] == "dead: mapper_failed"


def test_an_open_circuit_is_reported_and_no_event_is_sent(here: Deployed) -> None:
    """It would wait with all the others, or be taken for the one that tries whether Segment is back."""
    until = int(time.time()) + 120
    store, name = here.stack.store(), circuit_name(livemode=False)
    assert store.put_circuit(name, Circuit(4, until), Circuit(), time.time())
    (found,) = failed().items()
    assert found == (
        "Segment, test mode",
        (
            f"failed, 4 times counted: left alone until {iso(until)}, then tried again",
            "docs/operations.md, When Segment is down",
        ),
    )
    here.door.requests.clear()
    assert list(not_checked()) == ["signed event"]
    assert len(here.door.requests) == 1


def test_the_option_no_event_sends_no_signed_event(here: Deployed) -> None:
    checks = json.loads(run("--no-event", "--json").stdout)["checks"]
    assert here.door.requests == []
    assert [check["name"] for check in checks if check["state"] == "not checked"] == ["signed event"]


def test_the_requests_of_doctor_trigger_no_alarm(here: Deployed) -> None:
    """A wrong signature would count as one that could have been Stripe's."""
    run()
    unsigned, signed = here.door.requests
    assert "v1=" not in unsigned.headers["stripe-signature"]
    assert "v1=" in signed.headers["stripe-signature"]
    settings = settings_from({})
    reply = examine(unsigned.raw, unsigned.headers["stripe-signature"], SigningSecrets(test=(BY_HAND,)), settings, 0)
    assert (reply.status, reply.reason) == (400, "malformed")


@pytest.mark.parametrize("policy", ["anonymous", "customer_id", "skip"])
@pytest.mark.parametrize("livemode", [True, False])
def test_the_test_event_makes_no_call_and_stores_nothing(policy: str, livemode: bool) -> None:
    world = World(UNKNOWN_USER_POLICY=policy, IDENTITY_HOLD_SECONDS="30")
    world.now = int(time.time())
    before = json.dumps(vars(world.store), default=str)
    (verdict,) = world.batch(json.dumps(harmless_event(world.now, livemode=livemode)))
    assert verdict.status in {"delivered", "ignored"}
    assert (world.calls, world.requests) == ([], [])
    assert json.dumps(vars(world.store), default=str) == before


def test_an_unprimed_source_is_reported_until_it_is_primed_or_declined(here: Deployed) -> None:
    """A warehouse cuts the cents off for good, and this is noticed only at the first closing of the books."""
    here.put_keys(**KEYS | {"segment_test_write_key": "U" * 32})
    said, fix = failed()["warehouse, test source"]
    assert said.startswith("not primed")
    assert fix.startswith("stripe-to-segment prime --stack stripe-to-segment, or")
    stack = here.stack
    for source in sources_of(replace(stack.settings(), rename_events={"Order Refunded": "Refund"}), stack.keys()):
        source.remember(stack.store(), declined=False)
    assert "an update or RenameEvents brought columns" in failed()["warehouse, test source"][0]
    assert CliRunner().invoke(app, ["prime", "--decline"]).exit_code == 0
    assert "warehouse, test source" not in failed()
