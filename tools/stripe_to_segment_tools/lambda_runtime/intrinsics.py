"""Evaluates CloudFormation's intrinsic functions for given parameters, as far as the template alone allows. Pure.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["UNKNOWN", "IntrinsicError", "Intrinsics"]

# `${Name}` and `${Resource.Attribute}`; `${!Name}` is a literal.
PLACEHOLDER = re.compile(r"\$\{([^!}][^}]*)\}")
# Resources whose Ref is the name that the template gives them.
NAMED = {"AWS::Logs::LogGroup": "LogGroupName"}


class IntrinsicError(Exception):
    """The template uses a function or a name that cannot be evaluated here. The message names it."""


class _Unknown:
    """A value that is known only after a deployment, such as the ARN of a resource."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
_NO_VALUE = object()


class Intrinsics:
    """Evaluates the values in a template.

    Parameters
    ----------
    template
        The template, with the long forms of the functions.
    parameters
        The values of parameters, as strings; the other parameters have their defaults.
    pseudo
        The values of pseudo parameters, such as AWS::StackName.

    Raises
    ------
    IntrinsicError
        When a parameter is given that the template does not have.
    """

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str], pseudo: Mapping[str, str]) -> None:
        declared = template.get("Parameters", {})
        if unknown := sorted(set(parameters) - set(declared)):
            raise IntrinsicError(f"the template has no parameter {', '.join(unknown)}")
        defaults = {name: str(each["Default"]) for name, each in declared.items() if "Default" in each}
        self._values = {**defaults, **parameters, **pseudo}
        self._template = template
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::FindInMap": self._find_in_map,
            "Fn::GetAtt": lambda _: UNKNOWN,
            "Fn::If": self._if,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::Sub": self._sub,
        }
        self._tests: dict[str, Callable[[Any], bool]] = {
            "Condition": self.condition,
            "Fn::And": lambda tests: all(map(self._holds, tests)),
            "Fn::Equals": self._equals,
            "Fn::Not": lambda tests: not self._holds(tests[0]),
            "Fn::Or": lambda tests: any(map(self._holds, tests)),
        }

    def resolve(self, value: Any) -> Any:
        """The value with all functions evaluated; UNKNOWN if it depends on a deployed resource."""
        if isinstance(value, list):
            return [each for each in map(self.resolve, value) if each is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and ((name := next(iter(value))) in self._functions or name.startswith("Fn::")):
            if name not in self._functions:
                raise IntrinsicError(f"{name} cannot be evaluated here")
            return self._functions[name](value[name])
        resolved = {name: self.resolve(each) for name, each in value.items()}
        return {name: each for name, each in resolved.items() if each is not _NO_VALUE}

    def condition(self, name: str) -> bool:
        """Whether one of the template's conditions holds."""
        if name not in self._template.get("Conditions", {}):
            raise IntrinsicError(f"the template has no condition {name}")
        return self._holds(self._template["Conditions"][name])

    def _holds(self, test: Mapping[str, Any]) -> bool:
        ((name, given),) = test.items()
        if name not in self._tests:
            raise IntrinsicError(f"{name} is not a condition function")
        return self._tests[name](given)

    def _equals(self, given: list[Any]) -> bool:
        first, second = map(self.resolve, given)
        if UNKNOWN in {first, second}:
            raise IntrinsicError("a condition cannot depend on a resource")
        # For CloudFormation every parameter is a string, even one of type Number.
        return str(first) == str(second)

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._values:
            return self._values[name]
        resource = self._template.get("Resources", {}).get(name)
        if resource is None:
            raise IntrinsicError(f"the template has no parameter or resource {name}")
        given_name = resource.get("Properties", {}).get(NAMED.get(resource["Type"], ""))
        return UNKNOWN if given_name is None else self.resolve(given_name)

    def _find_in_map(self, given: list[Any]) -> Any:
        name, first, second = map(self.resolve, given)
        return self._template["Mappings"][name][str(first)][str(second)]

    def _if(self, given: list[Any]) -> Any:
        name, then, otherwise = given
        return self.resolve(then if self.condition(name) else otherwise)

    def _join(self, given: list[Any]) -> Any:
        separator, parts = given[0], self.resolve(given[1])
        return UNKNOWN if parts is UNKNOWN or UNKNOWN in parts else separator.join(map(str, parts))

    def _select(self, given: list[Any]) -> Any:
        place, choices = self.resolve(given[0]), self.resolve(given[1])
        return UNKNOWN if choices is UNKNOWN else choices[int(place)]

    def _split(self, given: list[Any]) -> Any:
        text = self.resolve(given[1])
        return UNKNOWN if text is UNKNOWN else str(text).split(given[0])

    def _sub(self, given: Any) -> Any:
        text, own = (given, {}) if isinstance(given, str) else given
        values = {name: self.resolve(value) for name, value in own.items()}
        found = {
            name: values[name] if name in values else UNKNOWN if "." in name else self._ref(name)
            for name in PLACEHOLDER.findall(text)
        }
        if UNKNOWN in found.values():
            return UNKNOWN
        return PLACEHOLDER.sub(lambda each: str(found[each[1]]), text).replace("${!", "${")
