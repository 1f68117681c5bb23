"""Named columns of tables in CSV and Parquet files."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import closest, shown

__all__ = ["TABLES", "labels", "latencies", "read_columns"]

TABLES = (".csv", ".parquet")

Column = NDArray[Any]


def read_columns(name: str, file: Path, columns: Sequence[str]) -> list[Column]:
    """Return columns of a ``.csv`` file with a line of names, as texts, or of a ``.parquet`` file, as they are; shape (rows,) each.

    Parameters
    ----------
    name : str
        What errors call it.
    file : Path
    columns : sequence of str

    Raises
    ------
    ValueError
        With one line that says why it cannot be read, or which column it lacks.
    FileNotFoundError
        There is no such file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{name}: no file {shown(str(file))}")
    return _parquet(name, file, columns) if file.suffix.lower() == ".parquet" else _csv(name, file, columns)


def _places(name: str, file: Path, there: list[str], columns: Sequence[str]) -> list[int]:
    for column in columns:
        if column not in there:
            known = f"{shown(there)}{closest(column, there)}"
            raise ValueError(f"{name}: {shown(str(file))} has no column {shown(column)}, only {known}")
        if there.count(column) > 1:
            raise ValueError(f"{name}: {shown(str(file))} has {there.count(column)} columns {shown(column)}")
    return [there.index(column) for column in columns]


def _csv(name: str, file: Path, columns: Sequence[str]) -> list[Column]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.reader(stream)
            there = [column.strip() for column in next(rows, [])]
            places = _places(name, file, there, columns)
            found: list[list[str]] = [[] for _ in columns]
            for row in rows:
                if not row:
                    continue
                if len(row) != len(there):
                    raise ValueError(
                        f"{name}: line {rows.line_num} of {shown(str(file))} has {len(row)} fields, and the first line {len(there)}"
                    )
                for values, place in zip(found, places, strict=True):
                    values.append(row[place].strip())
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{name}: {shown(str(file))} is no CSV file: {' '.join(str(error).split())}") from None
    return [np.array(values, dtype=np.str_) for values in found]


def _parquet(name: str, file: Path, columns: Sequence[str]) -> list[Column]:
    try:
        pa, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ValueError(f'{name}: reading Parquet files needs pyarrow: pip install "uepgpu[export]"') from None
    try:
        there = list(parquet.read_schema(file).names)
        _places(name, file, there, columns)
        table = parquet.read_table(file, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{name}: cannot read {shown(str(file))}: {' '.join(str(error).split())[:160]}") from None
    return [table.column(column).to_numpy() for column in columns]


def latencies(name: str, column: Column) -> NDArray[np.float64]:
    """Return a column of latencies as float64; what is missing is infinite: it never came.

    Raises
    ------
    ValueError
        A value is no number, or negative.
    """
    if column.dtype.kind == "U":
        column = np.where(np.isin(np.char.lower(column), ("", "na", "null", "none")), "nan", column)
    elif column.dtype.kind == "O":
        column = np.array([np.nan if value is None else value for value in column])
    try:
        values = column.astype(np.float64)
    except (ValueError, TypeError):
        bad = next((value for value in column.tolist() if not _is_number(value)), column.dtype)
        raise ValueError(f"{name} must hold numbers, got {shown(bad)}") from None
    if np.any(values < 0):
        raise ValueError(f"{name} must be >= 0, got {shown(values[values < 0][0])}")
    return np.where(np.isnan(values), np.inf, values)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (ValueError, TypeError):
        return False
    return True


def labels(name: str, column: Column) -> NDArray[np.int64]:
    """Return the place of each label among the different ones: in order of number if all are numbers, else of text.

    Raises
    ------
    ValueError
        A label is missing.
    """
    values = column.tolist()
    if any(value is None or value == "" or value != value for value in values):
        raise ValueError(f"{name}: {sum(value in (None, '') or value != value for value in values)} rows have none")
    if all(_is_number(value) for value in values):
        values = [float(value) for value in values]
    _, place = np.unique(np.array(values), return_inverse=True)
    return place.ravel().astype(np.int64)
