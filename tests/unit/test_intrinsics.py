"""What a template says once its parameters are known, as CloudFormation would work it out."""

from __future__ import annotations

from typing import Any

import pytest

from stripe_to_segment_tools.lambda_runtime.intrinsics import UNKNOWN, IntrinsicError, Intrinsics

TEMPLATE: dict[str, Any] = {
    "Parameters": {
        "Name": {"Type": "String", "Default": ""},
        "Level": {"Type": "String", "Default": "INFO"},
        "Number": {"Type": "Number", "Default": 0},
        "Asked": {"Type": "String"},
    },
    "Mappings": {"VisibilityFor": {"30": {"Seconds": 240}, "60": {"Seconds": 420}}},
    "Conditions": {
        "IsNamed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Name"}, ""]}]},
        "IsDebug": {"Fn::Equals": [{"Ref": "Level"}, "DEBUG"]},
        "IsCounted": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Number"}, 0]}]},
        "Both": {"Fn::And": [{"Condition": "IsNamed"}, {"Condition": "IsDebug"}]},
        "Either": {"Fn::Or": [{"Condition": "IsNamed"}, {"Condition": "IsDebug"}]},
        "AsksAResource": {"Fn::Equals": [{"Ref": "Queue"}, ""]},
        "Odd": {"Fn::Contains": [["a"], "a"]},
    },
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue"},
        "Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Fn::Sub": "/aws/${AWS::StackName}"}}},
    },
}


def intrinsics(**parameters: str) -> Intrinsics:
    return Intrinsics(TEMPLATE, parameters, {"AWS::StackName": "shop", "AWS::Region": "eu-central-1"})


@pytest.mark.parametrize(
    ("value", "worked_out"),
    [
        ("plain", "plain"),
        ({"Ref": "Level"}, "INFO"),
        ({"Ref": "Number"}, "0"),
        ({"Ref": "AWS::StackName"}, "shop"),
        ({"Ref": "Group"}, "/aws/shop"),
        ({"Ref": "Queue"}, UNKNOWN),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, UNKNOWN),
        ({"Fn::Select": [1, ["a", {"Ref": "Level"}]]}, "INFO"),
        ({"Fn::Select": ["0", {"Fn::Split": ["-", {"Ref": "AWS::Region"}]}]}, "eu"),
        ({"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "Queue"}]}]}, UNKNOWN),
        ({"Fn::Join": ["-", ["a", {"Ref": "Level"}, 7]]}, "a-INFO-7"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Queue"}]]}, UNKNOWN),
        ({"Fn::Sub": "${AWS::StackName}-${Level}-${!Level}"}, "shop-INFO-${Level}"),
        ({"Fn::Sub": ["${Own}/${Level}", {"Own": {"Ref": "AWS::Region"}}]}, "eu-central-1/INFO"),
        ({"Fn::Sub": "${Queue.Arn}"}, UNKNOWN),
        ({"Fn::FindInMap": ["VisibilityFor", "60", "Seconds"]}, 420),
        ({"Fn::If": ["IsDebug", "yes", {"Ref": "Level"}]}, "INFO"),
        ({"a": {"Fn::If": ["IsNamed", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}, 2]}, {"b": [2]}),
        ({"Type": "Api", "Properties": {"Path": "/"}}, {"Type": "Api", "Properties": {"Path": "/"}}),
    ],
)
def test_a_function_is_worked_out_with_the_defaults(value: object, worked_out: object) -> None:
    assert intrinsics().resolve(value) == worked_out


def test_a_given_parameter_comes_before_its_default_also_inside_of_conditions() -> None:
    given = intrinsics(Level="DEBUG", Name="x")
    assert given.resolve({"Fn::If": ["IsDebug", "yes", "no"]}) == "yes"
    assert given.resolve({"Fn::FindInMap": ["VisibilityFor", {"Fn::If": ["Both", "30", "60"]}, "Seconds"]}) == 240


@pytest.mark.parametrize(
    ("name", "level", "both", "either"),
    [("", "INFO", False, False), ("x", "INFO", False, True), ("", "DEBUG", False, True), ("x", "DEBUG", True, True)],
)
def test_a_condition_may_refer_to_other_conditions(name: str, level: str, both: bool, either: bool) -> None:
    given = intrinsics(Name=name, Level=level)
    assert (given.condition("Both"), given.condition("Either")) == (both, either)


def test_a_number_is_compared_as_the_text_that_a_parameter_is() -> None:
    assert not intrinsics().condition("IsCounted")
    assert intrinsics(Number="3").condition("IsCounted")


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nobody"},
        # A parameter without a default and without a value.
        {"Ref": "Asked"},
        {"Fn::If": ["NoSuch", 1, 2]},
        {"Fn::If": ["AsksAResource", 1, 2]},
        {"Fn::If": ["Odd", 1, 2]},
        {"Fn::ImportValue": "x"},
        {"Fn::Sub": "${Nobody}"},
    ],
)
def test_an_unknown_value_is_an_error_and_no_guess(value: object) -> None:
    with pytest.raises(IntrinsicError):
        intrinsics().resolve(value)


def test_a_parameter_that_the_template_lacks_is_an_error() -> None:
    with pytest.raises(IntrinsicError, match="no parameter Nmae"):
        intrinsics(Nmae="x")
