"""`make deploy` asks what only the user can answer, refuses what cannot work, and can be repeated."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment_tools.commands.deploy.__main__ import main
from stripe_to_segment_tools.commands.deploy.answers import Answers, Sources, read_answers, write_answers
from stripe_to_segment_tools.commands.deploy.deployment import Project, deploy
from stripe_to_segment_tools.commands.deploy.errors import DeployError
from stripe_to_segment_tools.commands.deploy.parameters import as_sam_reads, check, check_together, read_parameters
from stripe_to_segment_tools.commands.deploy.stack import LONGEST_NAME
from tests.unit.cloud_formation import SAM_STACK_ID, CloudFormation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHECKOUT = Path(__file__).parents[2]
VARIABLES = {
    "STACK": "shop",
    "REGION": "eu-central-1",
    "SEGMENT_REGION": "eu",
    "ALARM_EMAIL": "oncall@example.com",
    "DELIVERY_MODE": "send",
}
ONE_SECRET = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:one-AbCdEf"
SET = {
    "SegmentEndpoint": "https://events.eu1.segmentapis.com",
    "AlarmEmail": "oncall@example.com",
    "DeliveryMode": "send",
}


def deployed(aws: CloudFormation) -> int:
    """What sam does if all goes well."""
    aws.status = "UPDATE_COMPLETE" if aws.status else "CREATE_COMPLETE"
    return 0


@dataclass
class Desk:
    """A checkout, AWS, and a user who may be at the terminal and answers in order; Enter is an empty answer."""

    folder: Path
    aws: CloudFormation = field(default_factory=CloudFormation)
    variables: dict[str, str] = field(default_factory=dict)
    answers: list[str] | None = None
    again: bool = False
    shown: list[tuple[str, str]] = field(default_factory=list)
    ran: list[list[str]] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)
    sam: Callable[[CloudFormation], int] = deployed

    def deploy(self) -> None:
        ask = None if self.answers is None else self._ask
        project = Project(self.folder, client=lambda _: self.aws, run=self._run, region="us-east-1")
        deploy(project, Sources(self.variables, ask, again=self.again))

    def _ask(self, text: str, offered: str) -> str:
        self.shown.append((text, offered))
        assert self.answers, f"one question too many: {text}"
        return self.answers.pop(0)

    def _run(self, command: Sequence[str], folder: Path) -> int:
        assert folder == self.folder
        self.ran.append(list(command))
        path = Path(command[command.index("--parameter-overrides") + 1].removeprefix("file://"))
        self.overrides = {k: _read(_read(v)) for k, v in tomllib.loads(path.read_text("utf-8")).items()}
        return self.sam(self.aws)

    @property
    def kept(self) -> dict[str, Any]:
        """The content of the stack's file."""
        return tomllib.loads((self.folder / ".deploy/shop.toml").read_text("utf-8"))


def _read(value: str) -> str:
    """What sam makes of a value; tests/template/test_parameters.py asks sam itself."""
    if value and value[0] == value[-1] and value[0] in {'"', "'"}:
        value = value[1:-1]
    return value.replace("\\ ", " ").replace('\\"', '"').replace("\\'", "'")


@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from("\\\\\"' \x7f")))
def test_any_value_reaches_the_stack_as_it_was_given(value: str) -> None:
    """Of a quote in the name of an event sam took the backslash, so RenameEvents was no JSON; an emoji became two."""
    written = tomllib.loads(as_sam_reads({"RenameEvents": value}))
    assert _read(_read(written["RenameEvents"])) == value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(CHECKOUT / name, tmp_path)
    return Desk(tmp_path)


# --- Answers ---


def test_without_a_terminal_every_answer_is_a_variable(desk: Desk) -> None:
    desk.variables = VARIABLES
    desk.deploy()
    (command,) = desk.ran
    assert command[:2] == [str(desk.folder / ".tools/sam/bin/sam"), "deploy"]
    assert {"--no-confirm-changeset", "--resolve-s3"} <= set(command)
    assert command[command.index("--stack-name") + 1 : command.index("--stack-name") + 4] == [
        *("shop", "--region", "eu-central-1")
    ]
    assert desk.overrides == SET
    assert not (desk.folder / ".deploy").exists(), "nothing is kept that nobody asked to keep"


