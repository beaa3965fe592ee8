"""The laws of `receive` for some cases of each kind (`make fuzz` tests thousands), and that they detect violations."""

from __future__ import annotations

import builtins
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from stripe_to_segment.observability import logger
from stripe_to_segment.stripe_side import signature
from tests.door import __main__ as fuzz
from tests.door.cases import KINDS, a_case
from tests.door.door import open_door
from tests.door.laws import checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.door.door import Door

# Ten of each kind, and five in the fast profile.
NUMBERS = range(len(KINDS) * max(settings().max_examples // 5, 5))
NAMES = [make.__name__.replace("_", " ") for make in KINDS]


def test_no_case_of_any_kind_breaks_a_law() -> None:
    answers, broken = fuzz.tried(NUMBERS)
    assert broken == {}
    assert answers.total() == len(NUMBERS)
    assert {kind for kind, _ in answers} == {*NAMES}


def test_every_reason_of_receive_is_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    listed = guide.split("\n### Requests that `receive` answers")[1].split("\n## ")[0]
    given = set()
    with open_door() as door:
        for number in NUMBERS:
            checked(door, a_case(number))
            given |= {line.get("reason", "") for line in door.spoken.lines}
    assert given - {""} >= {"wrong", "too_large", "not_wanted", "no_secret", "bad_secret", "queue_refused"}
    assert [reason for reason in sorted(given - {""}) if f"`{reason}`" not in listed] == []


def test_a_number_always_makes_the_same_case() -> None:
    assert [repr(a_case(number)) for number in NUMBERS] == [repr(a_case(number)) for number in NUMBERS]


def faults(kind: str, spoil: Callable[[Door], None]) -> set[str]:
    """The broken laws that the cases of one kind find in a faulty receive function."""
    found: set[str] = set()
    with open_door() as door:
        spoil(door)
        for number in NUMBERS[NAMES.index(kind) :: len(KINDS)]:
            found |= set(checked(door, a_case(number))[1])
    return found


def test_the_laws_detect_that_unsigned_requests_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stripe_to_segment.receiving.examine.verify", lambda _body, _header, secrets, _now: {*secrets})
    for kind in ("forged", "changed", "replayed", "moved in time", "other scheme"):
        broken = faults(kind, lambda _: None)
        assert "queued without a signature over these bytes by a live secret at this time" in broken, kind


def test_the_laws_detect_that_old_requests_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "TOLERANCE_SECONDS", 10**9)
    assert "queued" in faults("from the future", lambda _: None)


def test_the_laws_detect_that_stripes_requests_are_refused() -> None:
    def spoil(door: Door) -> None:
        door.app.header_of = lambda request, name: request["headers"].get(name)

    assert "not queued" in faults("header in any case", spoil)


def test_the_laws_detect_that_queued_bodies_are_changed() -> None:
    def spoil(door: Door) -> None:
        door.app.queueable = lambda body: body.decode().strip().replace("  ", " ")

    assert "the queued body differs from the signed body" in faults("signed", spoil)


@pytest.mark.parametrize("logged", ["user-agent", "stripe-signature"])
def test_the_laws_detect_private_data_in_logs_and_answers(logged: str) -> None:
    def spoil(door: Door) -> None:
        examined = door.app._examined

        def log_header(request: dict[str, Any], body: bytes | None) -> Any:
            logger.info(request["headers"][logged])
            return examined(request, body)

        door.app._examined = log_header

    assert any("contains a s" in fault for fault in faults("forged", spoil))


def test_the_laws_detect_an_error_of_the_function() -> None:
    def spoil(door: Door) -> None:
        door.app.body_of = lambda request: request["body"].encode()

    assert any(fault.startswith("it raised ") for fault in faults("no text for a body", spoil))


def test_the_report_shows_each_kind_and_names_the_case_that_broke_a_law() -> None:
    answers, _ = fuzz.tried(range(len(KINDS)))
    good = list(fuzz.report((answers, {})))
    assert good[1].split()[:2] == ["signed", "1"]
    assert good[-1].startswith(f"{len(KINDS)} cases: receive queued no event without Stripe's signature")
    bad = list(fuzz.report((answers, {7: ("thin", ["queued"])})))
    assert bad[-3:] == [
        "case 7, thin: queued",
        "  again: make fuzz SEED=7 CASES=1",
        f"1 of {len(KINDS)} cases broke a law.",
    ]


@pytest.mark.parametrize(("cases", "status"), [("31", 0), ("-1", 2)])
def test_the_exit_status_says_how_it_went(monkeypatch: pytest.MonkeyPatch, cases: str, status: int) -> None:
    monkeypatch.setenv("CASES", cases)
    assert fuzz.main() == status


def test_a_broken_law_is_an_exit_status_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # Run the cases in this process, because only it has the faulty `verify`.
    monkeypatch.setattr(fuzz, "ProcessPoolExecutor", lambda: nullcontext(builtins))
    monkeypatch.setattr("stripe_to_segment.receiving.examine.verify", lambda _body, _header, secrets, _now: {*secrets})
    monkeypatch.setenv("CASES", "62")
    assert fuzz.main() == 1
