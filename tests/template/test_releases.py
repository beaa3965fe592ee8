"""The alias moves to a new version if and only if a function changed, so that every deployment takes effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.template.conftest import Template

FUNCTIONS = {"ReceiveFunction", "DeliverFunction", "ReconcileFunction", "AuditFunction"}
# Not part of a version: if nothing else changed, Lambda refuses to publish one, and the deployment fails.
UNVERSIONED = {"ReservedConcurrentExecutions"}


@pytest.fixture(scope="module")
def published(template: Template, translate: Callable[[list[dict[str, str]]], list[Template]]) -> dict[str, set[str]]:
    """The functions that get a new version, by the changed parameter or code."""
    changes = {name: {name: "another"} for name in template.body["Parameters"]}
    code = [*FUNCTIONS, "DependenciesLayer", "StripeToSegmentLayer"]
    changes |= {name: {name: "s3://bucket/another.zip"} for name in code}
    found = translate(list(changes.values()))
    before = versions(template)
    return {
        name: {function for function, version in versions(after).items() if version != before[function]}
        for name, after in zip(changes, found, strict=True)
    }


def versions(template: Template) -> dict[str, str]:
    """The logical id of the version to which each function's alias points."""
    return {name: template.properties(f"{name}Aliaslive")["FunctionVersion"]["Fn::GetAtt"][0] for name in FUNCTIONS}


def with_values(part: Any, values: dict[str, str]) -> Any:
    """A part of the template with these values in place of the references to them."""
    if isinstance(part, dict) and "Ref" in part:
        return values.get(part["Ref"], part)
    if isinstance(part, dict):
        return {name: with_values(inner, values) for name, inner in part.items()}
    return [with_values(each, values) for each in part] if isinstance(part, list) else part


def parameters_in(part: Any, conditions: dict[str, Any]) -> Iterator[str]:
    """The names to which a part of the template refers, also through conditions."""
    if isinstance(part, list):
        for each in part:
            yield from parameters_in(each, conditions)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "Ref":
                yield value
            if key == "Fn::If":
                yield from parameters_in(conditions[value[0]], conditions)
            yield from parameters_in(value, conditions)


def test_a_changed_setting_publishes_a_version_of_each_function_that_has_it(
    template: Template, published: dict[str, set[str]]
) -> None:
    """SAM compares a parameter's name, not its value, so a changed setting once left the alias at the old version.

    https://github.com/aws/serverless-application-model/issues/3820
    """
    having: dict[str, set[str]] = {name: set() for name in template.body["Parameters"]}
    # SAM has replaced the reference to the parameter itself.
    having["Tracing"] = set(FUNCTIONS)
    for function in FUNCTIONS:
        kept = {name: part for name, part in template.properties(function).items() if name not in UNVERSIONED}
        for name in parameters_in(kept, template.body["Conditions"]):
            if name in having:
                having[name].add(function)
    for name, functions in having.items():
        missing, needless = (sorted(each) for each in (functions - published[name], published[name] - functions))
        assert not missing, f"template.yaml: put `!Ref {name}` into the list at Tracing of {missing}"
        assert not needless, f"template.yaml: take `!Ref {name}` out of the list at Tracing of {needless}"
    assert having["DropEvents"] == {"DeliverFunction", "ReconcileFunction", "AuditFunction"}


@pytest.mark.tool
def test_a_value_that_changes_no_function_publishes_no_version(
    template: Template, translate: Callable[[list[dict[str, str]]], list[Template]]
) -> None:
    """Another SigningSecretArn, or the stack's own name as its SourceName, once changed a version and no function.

    Lambda then refuses the version, and the deployment fails.
    """
    choices = {
        name: (parameter.get("AllowedValues") or ["another", "one more"])[:2]
        for name, parameter in template.body["Parameters"].items()
    }
    changes = [({name: first}, {name: second}) for name, (first, second) in choices.items()]
    changes.append(({"SourceName": ""}, {"SourceName": "shop"}))
    found = iter(translate([values for change in changes for values in change]))
    for change in changes:
        published, functions = [], []
        for values in change:
            translated = next(found)
            default = {name: template.default(name) for name in template.body["Parameters"]}
            decided, known = translated.given(**values), {**default, **values, "AWS::StackName": "shop"}
            kept = [
                {name: part for name, part in decided.properties(function).items() if name not in UNVERSIONED}
                for function in sorted(FUNCTIONS)
            ]
            for properties in kept:
                # Of the list at Tracing, Lambda sees the first.
                mode = properties["TracingConfig"]["Mode"]["Fn::Select"]
                properties["TracingConfig"] = mode[1][mode[0]]
            functions.append(with_values(kept, known))
            published.append([version for _, version in sorted(versions(translated).items())])
        for number, function in enumerate(sorted(FUNCTIONS)):
            before, after = (each[number] for each in functions)
            is_new = published[0][number] != published[1][number]
            assert is_new == (before != after), f"{change}: {function}"


@pytest.mark.parametrize("layer", ["DependenciesLayer", "StripeToSegmentLayer"])
def test_a_release_that_changes_only_a_layer_publishes_every_function(
    published: dict[str, set[str]], layer: str
) -> None:
    """Almost every release is like this, because the handlers are thin and call code of the layer."""
    assert published[layer] == FUNCTIONS


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_functions_own_code_publishes_that_function_alone(published: dict[str, set[str]], function: str) -> None:
    assert published[function] == {function}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_the_setting_decides_whether_a_function_is_traced(template: Template, function: str) -> None:
    index, choices = template.properties(function)["TracingConfig"]["Mode"]["Fn::Select"]
    assert choices[index] == template.default("Tracing") == "PassThrough"
    assert template.body["Parameters"]["Tracing"]["AllowedValues"] == ["PassThrough", "Active"]