@pytest.mark.parametrize("missing", VARIABLES)
@pytest.mark.parametrize("empty", [False, True])
def test_without_a_terminal_a_missing_variable_is_named_and_nothing_waits(
    desk: Desk, missing: str, empty: bool
) -> None:
    """A CI system makes an empty variable of a setting that is missing, which is no answer either."""
    desk.variables = VARIABLES | {missing: ""} if empty else {k: v for k, v in VARIABLES.items() if k != missing}
    with pytest.raises(DeployError, match=rf"^{missing} is not set, and there is no terminal") as told:
        desk.deploy()
    assert "\n" not in str(told.value)
    assert (desk.ran, desk.aws.asked) == ([], [])


def test_without_a_terminal_one_error_names_every_missing_variable(desk: Desk) -> None:
    """A new pipeline failed five times, each time for the next one."""
    desk.variables = {"REGION": "eu-central-1"}
    with pytest.raises(DeployError, match=r"not set either: SEGMENT_REGION, ALARM_EMAIL, DELIVERY_MODE$"):
        desk.deploy()


def test_the_terminal_is_asked_five_questions_and_enter_takes_what_is_offered(desk: Desk) -> None:
    desk.answers = ["shop", "", "eu", "oncall@example.com", ""]
    desk.deploy()
    assert [offered for _, offered in desk.shown] == ["stripe-to-segment", "us-east-1", "us", "none", "send"]
    assert desk.overrides == SET
    assert "--confirm-changeset" in desk.ran[0]
    assert desk.kept == {"stack": "shop", "region": "us-east-1", "parameters": SET}


def test_what_was_answered_is_not_asked_again(desk: Desk) -> None:
    desk.answers = ["shop", "", "eu", "oncall@example.com", ""]
    desk.deploy()
    desk.answers, desk.shown = [""], []
    desk.deploy()
    assert desk.shown == [("Name of the stack", "shop")]
    assert desk.overrides == {"ProtectState": "true", **SET}
    desk.variables, desk.answers = {"STACK": "shop"}, None
    desk.deploy()
    assert desk.overrides == {"ProtectState": "true", **SET}, "without a terminal the file answers too"


def test_ask_asks_again_and_offers_the_former_answers(desk: Desk) -> None:
    desk.answers = ["shop", "", "eu", "oncall@example.com", ""]
    desk.deploy()
    desk.variables, desk.again = {"STACK": "shop"}, True
    desk.answers, desk.shown = ["eu-west-1", "", "none", "log"], []
    desk.deploy()
    assert [offered for _, offered in desk.shown] == ["us-east-1", "eu", "oncall@example.com", "send"]
    assert desk.kept["region"] == "eu-west-1"
    assert desk.kept["parameters"] == SET | {"AlarmEmail": "", "DeliveryMode": "log"}


def test_an_answer_that_the_template_refuses_is_asked_for_again_with_the_templates_words(desk: Desk) -> None:
    desk.answers = ["shop", "", "http://segment.example.com", "us", "oncall", "none", "never", "log"]
    desk.deploy()
    told = [text for text, _ in desk.shown if text.startswith("It ")]
    assert [text.split(".")[0] for text in told] == [
        "It must be an https address; plain http, which would show the write keys, only to this machine, or us or eu",
        "It must be an email address, or none",
        "It must be one of send, log",
    ]
    assert desk.overrides == {"SegmentEndpoint": "https://api.segment.io", "AlarmEmail": "", "DeliveryMode": "log"}


def test_enter_keeps_the_stacks_region_of_segment(desk: Desk) -> None:
    """On a second laptop, where no file answers, the template's default would have been offered: Segment in the US."""
    desk.aws = CloudFormation("CREATE_COMPLETE", **SET, LogLevel="DEBUG")
    desk.answers = ["shop", "", "", "", ""]
    desk.deploy()
    assert desk.overrides == SET | {"ProtectState": "true"}


def test_other_parameters_come_from_a_variable_quoted_as_for_a_shell(desk: Desk) -> None:
    renamed = '{"Order Completed": "Purchase"}'
    desk.variables = VARIABLES | {
        "PARAMETERS": f"DropEvents='Checkout Expired,Trial Ending Soon' RenameEvents='{renamed}'"
    }
    desk.deploy()
    assert desk.overrides == SET | {"DropEvents": "Checkout Expired,Trial Ending Soon", "RenameEvents": renamed}


