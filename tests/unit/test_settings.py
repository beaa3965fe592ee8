"""A setting that cannot be used is refused with its name and what it takes."""

from __future__ import annotations

import pytest

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.settings import Settings, settings_from


@pytest.mark.parametrize("name", ["USER_ID_KEYS", "user_id_keys", "UserIdKeys"])
def test_a_setting_may_be_written_as_variable_field_or_parameter(name: str) -> None:
    assert settings_from({name: "a, b"}).user_id_keys == ("a", "b")


def test_an_empty_text_is_the_default() -> None:
    assert settings_from({"SEGMENT_ENDPOINT": "", "DELIVERY_MODE": " "}) == Settings()


def test_an_empty_list_of_personal_traits_means_none() -> None:
    assert settings_from({"PERSONAL_TRAITS": ""}).personal_traits == ()


@pytest.mark.parametrize(
    ("name", "value", "takes"),
    [
        ("DELIVERY_MODE", "sned", "send, log"),
        ("COMPRESS_REQUESTS", "true", "auto, on, off"),
        ("STRIPE_MODE", "prod", "live, test, both"),
        ("UNKNOWN_USER_POLICY", "drop", "anonymous, customer_id, skip"),
        ("IDENTITY_HOLD_SECONDS", "soon", "whole seconds"),
        ("IDENTITY_HOLD_SECONDS", "-1", "whole seconds"),
        ("HASH_EMAIL", "maybe", "true or false"),
        ("SEGMENT_ENDPOINT", "http://api.segment.io", "https://"),
        ("SEGMENT_ENDPOINT", "api.segment.io", "https://"),
        # The example was that of another setting, {"All": true}.
        ("RENAME_EVENTS", "Order Completed=Purchase", 'JSON object of names such as {"Order Completed": '),
        ("RENAME_EVENTS", "[]", "JSON object of names"),
        ("CHECKOUT_CONSENT", "{", "Advertising"),
        ("ATTRIBUTION_KEYS", "{", "client_ip"),
        ("RENAME_EVENTS", '{"Order Completed": 1}', "JSON object of names"),
        ("INTEGRATIONS", "{", "JSON object"),
    ],
)
def test_a_wrong_value_is_refused_with_the_allowed_values(name: str, value: str, takes: str) -> None:
    """For what is no JSON at all the example of INTEGRATIONS was shown for every setting."""
    with pytest.raises(ConfigurationError, match=takes) as refused:
        settings_from({name: value})
    assert name in str(refused.value)


def test_an_unknown_name_is_refused_on_a_command_line_and_passed_over_in_an_environment() -> None:
    assert settings_from({"PATH": "/usr/bin"}) == Settings()
    with pytest.raises(ConfigurationError, match="PATH is not a setting"):
        settings_from({"PATH": "/usr/bin"}, strict=True)


@pytest.mark.parametrize(
    "given", ["https://events.eu1.segmentapis.com/v1/batch", "https://events.eu1.segmentapis.com/"]
)
def test_a_whole_batch_address_is_taken_for_its_host(given: str) -> None:
    assert settings_from({"SEGMENT_ENDPOINT": given}).segment_endpoint == "https://events.eu1.segmentapis.com"


@pytest.mark.parametrize(
    ("base", "aws", "sent"),
    [
        ("", "", True),
        ("https://api.stripe.com/", "", True),
        ("https://api.stripe.com/v1", "http://127.0.0.1:4566", True),
        ("https://api.stripe.com.example.com", "", False),
        ("https://stripe.example.com", "http://127.0.0.1:4566", False),
        ("http://127.0.0.1:12111", "", False),
        ("http://127.0.0.1:12111", "https://vpce-1.sqs.eu-central-1.vpce.amazonaws.com", False),
        ("http://localhost:12111", "http://127.0.0.1:4566", True),
    ],
)
def test_the_api_key_goes_to_stripe_and_here_only_where_aws_is_here_too(
    monkeypatch: pytest.MonkeyPatch, base: str, aws: str, *, sent: bool
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    assert settings_from({"STRIPE_API_BASE": base}).sends_api_key is sent
    assert settings_from({"STRIPE_API_BASE": base, "TRUST_STRIPE_API_BASE": "true"}).sends_api_key


@pytest.mark.parametrize(
    ("endpoint", "by_default"),
    [
        ("", True),
        ("https://api.segment.io/v1", True),
        ("https://API.segment.io:443", True),
        ("https://events.eu1.segmentapis.com", True),
        ("https://example.dataplane.rudderstack.com", False),
        ("https://cdp.customer.io", False),
        ("https://api.segment.io.example.com", False),
        ("https://example.com/api.segment.io", False),
        ("http://127.0.0.1:9000", False),
    ],
)
def test_requests_are_compressed_by_default_for_segment_and_for_nobody_else(endpoint: str, *, by_default: bool) -> None:
    for choice, compresses in {"": by_default, "auto": by_default, "on": True, "off": False}.items():
        assert settings_from({"SEGMENT_ENDPOINT": endpoint, "COMPRESS_REQUESTS": choice}).compresses is compresses


def test_plain_http_is_for_this_machine_only() -> None:
    assert settings_from({"SEGMENT_ENDPOINT": "http://127.0.0.1:9000"}).segment_endpoint == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    "address",
    ["https://key:rotten@segment.example", "https://segment.example?writeKey=rotten", "rotten", "https://[rotten"],
)
def test_an_address_that_is_refused_is_not_quoted(address: str) -> None:
    """A function that cannot start logs why, and an address may hold a password or a key."""
    with pytest.raises(ConfigurationError, match="SEGMENT_ENDPOINT") as refused:
        settings_from({"SEGMENT_ENDPOINT": address})
    assert "rotten" not in str(refused.value)
