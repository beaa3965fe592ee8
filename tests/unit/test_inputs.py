"""Reading events from files, folders and standard input."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from stripe_to_segment_tools.samples.files import api_gateway_request, sqs_batch
from stripe_to_segment_tools.samples.inputs import Input, dump, read_events, read_text

if TYPE_CHECKING:
    from pathlib import Path

EVENT = {"id": "evt_1", "object": "event"}
OTHER = {"id": "evt_2", "object": "event"}


def read(content: str | bytes, *, lines: bool = False) -> list[Input]:
    return list(read_text(content.encode() if isinstance(content, str) else content, "x", lines=lines))


def events(inputs: list[Input]) -> list[Any]:
    return [each.event for each in inputs]


def test_one_event_keeps_its_exact_bytes() -> None:
    content = '{"id":   "evt_1", "name": "é\u2028"}'
    assert read(content) == [Input("x", content.encode(), {"id": "evt_1", "name": "é\u2028"})]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([EVENT, OTHER]),
        f"{json.dumps(EVENT)}\n{json.dumps(OTHER)}\n",
        f"{json.dumps(EVENT)}\n\n{json.dumps(OTHER)}",
        f"{dump(EVENT)}\n{dump(OTHER)}\n",
        json.dumps({"Records": [{"body": json.dumps(EVENT)}, {"body": json.dumps(OTHER)}]}),
        json.dumps({"Messages": [{"Body": json.dumps(EVENT)}, {"Body": json.dumps(OTHER)}]}),
    ],
    ids=["array", "JSON lines", "blank line", "one after the other", "SQS batch", "received messages"],
)
def test_several_events_are_read_in_order_and_numbered(content: str) -> None:
    found = read(content)
    assert events(found) == [EVENT, OTHER]
    assert [each.source for each in found] == ["x#1", "x#2"]


@pytest.mark.parametrize("base64", [False, True])
def test_a_request_is_unpacked_byte_for_byte(base64: bool) -> None:
    body = '{ "id": "evt_1", "name": "森" }'.encode()
    (found,) = read(dump(api_gateway_request(body, "whsec_x", 1_800_000_000, base64=base64)))
    assert found.raw == body


def test_an_eventbridge_envelope_inside_an_sqs_record_is_unpacked() -> None:
    envelope = {"detail-type": "invoice.paid", "source": "aws.partner/stripe.com/ed_1", "detail": EVENT}
    batch = sqs_batch([json.dumps(envelope).encode()], "arn:aws:sqs:us-east-1:123456789012:q", 1_800_000_000)
    assert events(read(json.dumps(batch))) == [EVENT]


def test_an_event_is_never_taken_for_an_envelope() -> None:
    event = {**EVENT, "Records": [], "detail-type": "x", "detail": {}, "requestContext": {}, "body": "{}"}
    assert events(read(json.dumps(event))) == [event]


def test_a_broken_line_affects_no_other_line() -> None:
    found = read(f'{json.dumps(EVENT)}\n{{"id": "evt_\nnonsense\n{json.dumps(OTHER)}\n')
    assert events(found) == [EVENT, None, None, OTHER]
    assert [each.error is not None for each in found] == [False, True, True, False]


def test_a_broken_file_is_one_error_however_many_lines_it_has() -> None:
    (found,) = read(dump(EVENT)[:-2])
    assert found.error is not None
    assert "line 3" in found.error


def test_a_list_of_stripes_events_is_unpacked() -> None:
    """What `stripe events list` prints was taken for one event without an id."""
    assert events(read(json.dumps({"object": "list", "data": [EVENT, OTHER], "has_more": False}))) == [EVENT, OTHER]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "empty"),
        (b"[]", "no event is in it"),
        (b'{"object": "list", "data": []}', "no event is in it"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"amount": NaN}', "NaN"),
        (b"[" * 200_000, "recursion"),
        (b'{"Records": [{}]}', "without a 'body'"),
        (b'{"requestContext": {}, "body": "!", "isBase64Encoded": true}', "base64"),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, error: str) -> None:
    (found,) = read(content)
    assert found.error is not None
    assert error in found.error
    assert found.event is None


def test_half_a_surrogate_pair_does_not_break_an_array() -> None:
    assert read('[{"name": "\\ud800"}]')[0].raw == b'{\n  "name": "\\ud800"\n}'


def test_folders_are_read_in_sorted_order_and_go_on_after_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.json").write_text(json.dumps(OTHER))
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "c.jsonl").write_text(f"{json.dumps(EVENT)}\n{json.dumps(OTHER)}\n")
    (tmp_path / "notes.md").write_text("no JSON")
    found = list(read_events([tmp_path, tmp_path / "missing.json"]))
    assert events(found) == [None, OTHER, EVENT, OTHER, None]
    assert found[0].error
    assert found[-1].error == "No such file or directory"


def test_a_folder_without_events_is_an_error(tmp_path: Path) -> None:
    (found,) = read_events([tmp_path])
    assert found.error == "the folder has no *.json or *.jsonl file"


def test_standard_input_may_be_an_empty_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert list(read_events(["-"])) == []