def test_other_parameters_come_from_the_file_and_stay_there(desk: Desk) -> None:
    write_answers(desk.folder / ".deploy/shop.toml", Answers("shop", "eu-central-1", SET | {"LogLevel": "DEBUG"}))
    path = desk.folder / ".deploy/shop.toml"
    path.write_text(path.read_text("utf-8") + "BatchSize = 50\n", "utf-8")
    desk.variables = {"STACK": "shop"}
    desk.deploy()
    assert desk.overrides == SET | {"LogLevel": "DEBUG", "BatchSize": "50"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"PARAMETERS": "LogLevl=DEBUG"}, "the template has no parameter LogLevl: is it LogLevel?"),
        ({"PARAMETERS": "LogLevel=LOUD"}, "LogLevel must be one of DEBUG, INFO, WARNING, ERROR, not 'LOUD'"),
        ({"PARAMETERS": "BatchSize=101"}, "BatchSize must be 1 to 100 events, not '101'"),
        ({"PARAMETERS": "BatchSize=many"}, "BatchSize must be 1 to 100 events, not 'many'"),
        ({"PARAMETERS": "DropEvents=Checkout Expired"}, "PARAMETERS takes Name=value, not 'Expired'"),
        ({"PARAMETERS": "DropEvents='Checkout"}, "PARAMETERS cannot be read (No closing quotation)"),
        ({"ALARM_EMAIL": "oncall"}, "ALARM_EMAIL must be an email address, or none, not 'oncall'"),
        ({"PARAMETERS": "ReconcileSchedule='rate(6 hour)'"}, "ReconcileSchedule must be rate(1 hour)"),
        ({"PARAMETERS": "BatchSize=٣"}, "BatchSize must be 1 to 100 events, not '٣'"),
        (
            {"PARAMETERS": "KeysSecretArn=arn:aws:secretsmanager:us-east-1:123456789012:secret:keys-AbCdEf"},
            "KeysSecretArn is in us-east-1, and the stack in eu-central-1",
        ),
        (
            {"PARAMETERS": "KmsKeyArn=arn:aws:kms:eu-west-1:123456789012:key/mrk-1"},
            "KmsKeyArn is in eu-west-1, and the stack in eu-central-1",
        ),
        (
            {"PARAMETERS": 'RenameEvents={"Order Completed":"Sold"}'},
            "RENAME_EVENTS is '{Order Completed:Sold}'",
        ),
        ({"PARAMETERS": "Integrations={All:true}"}, "INTEGRATIONS is"),
        ({"SEGMENT_REGION": "https://jo:secret@segment.example.com"}, "SEGMENT_ENDPOINT cannot be used as an address"),
        ({"STACK": "1shop"}, "STACK must be letters, digits and hyphens, and begin with a letter, not '1shop'"),
        ({"STACK": "s" * (LONGEST_NAME + 1)}, "STACK must have at most 64 characters"),
    ],
)
def test_invalid_answers_are_reported_before_aws_is_called(desk: Desk, given: dict[str, str], told: str) -> None:
    """JSON that lost its quotes in a shell has the form that the template asks for, and no function could start."""
    desk.variables = VARIABLES | given
    with pytest.raises(DeployError) as refused:
        desk.deploy()
    assert str(refused.value).startswith(told)
    assert (desk.ran, desk.aws.asked) == ([], [])


@pytest.mark.parametrize(
    ("set_here", "told"),
    [
        (
            "ReconcileSchedule='rate(2 days)'",
            "ReconcileQuietHours must be more than the 48 hours of ReconcileSchedule",
        ),
        (
            "ReconcileSchedule='cron(0 4 ? * MON-FRI *)'",
            "ReconcileQuietHours must be more than the longest pause of ReconcileSchedule, which leaves out days",
        ),
        (
            "AuditSchedule='cron(0 4 1 * ? *)' AuditQuietHours=24",
            "AuditQuietHours must be more than the longest pause of AuditSchedule, which leaves out days",
        ),
        (
            "AuditSchedule='rate(7 days)'",
            "AuditQuietHours must be more than the 168 hours of AuditSchedule",
        ),
        (
            # Enough for events alone: an import took from them, and Lambda refused batches of both.
            "DeliverReservedConcurrency=6",
            "DeliverReservedConcurrency must be 0 or at least 7, MaximumConcurrency and ImportConcurrency together",
        ),
        (
            f"SigningSecretArn={ONE_SECRET} KeysSecretArn={ONE_SECRET}",
            "SigningSecretArn and KeysSecretArn name one secret",
        ),
        ("StripeApiBase=https://proxy.example.com", "StripeApiBase is not https://api.stripe.com"),
    ],
)
def test_values_that_contradict_each_other_are_reported_before_anything_changes(
    desk: Desk, set_here: str, told: str
) -> None:
    desk.variables = VARIABLES | {"PARAMETERS": set_here}
    with pytest.raises(DeployError, match=re.escape(told)):
        desk.deploy()
    assert (desk.ran, desk.aws.asked) == ([], ["describe_stacks"])


