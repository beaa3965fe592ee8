"""Turn the errors of a JSON Schema validator into sentences for people."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jsonschema import FormatChecker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.exceptions import ValidationError

__all__ = ["FORMATS", "sentences"]

FORMATS = FormatChecker(["uuid"])
LONGEST_VALUE = 60
WORDS: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


@FORMATS.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or bool(datetime.fromisoformat(value))


def sentences(error: ValidationError) -> Iterator[str]:
    """The sentences for one error, without the call's name; one sentence for each name that is not in the plan."""
    path, found = _path(error), error.instance
    if error.validator == "not":
        yield f"{path} does not belong in this kind of call"
    elif error.validator == "required":
        missing = re.match(r"'(.*)' is a required property$", error.message, re.DOTALL)
        yield f"{_under(path, missing[1] if missing else '?')} is missing"
    elif error.validator == "additionalProperties" and isinstance(error.schema, dict) and isinstance(found, dict):
        for name in sorted(found.keys() - error.schema["properties"].keys()):
            yield f"{_under(path, name)} is not in the tracking plan"
    elif error.validator == "anyOf":
        yield "neither userId nor anonymousId is there"
    else:
        yield f"{path} is {_wrong(str(error.validator), error.validator_value, found)}"


def _wrong(rule: str, wanted: Any, found: object) -> str:
    """The sentence for a value that breaks the rule for it."""
    match rule:
        case "type":
            expected = wanted if isinstance(wanted, list) else [wanted]
            return f"{WORDS.get(type(found), 'no JSON')}, not {' or '.join(expected)}"
        case "enum":
            return f"{_shown(found)}, not one of {', '.join(wanted)}"
        case "const":
            return f"{_shown(found)}, not {wanted!r}"
        case "minimum":
            return f"{_shown(found)}, less than {wanted}"
        case "minLength" | "minItems" | "minProperties":
            return "empty"
        case _:
            return f"{_shown(found)}, which does not match the {rule} {wanted}"


def _path(error: ValidationError) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return "".join(steps).removeprefix(".")


def _under(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
