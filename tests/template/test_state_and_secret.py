"""What is kept is kept safely."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
    table = template.properties("StateTable")
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_the_state_table_is_protected_unless_the_user_says_otherwise(template: Template) -> None:
    assert template.properties("StateTable")["DeletionProtectionEnabled"] == {
        "Fn::If": ["StateIsProtected", True, False]
    }
    assert template.body["Conditions"]["StateIsProtected"] == {"Fn::Equals": [{"Ref": "ProtectState"}, "true"]}
    assert template.default("ProtectState") == "true"


def test_what_holds_data_is_kept_when_an_update_replaces_it(template: Template) -> None:
    for name in ("StateTable", "ConnectionsSecret", "EventsQueue", "DeadLetterQueue"):
        assert template.resources[name]["UpdateReplacePolicy"] == "Retain", name


def test_the_secret_is_created_with_every_name_and_no_value(template: Template) -> None:
    assert json.loads(template.properties("ConnectionsSecret")["SecretString"]) == {
        "stripe_signing_secrets": [],
        "segment_write_key": "",
        "segment_test_write_key": "",
        "stripe_api_key": "",
    }


def test_the_secrets_first_text_never_changes(template: Template) -> None:
    """CloudFormation writes the secret when this text changes, by a space even, over what the user filled in."""
    assert template.properties("ConnectionsSecret")["SecretString"] == (
        '{"stripe_signing_secrets": [], "segment_write_key": "", "segment_test_write_key": "", "stripe_api_key": ""}'
    )


def test_no_parameter_takes_a_secret(template: Template) -> None:
    """A parameter's value can be read in the stack's description, and in every function that gets it."""
    for name in template.body["Parameters"]:
        assert not name.endswith(("Secret", "WriteKey", "ApiKey", "Token")), name
