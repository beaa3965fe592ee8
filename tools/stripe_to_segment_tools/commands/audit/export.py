"""Read Stripe's own export "MRR per subscriber per month".

Stripe's documentation names the report and not its columns
(https://docs.stripe.com/billing/subscriptions/analytics), so they are found by name: a column for the customer's id,
and either one for the month and one for the mrr, or one for each month. Amounts are in major units.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["BadExportError", "Line", "read_export"]

CUSTOMER = ("customer_id", "customer", "subscriber_id", "subscriber")
MONTH = ("month", "month_end", "period", "date")
MRR = ("mrr", "monthly_recurring_revenue", "mrr_amount", "amount")
CURRENCY = ("currency", "mrr_currency")
# A name that more words may follow.
BEGINNINGS = frozenset({"month", "mrr"})
# The currency in mrr_usd or mrr_in_usd.
CODE = re.compile(r"^mrr_(?:in_)?([a-z]{3})$")
SEPARATORS = ",;\t"
# So many lines may stand above the header.
PREFACE = 20
# Lines that are of no customer.
NOBODY = frozenset({"", "total"})
NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: f"{number:02}" for number, name in enumerate(NAMES, 1)}
EXPECTED = (
    "a column for the customer's id (customer_id), and either the columns month and mrr, or one column for each month "
    "(2026-10, Oct 2026); a column currency is read where there is one"
)


class BadExportError(Exception):
    """The file is no such export; the text says what is expected."""


@dataclass(frozen=True, slots=True)
class Line:
    """One customer's mrr at the end of a month (2026-10), in major units of a lower-case currency, if one is named."""

    customer: str
    month: str
    mrr: Decimal
    currency: str = ""


def read_export(path: Path) -> list[Line]:
    """The lines of the file, whatever separates its columns and stands above them. Raises BadExportError.

    Rows of one customer, month and currency, as of several subscriptions, are one line.
    """
    rows = _rows(path)
    if not rows:
        raise BadExportError(f"it is empty; expected is {EXPECTED}")
    columns = next(filter(None, map(_columns_of, rows[:PREFACE])), None)
    if columns is None:
        raise BadExportError(f"its columns are {', '.join(rows[0])}; expected is {EXPECTED}")
    found: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    first = next(number for number, row in enumerate(rows, start=1) if _columns_of(row) is not None)
    for number, row in enumerate(rows[first:], start=first + 1):
        if not any(row):
            continue
        if len(row) != len(rows[first - 1]):
            raise BadExportError(f"line {number} has {len(row)} columns, and the header has {len(rows[first - 1])}")
        if (customer := row[columns.customer].strip()).lower() not in NOBODY:
            for month, amount, currency in columns.read(row, number):
                found[customer, month, currency] += amount
    return [Line(customer, month, amount, currency) for (customer, month, currency), amount in found.items()]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The places of the columns; `months` are those of a wide table, by place."""

    customer: int
    currency: int | None
    code: str
    month: int
    mrr: int
    months: dict[int, str]

    def read(self, row: Sequence[str], number: int) -> Iterator[tuple[str, Decimal, str]]:
        """The months of a row, each with the mrr and the currency."""
        code = row[self.currency].strip().lower() if self.currency is not None else self.code
        if not re.fullmatch(r"([a-z]{3})?", code):
            raise BadExportError(f"line {number} has {code!r} in place of a currency such as usd")
        cells = self.months or {self.mrr: _month(_plain(row[self.month]))}
        for place, month in cells.items():
            if not month:
                raise BadExportError(f"line {number} has no month, such as 2026-10 or Oct 2026")
            yield month, _amount(row[place], number), code


def _columns_of(row: Sequence[str]) -> _Columns | None:
    """The columns, if this row is their header."""
    header = [_plain(name) for name in row]
    customer, month, mrr = _place(header, CUSTOMER), _place(header, MONTH), _place(header, MRR)
    months = {place: at for place, name in enumerate(header) if (at := _month(name))}
    if customer is None or not (months or (month is not None and mrr is not None)):
        return None
    named = CODE.search(header[mrr]) if mrr is not None else None
    return _Columns(customer, _place(header, CURRENCY), named[1] if named else "", month or 0, mrr or 0, months)


def _rows(path: Path) -> list[list[str]]:
    try:
        content = path.read_bytes()
        text = content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
        read = [[*csv.reader(io.StringIO(text, newline=""), delimiter=mark)] for mark in SEPARATORS]
    except UnicodeDecodeError as error:
        raise BadExportError("it is not in UTF-8, as Stripe writes it") from error
    except (OSError, csv.Error) as error:
        raise BadExportError(f"it cannot be read as CSV: {error}") from error
    # The separator that shows a header; decimal commas may be as many as the columns.
    headers = [[row for row in rows[:PREFACE] if _columns_of(row) is not None] for rows in read]
    found = [rows for rows, header in zip(read, headers, strict=True) if header]
    return max(found or read, key=lambda rows: max(map(len, rows[:PREFACE]), default=0))


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The column with the first of these names, or with one that begins so: mrr_usd, month_ending."""
    for name in names:
        for place, each in enumerate(header):
            if each == name or (name in BEGINNINGS and each.startswith(f"{name}_")):
                return place
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _month(name: str) -> str:
    """The month in 2026_10, 2026_10_31, 2026_10_31t00_00_00z, 10_2026, 10_31_2026, oct_26, october_31_2026; else ''."""
    if numbers := re.match(r"^(20\d\d)_(0?[1-9]|1[0-2])(_\d\d?([t_]\d.*)?)?$", name):
        return f"{numbers[1]}-{int(numbers[2]):02}"
    if numbers := re.match(r"^(?:(0?[1-9]|1[0-2])_)(?:\d\d?_)?(20\d\d)$", name):
        return f"{numbers[2]}-{int(numbers[1]):02}"
    if words := re.match(r"^(?:\d\d?_)?([a-z]{3})[a-z]*_(?:\d\d?_)?(?:20)?(\d\d)$", name):
        number = MONTHS.get(words[1])
        return f"20{words[2]}-{number}" if number else ""
    return ""


def _amount(cell: str, number: int) -> Decimal:
    """An amount such as 1,234.56, 1.234,56 €, (12.00) or -; nothing is 0."""
    plain = re.sub(r"[^0-9.,-]", "", cell.replace("\u2212", "-")).strip("-" if not re.search(r"\d", cell) else "")
    whole = re.fullmatch(r"-?\d{1,3}([.,])\d{3}(\1\d{3})*", plain)
    if whole and (whole[1] == "," or whole[2]):
        plain = plain.replace(whole[1], "")
    elif "," in plain and plain.rfind(",") > plain.rfind("."):
        plain = plain.replace(".", "").replace(",", ".")
    else:
        plain = plain.replace(",", "")
    # A currency stands before or after the digits: a word alone is no amount, nor is 1.2E+3.
    word = re.search(r"\d.*[^\W\d_].*\d", cell) or (not plain and re.search(r"\w", cell))
    try:
        amount = Decimal("no amount" if word else plain or 0)
    except InvalidOperation:
        raise BadExportError(f"line {number} has {cell!r} in place of an amount such as 1,234.56") from None
    return -amount if re.fullmatch(r"\s*\(.*\)\s*", cell) else amount
