"""Dead letters are counted, shown, redriven and deleted; none is lost or hidden, and bodies are shown only on
request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from stripe_to_segment_tools.access import options as stack_options
from stripe_to_segment_tools.commands.cli import app
from stripe_to_segment_tools.commands.dlq.queue import Pass, redrive
from tests.unit.a_stack import Deployed, deployed
from tests.unit.edges import refusal
from tests.unit.shapes import a_customer, an_event

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = "zoe@example.com"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with deployed() as stack:
        monkeypatch.setattr(stack_options, "find_stack", lambda *_, **__: stack.stack)
        yield stack


def dlq(*words: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["dlq", *words], input=answer)


def a_letter(here: Deployed, number: int = 1, reason: str = "http_400", kind: str = "customer.created") -> str:
    """Dead-letter an event; returns its body."""
    event = an_event(kind, a_customer(email=PRIVATE, description=f"number {number}"), id=f"evt_{number}")
    body = json.dumps(event.body)
    here.dead_letter(
        body, reason=reason, detail="no event name", event_id=event.id, event_type=kind, source_message_id="m"
    )
    return body


# --- list ---


def test_letters_are_counted_by_reason_and_type(here: Deployed) -> None:
    for number in range(23):
        a_letter(here, number)
    a_letter(here, 23, "mapper_failed", "invoice.paid")
    counted = json.loads(dlq("list", "--json").stdout)
    assert counted["count"] == 24
    assert counted["by_reason"] == {"http_400": 23, "mapper_failed": 1}
    assert [(group["reason"], group["type"], group["count"]) for group in counted["groups"]] == [
        ("http_400", "customer.created", 23),
        ("mapper_failed", "invoice.paid", 1),
    ]
    assert counted["groups"][0]["oldest"] <= counted["groups"][0]["newest"]


def test_a_list_for_people_says_the_same_and_nothing_personal(here: Deployed) -> None:
    a_letter(here)
    result = dlq("list")
    assert result.exit_code == 0
    assert "http_400" in result.stdout
    assert "customer.created" in result.stdout
    assert PRIVATE not in result.output


def test_a_letter_without_attributes_was_worn_out_and_its_type_is_the_events(here: Deployed) -> None:
    here.dead_letter(json.dumps(an_event("invoice.paid", {"object": "invoice"}).body))
    here.dead_letter("no event")
    groups = json.loads(dlq("list", "--json").stdout)["groups"]
    assert [(group["reason"], group["type"]) for group in groups] == [("worn_out", ""), ("worn_out", "invoice.paid")]


def test_a_letter_with_brackets_in_it_is_listed_as_it_is(here: Deployed) -> None:
    """Brackets are markup where tables are made: some hid the type, others ended the command with a traceback."""
    a_letter(here, kind="[bold]it[/] [/]")
    result = dlq("list")
    assert result.exit_code == 0
    assert "[bold]it[/] [/]" in result.stdout


def test_an_empty_queue_is_no_error() -> None:
    assert (dlq("list").stdout, dlq("list").exit_code) == ("no dead letters\n", 0)
    assert json.loads(dlq("list", "--json").stdout)["count"] == 0


def test_looking_hides_no_letter_from_anybody_else(here: Deployed) -> None:
    bodies = sorted(a_letter(here, number) for number in range(12))
    dlq("list")
    dlq("show", "--limit", "1")
    assert sorted(here.letters) == bodies


def test_a_pass_that_fails_in_the_middle_makes_its_letters_visible_again(here: Deployed) -> None:
    bodies = sorted(a_letter(here, number) for number in range(12))
    asked: list[str] = []

    def fault(operation: str, _: dict[str, Any]) -> None:
        asked.append(operation)
        if asked.count("receive_message") > 1:
            asked.clear()
            raise refusal("RequestThrottled", operation)

    here.fault = fault
    result = dlq("list")
    assert result.exit_code == 2
    assert "RequestThrottled" in result.stderr
    assert sorted(here.letters) == bodies


def test_dead_letters_that_another_command_holds_are_reported(here: Deployed) -> None:
    """While one command read the letters, or for minutes after it was killed, another said that there are none."""
    for number in range(12):
        a_letter(here, number)
    first = here.stack.client("sqs")
    with Pass(first, here.letters_url) as other:
        assert sum(len(page) for page in other.pages()) == 12
        for words in (["list"], ["redrive", "--all", "--yes"], ["purge", "--yes"]):
            result = dlq(*words)
            assert "note: about 12 are held by another command or the console" in result.stderr, words
    assert "note:" not in dlq("list").stderr
    assert len(here.letters) == 12


def test_a_slow_pass_says_that_there_may_be_more_dead_letters(here: Deployed) -> None:
    """Read more slowly than letters come back, the list was short by two thousand and did not say so."""
    again = {"MessageId": "letter", "ReceiptHandle": "handle", "Body": "{}"}
    here.fault = lambda operation, _: {"Messages": [again]} if operation == "receive_message" else None
    result = dlq("list", "--json")
    assert json.loads(result.stdout)["count"] == 1
    assert "there may be more, so run it again" in result.stderr


# --- show ---


def test_show_gives_ids_and_attributes_and_no_body(here: Deployed) -> None:
    a_letter(here)
    result = dlq("show", "--json")
    shown = json.loads(result.stdout)
    assert shown["event_id"] == "evt_1"
    assert (shown["reason"], shown["detail"]) == ("http_400", "no event name")
    assert "body" not in shown
    assert PRIVATE not in result.output + dlq("show").output


def test_show_prints_the_raw_event_on_request(here: Deployed) -> None:
    body = a_letter(here)
    assert json.loads(dlq("show", "--body", "--json").stdout)["body"] == body
    assert PRIVATE in dlq("show", "evt_1", "--body").stdout


def test_show_takes_ids_of_letters_and_of_events_and_reasons(here: Deployed) -> None:
    a_letter(here, 1)
    a_letter(here, 2, "mapper_failed")
    message = here.dead_letter("no event")
    shown = [dlq("show", "--json", *words).stdout for words in (["evt_1"], [message], ["--reason", "mapper_failed"])]
    assert [json.loads(text)["event_id"] for text in shown] == ["evt_1", "", "evt_2"]


def test_a_letter_that_is_not_there_is_an_error_of_its_own(here: Deployed) -> None:
    a_letter(here)
    assert dlq("show", "evt_other").exit_code == 1


# --- redrive ---


def test_redriven_letters_are_events_again_to_the_byte(here: Deployed) -> None:
    bodies = sorted(a_letter(here, number) for number in range(13))
    result = dlq("redrive", "--all", "--yes", "--json")
    assert json.loads(result.stdout) == {"redriven": 13, "dry_run": False, "undeleted": 0, "failures": {}}
    assert result.exit_code == 0
    assert sorted(here.events) == bodies
    assert here.letters == []


def test_only_what_was_chosen_is_redriven(here: Deployed) -> None:
    by_reason, by_id, left = a_letter(here, 1, "enrich_failed"), a_letter(here, 2), a_letter(here, 3)
    dlq("redrive", "--reason", "enrich_failed", "--yes")
    dlq("redrive", "--id", "evt_2", "--yes")
    assert sorted(here.events) == sorted([by_reason, by_id])
    assert here.letters == [left], "and can be received at once"


def test_nothing_is_redriven_before_something_is_chosen() -> None:
    assert dlq("redrive", "--yes").exit_code == 2
    assert dlq("redrive", "--all", "--id", "evt_1", "--yes").exit_code == 2


def test_a_dry_run_says_how_many_and_moves_none(here: Deployed) -> None:
    a_letter(here, 1)
    a_letter(here, 2, "mapper_failed")
    result = dlq("redrive", "--reason", "http_400", "--dry-run")
    assert result.stdout == "would be redriven: 1\n"
    assert "1 of 2 dead letters: http_400 1" in result.stderr
    assert len(here.letters) == 2
    assert here.events == []


@pytest.mark.parametrize(("answer", "moved"), [("y\n", 1), ("n\n", 0), ("", 0)])
def test_without_yes_the_command_asks(here: Deployed, answer: str, moved: int) -> None:
    a_letter(here)
    result = dlq("redrive", "--all", answer=answer)
    assert len(here.events) == moved
    assert result.exit_code == 1 - moved


def test_a_letter_that_sqs_does_not_take_back_stays(here: Deployed) -> None:
    stays, goes = a_letter(here, 1), a_letter(here, 2)

    def fault(operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "send_message_batch":
            return None
        good = [entry for entry in arguments["Entries"] if entry["MessageBody"] == goes]
        answer: dict[str, Any] = here.sqs.send_message_batch(QueueUrl=here.events_url, Entries=good)
        failed = [entry for entry in arguments["Entries"] if entry not in good]
        return answer | {"Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in failed]}

    here.fault = fault
    result = dlq("redrive", "--all", "--yes")
    assert result.exit_code == 1
    assert "1 stayed: InternalError" in result.stderr
    assert here.letters == [stays]
    assert here.events == [goes]


@settings(max_examples=settings().max_examples * 3 // 20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["", "send_message_batch", "delete_message_batch", "receive_message"]), max_size=12))
def test_no_failure_loses_a_dead_letter(here: Deployed, troubles: list[str]) -> None:
    here.renew_queues()
    bodies = {a_letter(here, number) for number in range(25)}
    queue = list(troubles)

    def fault(operation: str, _: dict[str, Any]) -> None:
        if queue and queue.pop(0) == operation:
            raise refusal("ServiceUnavailable", operation)

    here.fault = fault
    assert dlq("redrive", "--all", "--yes").exception is None or troubles
    here.fault = lambda *_: None
    assert set(here.events) | set(here.letters) == bodies


def test_the_command_names_what_was_sent_and_could_not_be_deleted(here: Deployed) -> None:
    body = a_letter(here)

    def fault(operation: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
        if operation != "delete_message_batch":
            return None
        return {"Failed": [{"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid"} for entry in arguments["Entries"]]}

    here.fault = fault
    result = dlq("redrive", "--all", "--yes")
    assert result.exit_code == 0
    assert "1 are queued but still dead letters too" in result.stderr
    assert (here.events, here.letters) == ([body], [body])


def test_a_letter_that_comes_back_dead_is_left_alone(here: Deployed) -> None:
    """Otherwise an event that fails again at once would circulate without end."""
    a_letter(here)
    rounds = 0

    def fails_again(operation: str, _: dict[str, Any]) -> None:
        nonlocal rounds
        if operation == "delete_message_batch":
            (message,) = here.sqs.receive_message(QueueUrl=here.events_url)["Messages"]
            here.sqs.delete_message(QueueUrl=here.events_url, ReceiptHandle=message["ReceiptHandle"])
            here.dead_letter(message["Body"], reason="http_400", source_message_id=message["MessageId"])
            rounds += 1

    here.fault = fails_again
    assert dlq("redrive", "--all", "--yes").stdout == "redriven: 1\n"
    assert rounds == 1
    assert len(here.letters) == 1


def test_what_eventbridge_could_not_hand_over_loses_its_envelope(here: Deployed) -> None:
    event = an_event("customer.created", a_customer())
    envelope = {"version": "0", "source": "aws.partner/stripe.com/ed_1", "detail-type": event.type}
    here.dead_letter(json.dumps(envelope | {"detail": event.body}), RULE_ARN="arn", ERROR_CODE="NO_PERMISSIONS")
    (group,) = json.loads(dlq("list", "--json").stdout)["groups"]
    assert (group["reason"], group["type"]) == ("not_handed_over", event.type)
    dlq("redrive", "--reason", "not_handed_over", "--yes")
    (body,) = here.events
    assert json.loads(body) == event.body


def test_a_redrive_ends_where_sqs_takes_nothing(here: Deployed) -> None:
    for number in range(30):
        a_letter(here, number)

    def fault(operation: str, _: dict[str, Any]) -> None:
        if operation == "send_message_batch":
            raise refusal("AccessDenied", operation)

    here.fault = fault
    with Pass(here.stack.client("sqs"), here.letters_url) as walk:
        *_, result = redrive(walk, lambda _: True, here.stack.client("sqs"), here.events_url)
    assert result.failures == {"AccessDenied": 10}
    assert len(here.letters) == 30


# --- purge ---


def test_only_what_was_chosen_is_deleted(here: Deployed) -> None:
    a_letter(here, 1, "not_json")
    kept = a_letter(here, 2)
    assert dlq("purge", "--reason", "not_json", "--yes").stdout == "deleted: 1\n"
    assert here.letters == [kept]
    assert here.events == []


def test_everything_is_deleted_only_after_a_yes(here: Deployed) -> None:
    for number in range(11):
        a_letter(here, number)
    assert dlq("purge", answer="n\n").exit_code == 1
    assert len(here.letters) == 11
    assert dlq("purge", answer="y\n").exit_code == 0
    assert here.letters == []


def test_what_could_not_be_deleted_is_an_error(here: Deployed) -> None:
    a_letter(here)

    def fault(operation: str, _: dict[str, Any]) -> dict[str, Any] | None:
        return {"Failed": [{"Id": "0", "Code": "InternalError"}]} if operation == "delete_message_batch" else None

    here.fault = fault
    result = dlq("purge", "--yes", "--json")
    assert json.loads(result.stdout)["failures"] == {"InternalError": 1}
    assert result.exit_code == 1
