"""Text that others may have written, made fit to be shown, to name a file, and to stand in a spreadsheet."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

__all__ = ["file_name", "printable", "spreadsheet_cell", "write_table"]

UNPRINTABLE = ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")
"""Categories of characters that are not shown: control characters, among them those that begin the commands of a terminal, halves
of surrogate pairs, code points without a character, line and paragraph separators."""
DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They make what follows look as if it stood elsewhere."""
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that a spreadsheet takes for a formula."""


def printable(text: str, keep: str = "") -> str:
    r"""Return `text` with an escape sequence for every character that is not shown as itself, but those of `keep`.

    Examples
    --------
    >>> printable("EW \x1b[2J")
    'EW \\x1b[2J'
    """
    if text.isprintable():  # stricter than this function, and fast
        return text
    return "".join(
        c
        if c in keep or (unicodedata.category(c) not in UNPRINTABLE and c not in DIRECTIONS)
        else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )


def file_name(text: str) -> str:
    """Return `text` as part of a file's name: of letters, digits and ``_.-`` alone, the first of them a letter or a digit.

    Examples
    --------
    >>> file_name("../../my sweep")
    'my-sweep'
    >>> file_name("~")
    'unnamed'
    """
    return re.sub(r"[^\w.-]+", "-", text).strip("._-")[:100] or "unnamed"


def spreadsheet_cell(value: Any) -> Any:
    """Return a value as a cell of a CSV file: a text that a spreadsheet would take for a formula has an apostrophe before it.

    Numbers stay what they are.

    Examples
    --------
    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("EW"), spreadsheet_cell(-1.5)
    ("'=1+1", 'EW', -1.5)
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def write_table(file: IO[str], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a CSV table whose texts no spreadsheet takes for formulas, and return its number of rows.

    Parameters
    ----------
    file : text file
        Opened with ``newline=""`` where lines end otherwise than with a line feed.
    columns : sequence of str
    rows : iterable of mapping
        By column; a column that is missing is empty. Floats keep all their digits.
    """
    writer, count = csv.DictWriter(file, columns, lineterminator="\n"), 0
    writer.writeheader()
    for row in rows:
        writer.writerow({name: spreadsheet_cell(value) for name, value in row.items()})
        count += 1
    return count