def test_a_value_is_held_against_those_that_stay_in_the_stack(desk: Desk) -> None:
    """It was held against the template's defaults: 72 quiet hours of the stack counted as 48, and 20 batches as 5."""
    desk.aws.status, desk.aws.parameters = "UPDATE_COMPLETE", {"ReconcileQuietHours": "72", "MaximumConcurrency": "20"}
    desk.variables = VARIABLES | {"PARAMETERS": "ReconcileSchedule='rate(2 days)'"}
    desk.deploy()
    desk.variables = VARIABLES | {"PARAMETERS": "DeliverReservedConcurrency=10"}
    with pytest.raises(DeployError, match="DeliverReservedConcurrency must be 0 or at least 22"):
        desk.deploy()


@pytest.mark.parametrize(
    "schedule", ["cron(0 4 * * ? *)", "cron(0/15 * ? * * *)", "cron(0 4 1/1 * ? *)", "rate(6 hours)"]
)
def test_a_schedule_of_every_day_needs_no_more(desk: Desk, schedule: str) -> None:
    desk.variables = VARIABLES | {"PARAMETERS": f"ReconcileSchedule='{schedule}'"}
    desk.deploy()
    assert desk.overrides["ReconcileSchedule"] == schedule


def test_a_schedule_that_leaves_out_days_goes_with_more_quiet_hours(desk: Desk) -> None:
    """Its alarm rang from Sunday on, each week."""
    desk.variables = VARIABLES | {"PARAMETERS": "AuditSchedule='cron(0 4 ? * MON-FRI *)' AuditQuietHours=80"}
    desk.deploy()
    assert desk.overrides["AuditQuietHours"] == "80"


def test_every_default_of_the_template_is_one_that_it_takes() -> None:
    parameters = read_parameters(CHECKOUT / "template.yaml")
    assert len(parameters) > 40
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    check(defaults, parameters, "eu-central-1")
    check_together(defaults, parameters)


def test_settings_in_their_former_place_are_not_ignored(desk: Desk) -> None:
    samconfig = desk.folder / "samconfig.toml"
    samconfig.write_text(samconfig.read_text("utf-8") + 'parameter_overrides = ["DeliveryMode=log"]\n', "utf-8")
    desk.variables = VARIABLES
    with pytest.raises(DeployError, match=r"move them to .deploy/<stack>.toml"):
        desk.deploy()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('LogLevel = "DEBUG"\nstack = "shop"\n[parameters]\n', "LogLevel stands above [parameters]"),
        ('stack = "shop"\nparameters = "LogLevel=DEBUG"\n', "parameters are a table"),
    ],
)
def test_a_parameter_in_the_wrong_place_of_the_file_is_not_ignored(desk: Desk, text: str, told: str) -> None:
    (desk.folder / ".deploy").mkdir()
    (desk.folder / ".deploy/shop.toml").write_text(text, "utf-8")
    desk.variables = VARIABLES
    with pytest.raises(DeployError, match=re.escape(told)):
        desk.deploy()
    assert desk.ran == []


@pytest.mark.parametrize("content", [b"region = eu-central-1\n", b'[parameters]\nSourceName = "caf\xe9"\n'])
def test_a_file_that_is_no_toml_is_named(desk: Desk, content: bytes) -> None:
    """One in Latin-1 ended in a traceback."""
    (desk.folder / ".deploy").mkdir()
    (desk.folder / ".deploy/shop.toml").write_bytes(content)
    desk.variables = VARIABLES
    with pytest.raises(DeployError, match=r"shop.toml is no TOML"):
        desk.deploy()


