"""What is deployed takes effect: the alias moves to a new version whenever a function changed, and only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.template.conftest import Template

FUNCTIONS = {"ReceiveFunction", "DeliverFunction", "ReconcileFunction"}
# Not part of a version: Lambda refuses to publish one in which nothing else changed, and the deployment fails.
UNVERSIONED = {"ReservedConcurrentExecutions"}


@pytest.fixture(scope="module")
def published(template: Template, translate: Callable[[list[dict[str, str]]], list[Template]]) -> dict[str, set[str]]:
    """The functions of which a version is published, by what changed: a parameter's value, or code."""
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
    """The version that each function's alias points to, by the name that CloudFormation knows it by."""
    return {name: template.properties(f"{name}Aliaslive")["FunctionVersion"]["Fn::GetAtt"][0] for name in FUNCTIONS}


def parameters_in(part: Any, conditions: dict[str, Any]) -> Iterator[str]:
    """The names that a part of the template refers to, also by way of conditions."""
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
    """SAM looks at the name of a parameter, not at its value: once, every change of a setting left the alias behind.

    https://github.com/aws/serverless-application-model/issues/3820
    """
    having: dict[str, set[str]] = {name: set() for name in template.body["Parameters"]}
    # Its own name is gone from where SAM looks values up.
    having["Tracing"] = set(FUNCTIONS)
    for function in FUNCTIONS:
        kept = {name: part for name, part in template.properties(function).items() if name not in UNVERSIONED}
        for name in parameters_in(kept, template.body["Conditions"]):
            if name in having:
                having[name].add(function)
    found = {name: published[name] for name in template.body["Parameters"]}
    assert found == having, "the Tracing of a function lists the settings that it has, and no other"
    assert having["DropEvents"] == {"DeliverFunction", "ReconcileFunction"}


@pytest.mark.parametrize("layer", ["DependenciesLayer", "StripeToSegmentLayer"])
def test_a_release_that_changes_nothing_but_a_layer_publishes_every_function(
    published: dict[str, set[str]], layer: str
) -> None:
    """Nearly every release is one: the handlers are thin, and what they call lies in the layer."""
    assert published[layer] == FUNCTIONS


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_functions_own_code_publishes_that_function_alone(published: dict[str, set[str]], function: str) -> None:
    assert published[function] == {function}


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_a_function_is_traced_as_the_setting_says(template: Template, function: str) -> None:
    index, choices = template.properties(function)["TracingConfig"]["Mode"]["Fn::Select"]
    assert choices[index] == template.default("Tracing") == "PassThrough"
    assert template.body["Parameters"]["Tracing"]["AllowedValues"] == ["PassThrough", "Active"]
