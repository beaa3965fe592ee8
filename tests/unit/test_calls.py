"""Calls as they stand on the wire."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from stripe_to_segment.segment_side.calls import NAMESPACE, identifier


@given(st.lists(st.text()))
def test_an_identifier_is_a_uuid_of_version_5_as_python_makes_it(parts: list[str]) -> None:
    assert identifier(*parts) == str(uuid.uuid5(uuid.UUID(bytes=NAMESPACE), "\x1f".join(parts)))
