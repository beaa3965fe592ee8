"""The outbox: the calls of an event, saved before they are sent, and the receipt that says which of them arrived."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from stripe_to_segment.frozen import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_CLAIM", "Claim", "Receipt"]


@frozen
class Claim:
    """The calls of one event, saved before they are sent, so that a retry sends the same bytes.

    `tracks` holds the encoded track calls by their deduplication keys. Identify and group calls are not kept word for
    word, because a retry sends the traits of that moment: `shows` says that the event sends an identify with the
    traits, `joins` one that joins the history under the fallback id to the user, `groups` a group call. `left_user` and
    `left_group` are the former user and group of the customer, who get a call with what is left. `kinds` holds, for
    each track in its order, the letter of the sum that it adds to (`sums.Kind`), empty where their names say it. `day`
    is the day of the first attempt. `given_up` means that Segment refused the calls: a redrive maps the event anew and
    keeps only the `mrr_change`, which followed from the record of that time. `tries` is the number of earlier attempts.
    """

    tracks: Mapping[str, str] = field(default_factory=dict)
    shows: bool = False
    joins: bool = False
    groups: bool = False
    left_user: str = ""
    left_group: str = ""
    kinds: str = ""
    given_up: bool = False
    day: int = 0
    tries: int = 0


# In place of the claim of an event that has none.
NO_CLAIM = Claim()


@frozen
class Receipt:
    """The result of one delivery, as deduplication keys of track calls and events.

    They arrived, were refused for good (`given_up`) or are not wanted by the endpoint (`unwanted`). `unreadable` is the
    reason why a stored receipt cannot be read, empty where it can be.
    """

    arrived: frozenset[str] = frozenset()
    given_up: frozenset[str] = frozenset()
    unwanted: frozenset[str] = frozenset()
    unreadable: str = ""
