"""The kinds of requests that a public webhook endpoint receives: Stripe's own, and imitations of them.

A case depends on its number alone, so that the number reproduces it.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from tests.door import strangers, stripes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.door.requests import Case

__all__ = ["KINDS", "a_case"]

KINDS: tuple[Callable[[Random], Case], ...] = (
    stripes.signed,
    stripes.several_signatures,
    strangers.joined_headers,
    stripes.header_in_any_case,
    stripes.strange_letters,
    stripes.duplicate_keys,
    stripes.rotation,
    stripes.of_a_mode,
    stripes.queue_refuses,
    stripes.no_secret,
    stripes.bent,
    stripes.large,
    stripes.thin,
    stripes.not_an_event,
    stripes.no_number,
    stripes.deep,
    stripes.other_encoding,
    strangers.forged,
    strangers.no_signature,
    strangers.other_scheme,
    strangers.changed,
    strangers.truncated,
    strangers.written_anew,
    strangers.replayed,
    strangers.from_the_future,
    strangers.moved_in_time,
    strangers.strange_header,
    strangers.huge_header,
    strangers.blanks_around_the_header,
    strangers.wrong_base64,
    strangers.lie_about_base64,
    strangers.no_text_for_a_body,
)


def a_case(number: int) -> Case:
    """The case with this number; the kinds take turns."""
    make = KINDS[number % len(KINDS)]
    return replace(make(Random(number)), kind=make.__name__.replace("_", " "))
