"""`--users`: a file of the merchant that names the user, and the group, of each Stripe customer."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from stripe_to_segment.mapping.identity import NO_VALUE
from stripe_to_segment.stripe_side.fields import metadata_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from stripe_to_segment.settings import Settings
    from stripe_to_segment.stripe_side.fields import JsonObject

__all__ = ["BadUsersError", "Users", "read_users"]

HEADERS = (["customer", "user"], ["customer", "user", "group"])
EXPECTED = (
    "a first line customer,user or customer,user,group, with commas, and below it one line for each Stripe customer"
)
SHOWN = 20
# Of a value in metadata. https://docs.stripe.com/metadata
LONGEST = 500
SHOWN_CHARACTERS = 60
# What a spreadsheet or a data frame makes of a long number: users of the same first digits become one.
ROUNDED = re.compile(r"\d+([.,]\d+)?[Ee]\+\d+")

# In a file they are refused in whatever case: the person who runs the command can say what is meant.
NOBODY = frozenset(word.lower() for word in NO_VALUE)


class BadUsersError(Exception):
    """The file cannot be used; each line of the message names a line of the file, and what is expected there."""


class Row(NamedTuple):
    """The user and the group of a customer; an empty group means no group."""

    user: str
    group: str


@dataclass(slots=True)
class Users:
    """The rows by customer.

    `user_keys` and `group_keys` are the keys of metadata that the stack reads, in the order in which they count.
    `unseen` are the customers that were not listed yet, `others` those whose metadata names another user, which counts.
    """

    rows: dict[str, Row]
    digest: str
    user_keys: tuple[str, ...]
    group_keys: tuple[str, ...]
    unseen: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)

    def named(self, customer: JsonObject) -> JsonObject:
        """The customer, with the user and the group in its metadata unless the metadata names some."""
        row = self.rows.get(str(customer.get("id")))
        if row is None:
            return customer
        stated, name = self.stated(customer), str(customer["id"])
        # A level that sends lists the customers again.
        if name in self.unseen and stated.user not in {"", row.user}:
            self.others.append(name)
        self.unseen.discard(name)
        given = {} if stated.user else {self.user_keys[0]: row.user}
        given |= {} if stated.group or not row.group else {self.group_keys[0]: row.group}
        return {**customer, "metadata": {**metadata_of(customer), **given}}

    def stated(self, customer: JsonObject) -> Row:
        """The user and the group that the metadata of a customer names, empty where it names none."""
        metadata = metadata_of(customer)
        keys = self.user_keys, self.group_keys
        return Row(*(next((metadata[key] for key in each if key in metadata), "") for each in keys))


def read_users(path: Path, settings: Settings) -> Users:
    """Read the file. Raises BadUsersError with every line that cannot be used."""
    if not settings.user_id_keys:
        raise BadUsersError("this stack's UserIdKeys is empty, so no customer can have a user")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadUsersError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadUsersError(f"line {line}: not UTF-8; save the file as CSV in UTF-8") from None
    rows, wrong = _rows(text)
    if wrong:
        more = [f"and {len(wrong) - SHOWN} more lines"] if len(wrong) > SHOWN else []
        raise BadUsersError("\n".join([*wrong[:SHOWN], *more]))
    if not settings.group_id_keys and any(row.group for row in rows.values()):
        raise BadUsersError("this stack's GroupIdKeys is empty, so it knows no groups: leave the column out")
    digest = hashlib.sha256(raw).hexdigest()[:16]
    return Users(rows, digest, settings.user_id_keys, settings.group_id_keys, {*rows})


def _rows(text: str) -> tuple[dict[str, Row], list[str]]:
    # Strict: a quote that is never closed would take in the rest of the file.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, Row] = {}
    first: dict[str, int] = {}
    wrong: list[str] = []
    line = 1
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if header not in HEADERS:
            return {}, [f"line 1: {','.join(header)[:SHOWN_CHARACTERS]!r}; expected is {EXPECTED}"]
        line = reader.line_num + 1
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if any(values):
                if why := next(_faults(values, header, first), ""):
                    wrong.append(f"line {line}: {why}")
                else:
                    customer, user, group = (*values, "")[:3]
                    rows[customer], first[customer] = Row(user, group), line
            line = reader.line_num + 1
        if not (rows or wrong):
            wrong.append(f"line {line}: the file names no customer; expected is {EXPECTED}")
    except csv.Error as error:
        wrong.append(f"line {line}: {error}; expected are ids, with each quote closed")
    return rows, wrong


def _faults(values: list[str], header: list[str], first: Mapping[str, int]) -> Iterator[str]:
    """Why a line cannot be used, and what is expected. `first` has the lines of the customers before it."""
    if len(values) != len(header):
        yield f"{len(values)} columns; expected are {len(header)}: {','.join(header)}"
    customer, *ids = values
    if not customer.startswith("cus_"):
        yield f"{customer[:SHOWN_CHARACTERS]!r} is not the id of a Stripe customer; expected is cus_…"
    if (longest := max(map(len, ids))) > LONGEST:
        yield f"an id of {longest} characters; expected are at most {LONGEST}"
    if not all(map(str.isprintable, values)):
        yield f"{customer} has an invisible character in its line; expected are ids that can be read"
    if rounded := next(filter(ROUNDED.fullmatch, ids), ""):
        yield f"{rounded!r} is a long number as a spreadsheet shows it; expected is the whole id"
    if nothing := next((one for one in ids if one.lower() in NOBODY), ""):
        yield f"{nothing!r} is what a program writes for no value; expected is an id"
    if not ids[0]:
        yield f"{customer} has no user; expected is an id, or no line"
    if customer in first:
        yield f"{customer} is in line {first[customer]} already; expected is one line for each"
