"""The user's answers, from a variable, from the file of earlier answers, or from the terminal.

A variable outranks the file, and the file the terminal. The terminal asks only for missing answers; without a terminal
a missing answer is an error. The file is in `.deploy/`, one for each stack, and git ignores it.
"""

from __future__ import annotations

import shlex
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from stripe_to_segment_tools.commands.deploy.errors import DeployError
from stripe_to_segment_tools.commands.deploy.parameters import toml_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stripe_to_segment_tools.commands.deploy.parameters import Parameter

    # Shows a question and a default, and returns the answer.
    type Ask = Callable[[str, str], str]

__all__ = ["QUESTIONS", "Answers", "Question", "Sources", "parameters_from", "read_answers", "write_answers"]

NONE = "none"
SEGMENT = {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
HEAD = """\
# Answered to `make deploy`, which asks again with ASK=1. Every other parameter of the template may be set here too;
# docs/settings.md lists them. What is not set has the template's default, or stays what it is in the stack.
"""


class Question(NamedTuple):
    """The question for a parameter, and short words for values that are tedious to type.

    Attributes
    ----------
    variable
        The environment variable that answers.
    parameter
        The template's parameter that the answer is for.
    text
        The text on the terminal.
    words
        Values by their short word.
    """

    variable: str
    parameter: str
    text: str
    words: Mapping[str, str]

    def value(self, answer: str) -> str:
        """The parameter's value."""
        return self.words.get(answer.strip().lower(), answer.strip())

    def word(self, value: str) -> str:
        """The shortest answer for this value."""
        return next((word for word, stands_for in self.words.items() if stands_for == value), value)


QUESTIONS = (
    Question(
        "SEGMENT_REGION", "SegmentEndpoint", "Segment's region: us, eu, or the address of another endpoint", SEGMENT
    ),
    Question("ALARM_EMAIL", "AlarmEmail", "Mail address for alarms, or none", {NONE: ""}),
    Question("DELIVERY_MODE", "DeliveryMode", "send calls to Segment, or only log them", {}),
)
VARIABLES = ("STACK", "REGION", *(question.variable for question in QUESTIONS))


@dataclass(frozen=True, slots=True)
class Answers:
    """The stack, the region, and the parameters that are set."""

    stack: str
    region: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of answers.

    Attributes
    ----------
    variables
        The environment.
    ask
        Asks at the terminal; None without one.
    again
        Whether to ask also for answers that are in the file.
    """

    variables: Mapping[str, str]
    ask: Ask | None
    again: bool = False

    def answer(
        self, variable: str, text: str, saved: str, offered: str, flaw: Callable[[str], str] = lambda _: ""
    ) -> str:
        """The answer to one question.

        Parameters
        ----------
        variable
            The variable with the answer. An empty one is no answer: a CI system sets it so if the setting is missing.
        text
            The text on the terminal.
        saved
            The earlier answer; empty without one.
        offered
            The default at the terminal, if no answer was saved.
        flaw
            Returns the reason why an answer cannot be used; the terminal then asks again.
        """
        if given := self.variables.get(variable, "").strip():
            if wrong := flaw(given):
                raise DeployError(f"{variable} {wrong}, not {given!r}")
            return given
        if saved and not (self.again and self.ask):
            return saved
        if self.ask is None:
            unset = [each for each in VARIABLES if each != variable and not self.variables.get(each, "").strip()]
            either = f"; not set either: {', '.join(unset)}" if unset else ""
            raise DeployError(f"{variable} is not set, and there is no terminal to ask at ({text}){either}")
        shown = text
        while True:
            given = self.ask(shown, saved or offered).strip() or saved or offered
            if not (wrong := flaw(given) if given else "must not be empty"):
                return given
            shown = f"It {wrong}. {text}"


def parameters_from(
    sources: Sources,
    saved: Mapping[str, str],
    present: Callable[[], Mapping[str, str]],
    parameters: Mapping[str, Parameter],
) -> dict[str, str]:
    """The parameters that are set; answers from the terminal are checked one by one.

    Parameters
    ----------
    sources
        The sources of answers. `PARAMETERS="Name=value …"`, quoted as for a shell, sets any parameter.
    saved
        The parameters in the file.
    present
        Reads those of the existing stack: Enter must not move a stack from one Segment region to the other.
    parameters
        The template's parameters.
    """
    found = {**saved, **_listed(sources.variables.get("PARAMETERS", ""))}
    for question in QUESTIONS:
        parameter = parameters[question.parameter]

        def flaw(answer: str, asked: Question = question, parameter: Parameter = parameter) -> str:
            wrong = parameter.flaw(asked.value(answer))
            return f"{wrong}, or {' or '.join(asked.words)}" if wrong and asked.words else wrong

        said = question.word(found[question.parameter]) if question.parameter in found else ""
        # Read only for a terminal: without one, a missing variable is reported before any call to AWS.
        offered = question.word(present().get(question.parameter, parameter.default)) if sources.ask else ""
        answer = sources.answer(question.variable, question.text, said, offered, flaw)
        found[question.parameter] = question.value(answer)
    return found


def _listed(text: str) -> dict[str, str]:
    try:
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise DeployError(f"PARAMETERS cannot be read ({error}): quote a value with spaces, Name='a value'") from error
    if odd := [name for name, separator, _ in pairs if not separator]:
        raise DeployError(f"PARAMETERS takes Name=value, not {odd[0]!r}: quote a value with spaces, Name='a value'")
    return {name: value for name, _, value in pairs}


def read_answers(path: Path) -> Answers | None:
    """The answers in a file; None if there is no file. Raises DeployError if it cannot be used."""
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeployError(f"{path} is no TOML: {error}") from error
    stated = found.get("parameters", {})
    if lost := [name for name in found if name not in {"stack", "region", "parameters"}]:
        raise DeployError(f"{path}: {lost[0]} stands above [parameters], where it has no effect: put it below")
    if not isinstance(stated, dict):
        raise DeployError(f"{path}: parameters are a table, which begins with a line [parameters]")
    if odd := [name for name, value in stated.items() if not isinstance(value, str | int)]:
        raise DeployError(f"{path}: {odd[0]} must be a text, a number, true or false")
    return Answers(str(found.get("stack", "")), str(found.get("region", "")), {k: _plain(v) for k, v in stated.items()})


def _plain(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def write_answers(path: Path, answers: Answers) -> None:
    """Save the answers."""
    lines = [HEAD, f"stack = {toml_text(answers.stack)}", f"region = {toml_text(answers.region)}", "", "[parameters]"]
    lines += [f"{name} = {toml_text(value)}" for name, value in answers.parameters.items()]
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
