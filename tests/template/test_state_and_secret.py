"""The StateTable and the secrets: expiry, encryption, deletion protection and their first contents."""

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


def test_the_state_table_deletes_expired_items(template: Template) -> None:
    """The attribute must be the one that the package's store writes; otherwise nothing would expire."""
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


def test_a_failed_first_deployment_deletes_the_state_table(template: Template) -> None:
    """The table was protected from the start, so the rollback failed, and so did each further deployment."""
    assert template.resources["StateTable"]["DeletionPolicy"] == "RetainExceptOnCreate"
    assert template.default("ProtectState") == "false"


def test_a_failed_first_deployment_leaves_nothing_behind(template: Template) -> None:
    """Except Lambda's versions, which SAM retains, and which are deleted with their function."""
    kept = {name for name, found in template.resources.items() if found.get("DeletionPolicy", "Delete") != "Delete"}
    versions = {name for name in kept if template.resources[name]["Type"] == "AWS::Lambda::Version"}
    assert kept - versions == {"StateTable"}
    assert len(versions) == 4


def test_the_state_table_is_protected_if_the_user_chooses_it(template: Template) -> None:
    assert template.properties("StateTable")["DeletionProtectionEnabled"] == {
        "Fn::If": ["StateIsProtected", True, False]
    }
    assert template.body["Conditions"]["StateIsProtected"] == {"Fn::Equals": [{"Ref": "ProtectState"}, "true"]}


def test_resources_with_data_are_kept_when_an_update_replaces_them(template: Template) -> None:
    for name in ("StateTable", "ConnectionsSecret", "KeysSecret", "EventsQueue", "DeadLetterQueue"):
        assert template.resources[name]["UpdateReplacePolicy"] == "Retain", name


def test_the_keys_are_created_with_every_name_and_no_value(template: Template) -> None:
    first = template.properties("KeysSecret")["SecretString"]
    assert json.loads(first) == dict.fromkeys(KEY_FIELDS, "")
    assert read_keys(first) == Keys()


def test_the_signing_secrets_first_version_has_no_valid_secret(template: Template) -> None:
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
    """If this text changes, even by a space, CloudFormation overwrites the secrets that the user has filled in.

    AWS does not document whether a changed description does that too, so the description must not change either.
    """
    assert template.given().properties(name) == {
        "Description": {"Fn::Sub": DESCRIPTIONS[name]},
        "SecretString": FIRST_TEXTS[name],
    }


def test_the_customers_own_kms_key_encrypts_both_secrets(template: Template) -> None:
    own = template.given(KmsKeyArn="arn:aws:kms:…:key/1")
    assert {each["KmsKeyId"]["Ref"] for each in own.of_type("AWS::SecretsManager::Secret").values()} == {"KmsKeyArn"}
    assert len(own.of_type("AWS::SecretsManager::Secret")) == 2


def test_no_parameter_takes_a_secret(template: Template) -> None:
    """A parameter's value is visible in the stack's description, and in every function that gets it."""
    for name in template.body["Parameters"]:
        assert not name.endswith(("Secret", "WriteKey", "ApiKey", "Token")), name