@given(st.dictionaries(st.sampled_from(["DropEvents", "RenameEvents"]), st.text()))
def test_saved_answers_are_read_back_unchanged(tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("kept") / "shop.toml"
    write_answers(path, Answers("shop", "eu-central-1", texts))
    assert read_answers(path) == Answers("shop", "eu-central-1", texts)


# --- What is there already ---


def test_the_state_is_protected_from_the_second_deployment_on(desk: Desk) -> None:
    """A protected table cannot be rolled back: a first deployment that failed could not be repeated."""
    desk.variables = VARIABLES
    desk.deploy()
    assert "ProtectState" not in desk.overrides
    desk.deploy()
    assert desk.overrides["ProtectState"] == "true"
    desk.variables = VARIABLES | {"PARAMETERS": "ProtectState=false"}
    desk.deploy()
    assert desk.overrides["ProtectState"] == "false", "for who says so"


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"])
def test_a_first_deployment_that_failed_is_repeated_with_the_same_command(
    desk: Desk, status: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation takes no update of such a stack, and sam tries one: the second deployment always failed."""
    desk.aws, desk.variables = CloudFormation(status, **SET), VARIABLES
    desk.deploy()
    assert "delete_stack" in desk.aws.asked
    assert "ProtectState" not in desk.overrides, "it is a first deployment again"
    assert f"the first deployment of shop had failed ({status}): its remains are deleted" in capsys.readouterr().out


@pytest.mark.parametrize("status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"])
def test_a_bucket_of_sam_that_was_never_made_is_made_by_the_same_command(
    desk: Desk, capsys: pytest.CaptureFixture[str], status: str
) -> None:
    """Where sam may not make its bucket at first, or is interrupted, it refuses its own stack ever after. It says that
    tags are missing, so nobody could know that the stack has to be deleted.
    """
    desk.variables, desk.aws.of_sam = VARIABLES, status
    desk.deploy()
    assert desk.aws.of_sam == ""
    assert f"the first deployment of aws-sam-cli-managed-default had failed ({status})" in capsys.readouterr().out
    assert len(desk.ran) == 1


def test_a_bucket_of_sam_that_stands_is_left_alone(desk: Desk) -> None:
    desk.variables, desk.aws.of_sam = VARIABLES, "CREATE_COMPLETE"
    desk.deploy()
    assert desk.aws.of_sam == "CREATE_COMPLETE"


def test_the_reason_why_sam_could_not_make_its_bucket_is_named(desk: Desk) -> None:
    """sam says only that its stack was rolled back."""

    def fails(aws: CloudFormation) -> int:
        aws.of_sam = "ROLLBACK_COMPLETE"
        aws.failed("SamCliSourceBucket", "not authorized to perform: s3:CreateBucket", stack=SAM_STACK_ID)
        return 1

    desk.variables, desk.sam = VARIABLES, fails
    with pytest.raises(DeployError, match=r"\(SamCliSourceBucket: not authorized to perform: s3:CreateBucket\)"):
        desk.deploy()


def test_what_cannot_be_deleted_is_named(desk: Desk) -> None:
    desk.aws, desk.variables = CloudFormation("ROLLBACK_FAILED"), VARIABLES
    desk.aws.keeps = "StateTable"
    with pytest.raises(DeployError, match=r"cannot be deleted \(StateTable: it is protected\)"):
        desk.deploy()
    assert desk.ran == []


@pytest.mark.parametrize("status", ["", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_was_only_planned_is_a_new_one(desk: Desk, status: str) -> None:
    desk.aws, desk.variables = CloudFormation(status), VARIABLES
    desk.deploy()
    assert "delete_stack" not in desk.aws.asked
    assert "ProtectState" not in desk.overrides


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("CREATE_IN_PROGRESS", "shop is CREATE_IN_PROGRESS: wait until that is over"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait until that is over"),
        (
            "UPDATE_ROLLBACK_FAILED",
            "aws cloudformation continue-update-rollback --stack-name shop --region eu-central-1",
        ),
        ("DELETE_FAILED", "shop was being deleted, and could not be (EventsQueue: gone)"),
    ],
)
def test_a_state_that_only_the_user_can_leave_is_one_line(desk: Desk, status: str, told: str) -> None:
    desk.aws, desk.variables = CloudFormation(status), VARIABLES
    desk.aws.operation("DELETE_IN_PROGRESS")
    desk.aws.failed("EventsQueue", "gone", "DELETE_FAILED")
    with pytest.raises(DeployError) as refused:
        desk.deploy()
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert desk.ran == []


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
)
def test_a_stack_that_stands_is_updated(desk: Desk, status: str) -> None:
    desk.aws, desk.variables = CloudFormation(status), VARIABLES
    desk.deploy()
    assert len(desk.ran) == 1
    assert desk.overrides["ProtectState"] == "true"


def test_parameters_that_keep_their_value_are_printed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """sam keeps the value of a parameter that is named nowhere, also if the template has a new default."""
    desk.aws = CloudFormation("CREATE_COMPLETE", **SET, Tracing="Active", LogLevel="INFO", Gone="x")
    desk.variables = VARIABLES
    desk.deploy()
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("keeps")]
    assert said == ["keeps its value in the stack: Tracing = 'Active' (the template's default: 'PassThrough')"]


# --- The end ---


def test_the_reason_of_a_failure_is_the_first_one_of_this_deployment(desk: Desk) -> None:
    def fails(aws: CloudFormation) -> int:
        aws.status = "ROLLBACK_COMPLETE"
        aws.operation("CREATE_IN_PROGRESS")
        aws.failed("ReceiveRole", "not authorized to perform: iam:CreateRole")
        aws.failed("StateTable", "Resource creation cancelled")
        return 1

    desk.variables, desk.sam = VARIABLES, fails
    with pytest.raises(DeployError) as told:
        desk.deploy()
    reason = "ReceiveRole: not authorized to perform: iam:CreateRole"
    assert str(told.value) == f"shop was not deployed ({reason}); remove the cause, and repeat the command"


def test_a_failure_before_cloudformation_began_is_not_given_an_older_reason(desk: Desk) -> None:
    desk.aws, desk.variables = CloudFormation("UPDATE_ROLLBACK_COMPLETE"), VARIABLES
    desk.aws.operation("UPDATE_IN_PROGRESS", ago=3600)
    desk.aws.failed("DeliverFunction", "of yesterday", "UPDATE_FAILED", ago=3500)
    desk.sam = lambda _: 1
    with pytest.raises(DeployError, match=r"was not deployed \(sam says why above\)"):
        desk.deploy()


def test_a_first_deployment_ends_with_the_outputs_and_what_comes_next(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.variables = VARIABLES | {"PARAMETERS": "ReconcileSchedule='rate(6 hours)' AuditSchedule='rate(1 day)'"}
    desk.deploy()
    said = capsys.readouterr().out
    assert "WebhookUrl            https://abc.execute-api.eu-central-1.amazonaws.com/webhooks/stripe" in said
    assert "AWS has written to oncall@example.com: confirm the subscription there" in said
    assert "the alarm reconcile-stopped may ring" in said
    assert "the alarm audit-stopped may ring" in said
    assert "secret set segment_write_key" in said
    assert "export STRIPE_TO_SEGMENT_STACK=shop AWS_DEFAULT_REGION=eu-central-1" in said
    desk.deploy()
    again = capsys.readouterr().out
    assert "secret set" not in again
    assert "confirm the subscription" not in again


def test_a_change_set_that_is_declined_leaves_no_outputs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    def declined(aws: CloudFormation) -> int:
        aws.status = "REVIEW_IN_PROGRESS"
        return 0

    desk.variables, desk.sam = VARIABLES, declined
    desk.deploy()
    assert capsys.readouterr().out.splitlines()[-1] == "nothing was deployed"


@pytest.mark.parametrize("closed", ["", "stdin"])
def test_the_command_says_in_one_line_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed: str
) -> None:
    """Started by a program that had closed its input, it ended in a traceback."""
    if closed:
        monkeypatch.setattr(sys, closed, None)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert main([]) == 1
    assert (
        capsys.readouterr().err == "error: STACK is not set, and there is no terminal to ask at (Name of the stack); "
        "not set either: REGION, SEGMENT_REGION, ALARM_EMAIL, DELIVERY_MODE\n"
    )


def test_the_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    said = capsys.readouterr().out
    assert [name for name in [*VARIABLES, "PARAMETERS", "ASK"] if name not in said] == []
