"""From tables of a specification to the library's descriptions: partitions and codes."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from uepgpu.checks import closest, shown
from uepgpu.codes import Code
from uepgpu.files import expand
from uepgpu.partition import Partition, load_matrix
from uepgpu.specification.fields import SpecError, TomlTable, number, numbers, one_or_more, text, whole, whole_numbers
from uepgpu.specification.names import CODES

__all__ = ["Read", "code", "file_in", "located", "make", "named", "partition"]

MODEL_KEYS = ("left_variances", "right_variances", "shape", "left_means", "right_means")
MATRIX_KEYS = {"rxc": ("a", "b", "rows", "cols", "order"), "cxr": ("a", "b", "blocks", "order")}

Read = Callable[[str, Any], Any]
"""Makes a value of a key and what the specification gives for it."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn the errors of a description into a :class:`SpecError` that says where in the specification it stands."""
    try:
        yield
    except SpecError:
        raise
    except (ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise SpecError(f"{where}: {' '.join(str(error).split())}") from None


def file_in(folder: Path) -> Read:
    """Return the reader of a path relative to `folder`."""

    def read(key: str, value: Any) -> str:
        try:
            return str(folder / expand(key, text(key, value)))
        except ValueError as error:
            raise SpecError(str(error)) from None

    return read


def _file_or(folder: Path, other: Read) -> Read:
    def read(key: str, value: Any) -> Any:
        return file_in(folder)(key, value) if isinstance(value, str) else other(key, value)

    return read


def _kind(table: TomlTable, key: str, kinds: dict[str, type]) -> type:
    name = table.get(key, text)
    if name not in kinds:
        raise table.error(f"{key} must be one of {', '.join(kinds)}, got {shown(name)}{closest(name, kinds)}")
    return kinds[name]


def named(where: str, key: str, data: Any, kinds: dict[str, type], extra: tuple[str, ...] = ()) -> tuple[type, TomlTable]:
    """Return the class that `key` of the table names, and the table with its keys checked against the class's fields."""
    if isinstance(data, str):
        data = {key: data}
    every = sorted({f.name for kind in kinds.values() for f in dataclasses.fields(kind)})
    kind = _kind(TomlTable(where, data, (key, *every, *extra)), key, kinds)
    return kind, TomlTable(where, data, (key, *(f.name for f in dataclasses.fields(kind)), *extra))


def make(
    kind: type, table: TomlTable, readers: dict[str, Read], fallback: dict[str, Any] | None = None, *, default: Read = number
) -> Any:
    """Return an object of a class whose fields a table gives; `default` reads those without a reader of their own."""
    fields = dataclasses.fields(kind)
    given = {f.name: table.get(f.name, readers.get(f.name, default)) for f in fields if f.name in table}
    values = {f.name: (fallback or {})[f.name] for f in fields if f.name in (fallback or {})} | given
    for field in fields:
        if field.name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise table.error(f"{field.name} is missing")
    with located(table.where):
        return kind(**values)


# --- partitions ---------------------------------------------------------------------------------------------------


def _order(key: str, value: Any) -> str | None:
    if value not in ("norm", "mean_abs", "none"):
        raise SpecError(f"{key} must be one of 'norm', 'mean_abs', 'none', got {shown(value)}")
    return None if value == "none" else str(value)


def _classes(key: str, value: Any) -> Any:
    if value == "auto":
        return value
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        rows = [whole_numbers(key, row) for row in value]
        if len({len(row) for row in rows}) != 1:
            raise SpecError(f"{key} must have rows of one length, got {shown(value)}")
        return rows
    if isinstance(value, list):
        return whole_numbers(key, value)
    raise SpecError(f"{key} must be a list of class sizes, a table of class numbers or 'auto', got {shown(value)}")


def _shape(key: str, value: Any) -> tuple[int, ...]:
    sizes = tuple(whole_numbers(key, value))
    if len(sizes) != 3:
        raise SpecError(f"{key} must be the three sizes [U, H, Q] of one block pair, got {shown(value)}")
    return sizes


def partition(where: str, data: Any, folder: Path) -> Partition:
    """Return the partition that a ``[partitions.NAME]`` table describes.

    Parameters
    ----------
    where : str
        What errors call the table.
    data : dict or Partition
        ``paradigm`` and either files ``a`` and ``b`` or ``left_variances`` and ``right_variances``.
    folder : Path
        What paths are relative to.
    """
    if isinstance(data, Partition):
        return data
    levels = ("classes", "row_levels", "col_levels")
    every = tuple(dict.fromkeys(("paradigm", *MATRIX_KEYS["rxc"], *MATRIX_KEYS["cxr"], *MODEL_KEYS, *levels)))
    table = TomlTable(where, data, every)
    paradigm = table.get("paradigm", text)
    if paradigm not in MATRIX_KEYS:
        raise table.error(f"paradigm must be 'rxc' (row-times-column) or 'cxr' (column-times-row), got {shown(paradigm)}")
    real = "a" in table or "b" in table
    allowed = ("paradigm", *(MATRIX_KEYS[paradigm] if real else MODEL_KEYS), *(levels if paradigm == "rxc" else levels[:1]))
    kind = f"{paradigm} partition of {'the matrices a and b' if real else 'a model (no files a and b)'}"
    for key in table.data:
        if key not in allowed:
            raise table.error(f"{key} is not for a {kind}; allowed are {', '.join(allowed)}")
    readers: dict[str, Read] = {
        "a": file_in(folder),
        "b": file_in(folder),
        "order": _order,
        "classes": _classes,
        "shape": _shape,
        "rows": whole,
        "cols": whole,
        "blocks": whole,
        "row_levels": whole_numbers,
        "col_levels": whole_numbers,
        "left_means": one_or_more(number),
        "right_means": one_or_more(number),
    }
    needed = ("a", "b") if real else ("left_variances", "right_variances")
    for key in needed:
        if key not in table:
            hint = "" if real else "; a partition needs files a and b, or left_variances and right_variances"
            raise table.error(f"{key} is missing{hint}")
    values = {key: table.get(key, readers.get(key, numbers)) for key in table.data if key != "paradigm"}
    for key in ("left_means", "right_means"):
        if len(values.get(key, ())) == 1:
            values[key] = values[key][0]
    with located(where):
        if not real:
            return Partition.model(paradigm, **values)  # type: ignore[arg-type]
        A, B = load_matrix("a", values.pop("a")), load_matrix("b", values.pop("b"))
        return Partition.rxc(A, B, **values) if paradigm == "rxc" else Partition.cxr(A, B, **values)


# --- codes --------------------------------------------------------------------------------------------------------


def _matrix(key: str, value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    if not isinstance(value, list):
        raise SpecError(f"{key} must be the path of an .npy file or a list of rows, got {shown(value)}")
    with located(key):
        return np.asarray([numbers(key, row) for row in value], dtype=np.float64)


def _supports(key: str, value: Any) -> list[list[int]]:
    if not isinstance(value, list) or not value:
        raise SpecError(f"{key} must be a non-empty list of lists of sub-product numbers, got {shown(value)}")
    return [whole_numbers(key, row) for row in value]


def _integers(key: str, value: Any) -> Any:
    return whole_numbers(key, value) if isinstance(value, list) else whole(key, value)


def code(where: str, data: Any, folder: Path, gamma: list[float] | None) -> Code:
    """Return the code that ``{name = "ew", ...}``, or its bare name, describes; `gamma` is for codes that name none."""
    if isinstance(data, Code) and not isinstance(data, type):
        return data
    kind, table = named(where, "name", data, CODES)
    readers: dict[str, Read] = {
        "gamma": numbers,
        "gamma_b": numbers,
        "probabilities": numbers,
        "encoding": text,
        "window": text,
        "windows": text,
        "coefficients": text,
        "field": text,
        "copies": _integers,
        "supports": _supports,
        "work": _integers,
        "matrix": _file_or(folder, _matrix),
    }
    if isinstance(table.data.get("matrix"), str):
        with located(where):
            matrix = load_matrix("matrix", table.get("matrix", file_in(folder)))
        readers["matrix"] = lambda key, value: matrix
    result = make(kind, table, readers, {} if gamma is None else {"gamma": gamma})
    assert isinstance(result, Code)
    return result
