"""Read what an audit compares: Stripe's lists, and the records of the StateTable."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING

from stripe_to_segment.errors import ConfigurationError
from stripe_to_segment.stripe_api.lists import FIRST, Part
from stripe_to_segment.stripe_side.listing import states_something

if TYPE_CHECKING:
    from collections.abc import Callable

    from stripe_to_segment.auditing.truth import Truth
    from stripe_to_segment.state.claim import Receipt
    from stripe_to_segment.state.dynamodb import DynamoStore
    from stripe_to_segment.state.profile import Profile
    from stripe_to_segment.stripe_api.lists import Lists

__all__ = ["KINDS", "Records", "Span", "read_lists", "read_records", "span_of", "two_months"]

DAY = 86_400
# So many days after it was made an invoice may still be paid, and is then one of the month in which it was.
UNPAID_DAYS = 400
# Coupons and customers first: they have the discounts of subscriptions.
STEPS = (("coupon", "customer"), ("subscription", "invoice", "checkout.session", "payment_intent", "refund", "dispute"))
KINDS = tuple(kind for step in STEPS for kind in step)
NOW = frozenset({"coupon", "customer", "subscription"})
"""What is listed as it is now, of whatever month the audit is."""
# Parts of a list are read at once; each ends so many days before the end of the list. The newest years have the most.
CUTS = (180, 365, 730, 1460)
# As many as keep to the rate where Stripe takes most of a second for a page.
THREADS = 16


@dataclass(frozen=True, slots=True)
class Span:
    """The time of the lists of what happened once, in epoch seconds; what exists `now` is listed from 2010 on."""

    since: int
    until: int
    now: int

    def parts(self, kind: str) -> list[Part]:
        """The parts of a kind's list."""
        since, until = (FIRST, self.now + 1) if kind in NOW else (self.since, self.until)
        cuts = [since, *(at for days in reversed(CUTS) if (at := until - days * DAY) > since), until]
        return [Part(kind, *ends) for ends in pairwise(cuts)]


def span_of(now: int, first: str = "", last: str = "") -> Span:
    """The time of the lists: all, or for months such as 2026-10 what was made in them, or may be paid in them.

    Raises ConfigurationError.
    """
    if not first:
        return Span(FIRST, now + 1, now)
    start, end = _month(first)[0], _month(last or first)[1]
    if start > now:
        raise ConfigurationError(f"{first} has not begun")
    return Span(start - UNPAID_DAYS * DAY, min(end, now + 1), now)


def two_months(now: int) -> tuple[str, str]:
    """The last month and this one (UTC), such as 2026-10."""
    first = datetime.fromtimestamp(now, UTC).replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}", f"{first:%Y-%m}"


def _month(name: str) -> tuple[int, int]:
    """The first second of a month, and that of the next one (UTC)."""
    if not re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", name):
        raise ConfigurationError(f"{name!r} is no month such as 2026-10")
    year, month = map(int, name.split("-"))
    ends = datetime(year, month, 1, tzinfo=UTC), datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return int(ends[0].timestamp()), int(ends[1].timestamp())


def read_lists(lists: Lists, truth: Truth, span: Span, report: Callable[[str], None]) -> None:
    """Read Stripe's lists into the truth, several at once; it then is closed.

    `report` gets the numbers so far after every page, in the thread that has read it; what it raises ends the reading.
    Raises as `Lists.page` does.
    """
    lock, listed = Lock(), Counter[str]()

    def read(part: Part) -> None:
        for page in lists.pages(part):
            objects = [one for one in page if states_something(one)]
            if part.kind == "subscription":
                objects = [lists.whole(one) for one in objects]
            with lock:
                for one in objects:
                    truth.take(one)
                listed[part.kind] += len(objects)
                report(", ".join(f"{count:,} {kind}" for kind, count in listed.items()))

    for kinds in STEPS:
        with ThreadPoolExecutor(THREADS) as pool:
            jobs = [pool.submit(read, part) for kind in kinds for part in span.parts(kind)]
            try:
                for job in as_completed(jobs):
                    job.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
    truth.close()


@dataclass(slots=True)
class Records:
    """All records of the StateTable, the receipts of their deliveries, and the keys of those that cannot be read."""

    profiles: list[Profile] = field(default_factory=list)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)


def read_records(store: DynamoStore, report: Callable[[str], None]) -> Records:
    """Scan the StateTable; `report` gets the number of customers after each. Raises StoreUnavailableError."""
    found = Records()
    for kept in store.everything():
        if kept.unreadable and kept.kind == "profile":
            found.unreadable.add(kept.key)
        elif kept.profile is not None:
            found.profiles.append(kept.profile)
            report(f"{len(found.profiles):,} customers")
    found.receipts = store.receipts({each.delivery for each in found.profiles if each.delivery and each.claims})
    return found
