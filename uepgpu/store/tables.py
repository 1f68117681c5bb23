"""The rows of a store: one class a table, whose name in small letters is the table's and whose fields are its columns.

Numbers that refer to a row of another table are that row's key.
"""

from __future__ import annotations

import functools
import hashlib
import typing
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = [
    "TABLES",
    "TIME_UNIT",
    "Curve",
    "Inventory",
    "Member",
    "Output",
    "Piece",
    "Point",
    "Row",
    "Span",
    "Sweep",
    "Tally",
    "Verdict",
    "columns_of",
    "kinds_of",
    "name_of",
    "row_checksum",
]


Row = tuple[Any, ...]
"""A row of any of the tables below; its first value is its key."""

TIME_UNIT = "time_unit"
"""The option of a sweep that names the unit of its deadlines: a label of all its points, kept apart from what they are known by."""


class Piece(NamedTuple):
    """A text that many rows share: a description, a rule, or what computed a range."""

    key: int
    sha256: bytes
    text: str


class Tally(NamedTuple):
    """What is counted together: one stream of realizations of one problem."""

    key: int
    id: str
    kind: str
    times: int
    classes: int
    subproducts: int
    range_size: int | None  # realizations of about a second, as first estimated


class Span(NamedTuple):
    """A finished range; `checksum` is the CRC-32 of its packed counts, which have a column of their own behind the others."""

    key: int
    tally: int
    start: int
    stop: int
    checksum: int
    seconds: float
    provenance: int
    finished: float


class Point(NamedTuple):
    """A point: a tally with its evaluation. All but `id` and `tally` are pieces."""

    key: int
    id: str
    tally: int
    frame: int
    code: int
    part: int
    workers: int
    deadlines: int


class Sweep(NamedTuple):
    """A specification as it was run; `digest` is of its points and rules, as one text asks for others when a matrix has changed."""

    key: int
    name: str
    title: str
    text: str
    show: str
    options: str
    version: str
    started: float
    digest: str


class Member(NamedTuple):
    """A point of a sweep."""

    key: int
    sweep: int
    position: int
    point: int
    series: str
    partition: str
    rule: int


class Verdict(NamedTuple):
    """What a rule said last of a point."""

    key: int
    point: int
    rule: int
    realizations: int
    stopped: int
    fraction: float
    reason: str


class Curve(NamedTuple):
    """A curve that is kept because it takes time to make; `state` says what it was made from."""

    key: int
    point: int
    state: str
    text: str


class Output(NamedTuple):
    """What a file outside was made from."""

    key: int
    file: str
    state: str


class Inventory(NamedTuple):
    """How many rows a table has, and the exclusive or of their checksums."""

    key: int
    name: str
    rows: int
    checksums: int


TABLES: tuple[type[Row], ...] = (Piece, Tally, Span, Point, Sweep, Member, Verdict, Curve, Output)
"""Those that the inventory is of."""


REFERENCES: dict[type[Row], dict[str, type[Row]]] = {
    Span: {"tally": Tally, "provenance": Piece},
    Point: {"tally": Tally, **dict.fromkeys(("frame", "code", "part", "workers", "deadlines"), Piece)},
    Member: {"sweep": Sweep, "point": Point, "rule": Piece},
    Verdict: {"point": Point, "rule": Piece},
    Curve: {"point": Point},
}
"""Which columns are keys of which table."""


def name_of(table: type[Row]) -> str:
    """Return the name of a table."""
    return table.__name__.lower()


def columns_of(table: type[Row]) -> tuple[str, ...]:
    """Return the columns of a table, its key first."""
    return tuple(table.__annotations__)


@functools.cache
def kinds_of(table: type[Any]) -> tuple[tuple[type, ...], ...]:
    """Return the types that each column of a table may have."""
    hints = typing.get_type_hints(table)
    return tuple(typing.get_args(hints[column]) or (hints[column],) for column in columns_of(table))


def row_checksum(table: type[Row], row: Sequence[Any]) -> int:
    """Return the checksum of a row, its key first: 64 bits of BLAKE2b over the table's name and the row."""
    # ascii() of a tuple of integers, floats, texts and bytes is the same in every version of Python.
    text = f"{name_of(table)}{tuple(row)!a}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)
