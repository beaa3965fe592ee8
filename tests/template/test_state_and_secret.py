"""What is kept is kept safely."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from stripe_to_segment.secrets import KEY_FIELDS, Keys, SigningSecrets, read_keys, read_signing_secrets

if TYPE_CHECKING:
    from tests.template.conftest import Template


def test_the_state_table_has_one_key_and_is_paid_per_request(template: Template) -> None:
    table = template.properties("StateTable")
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "pk", "AttributeType": "S"}]
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_old_facts_expire(template: Template) -> None:
    """The attribute's name is the one that the package's store writes; spelled another way nothing would expire."""
    assert template.properties("StateTable")["TimeToLiveSpecification"] == {
        "AttributeName": "expires_at",
        "Enabled": True,
    }


def test_the_state_table_can_be_restored_to_a_point_in_time_and_is_encrypted(template: Template) -> None:
    table = template.given().properties("StateTable")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    own = template.given(KmsKeyArn="arn:aws:kms:…:key/1").properties("StateTable")
    assert own["SSESpecification"] == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}


def test_a_first_deployment_that_fails_takes_the_state_table_back(template: Template) -> None:
    """The table was protected from its first moment: the rollback failed at it, and so did each further deployment."""
    assert template.resources["StateTable"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template.default("ProtectState") == "false"


def test_nothing_else_outlives_a_first_deployment_that_fails(template: Template) -> None:
    """But Lambda's versions, which SAM retains, and which go with their function."""
    kept = {name for name, found in template.resources.items() if found.get("DeletionPolicy", "Delete") != "Delete"}
    versions = {name for name in kept if template.resources[name]["Type"] == "AWS::Lambda::Version"}
    assert kept - versions == {"StateTable"}
    assert len(versions) == 3


def test_the_state_table_is_protected_where_the_user_says_so(template: Template) -> None:
    assert template.properties("StateTable")["DeletionProtectionEnabled"] == {
        "Fn::If": ["StateIsProtected", True, False]
    }
    assert template.body["Conditions"]["StateIsProtected"] == {"Fn::Equals": [{"Ref": "ProtectState"}, "true"]}


def test_what_holds_data_is_kept_when_an_update_replaces_it(template: Template) -> None:
    for name in ("StateTable", "ConnectionsSecret", "KeysSecret", "EventsQueue", "DeadLetterQueue"):
        assert template.resources[name]["UpdateReplacePolicy"] == "Retain", name


def test_the_keys_are_created_with_every_name_and_no_value(template: Template) -> None:
    first = template.properties("KeysSecret")["SecretString"]
    assert json.loads(first) == dict.fromkeys(KEY_FIELDS, "")
    assert read_keys(first) == Keys()


def test_the_signing_secrets_first_version_opens_nothing(template: Template) -> None:
    assert read_signing_secrets(template.properties("ConnectionsSecret")["SecretString"]) == SigningSecrets()


FIRST_TEXTS = {
    "ConnectionsSecret": '{"stripe_signing_secrets": [], '
    '"segment_write_key": "", "segment_test_write_key": "", "stripe_api_key": ""}',
    "KeysSecret": '{"segment_write_key": "", "segment_test_write_key": "", "stripe_api_key": "", '
    '"client_reference_key": ""}',
}
DESCRIPTIONS = {
    "ConnectionsSecret": "Stripe signing secrets and Segment write keys of ${AWS::StackName}. Fill in after deploying.",
    "KeysSecret": "Segment write keys and Stripe API key of ${AWS::StackName}. Fill in after deploying.",
}


@pytest.mark.parametrize("name", FIRST_TEXTS)
def test_a_secrets_first_text_and_its_description_never_change(template: Template, name: str) -> None:
    """CloudFormation writes the secret when this text changes, by a space even, over what the user filled in.

    Whether it does so when the description changes is not documented, so that stays as it is too.
    """
    assert template.given().properties(name) == {
        "Description": {"Fn::Sub": DESCRIPTIONS[name]},
        "SecretString": FIRST_TEXTS[name],
    }


def test_a_key_of_ones_own_encrypts_both_secrets(template: Template) -> None:
    own = template.given(KmsKeyArn="arn:aws:kms:…:key/1")
    assert {each["KmsKeyId"]["Ref"] for each in own.of_type("AWS::SecretsManager::Secret").values()} == {"KmsKeyArn"}
    assert len(own.of_type("AWS::SecretsManager::Secret")) == 2


def test_no_parameter_takes_a_secret(template: Template) -> None:
    """A parameter's value can be read in the stack's description, and in every function that gets it."""
    for name in template.body["Parameters"]:
        assert not name.endswith(("Secret", "WriteKey", "ApiKey", "Token")), name
