"""Copies of frozen values."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from stripe_to_segment.copying import copied
from stripe_to_segment.mapping.facts import Known
from stripe_to_segment.state.profile import Profile


@pytest.mark.parametrize("value", [Profile("own:live:cus_1", user_id="u"), Known(Profile("own:live:cus_1"))])
def test_a_copy_is_what_dataclasses_makes_and_leaves_the_value_alone(value: Profile | Known) -> None:
    for field in fields(value):
        before = getattr(value, field.name)
        changes: dict[str, Any] = {field.name: "new"}
        assert copied(value, **changes) == replace(value, **changes)
        assert getattr(value, field.name) is before
