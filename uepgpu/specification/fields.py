"""Reading typed values out of TOML tables, with errors that name the key, the value and what is allowed."""

from __future__ import annotations

import itertools
import unicodedata
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from uepgpu import checks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = [
    "REQUIRED",
    "SpecError",
    "TomlTable",
    "deadlines",
    "number",
    "numbers",
    "one_or_more",
    "text",
    "texts",
    "whole",
    "whole_numbers",
    "word64",
]

T = TypeVar("T")
REQUIRED: Any = object()
MAX_DEADLINES = 10_000


class SpecError(ValueError):
    """A sweep specification that cannot be run; the message is one line and says where, what and what is allowed."""


class TomlTable:
    """A TOML table whose keys have been checked.

    Parameters
    ----------
    where : str
        What errors call the table, e.g. ``[workers]``; empty for the whole file.
    data : dict
        The parsed table.
    allowed : collection of str
        Keys that it may have.

    Raises
    ------
    SpecError
        If `data` is no table or has a key that is not allowed.

    Examples
    --------
    >>> TomlTable("[workers]", {"cuont": 30}, ["count", "omega"])
    Traceback (most recent call last):
        ...
    uepgpu.specification.fields.SpecError: [workers]: unknown key 'cuont' (did you mean 'count'?); allowed are count, omega
    """

    def __init__(self, where: str, data: Any, allowed: Collection[str]) -> None:
        self.where = where
        if not isinstance(data, dict):
            raise SpecError(f"{where} must be a table of key = value, got {data!r}")
        for key in data:
            if key not in allowed:
                raise self.error(f"unknown key {key!r}{checks.closest(key, allowed)}; allowed are {', '.join(allowed)}")
        self.data: dict[str, Any] = data

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def error(self, message: str) -> SpecError:
        """Return the error that says `message` about this table."""
        return SpecError(f"{self.where}: {message}" if self.where else message)

    def get(self, key: str, read: Callable[[str, Any], T], default: Any = REQUIRED) -> T:
        """Return the value of `key` as `read` makes of it; `default`, if there is one, when the key is absent."""
        if key not in self.data:
            if default is REQUIRED:
                raise self.error(f"{key} is missing")
            return default  # type: ignore[no-any-return]
        try:
            return read(key, self.data[key])
        except SpecError as error:
            raise self.error(str(error)) from None


def text(key: str, value: Any) -> str:
    """Return a non-empty string of characters that can be shown on one line."""
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{key} must be a non-empty string, got {value!r}")
    if any(unicodedata.category(c) == "Cc" for c in value):
        raise SpecError(f"{key} must be one line without control characters, got {value!r}")
    return value


def number(key: str, value: Any) -> float:
    """Return a finite number; an integer stays one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise SpecError(f"{key} must be a finite number, got {value!r}")
    return value


def whole(key: str, value: Any) -> int:
    """Return an integer, which may be written as 1e5."""
    exact = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not exact or isinstance(value, bool):
        raise SpecError(f"{key} must be an integer, got {value!r}")
    return int(value)


def word64(key: str, value: Any) -> int:
    """Return a seed or the number of a realization, or raise."""
    try:
        return checks.word64(key, value)
    except ValueError as error:
        raise SpecError(str(error)) from None


def one_or_more(read: Callable[[str, Any], T]) -> Callable[[str, Any], list[T]]:
    """Return the reader of one value or a non-empty list of them."""

    def read_all(key: str, value: Any) -> list[T]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise SpecError(f"{key} must not be an empty list")
        return [read(key, v) for v in values]

    return read_all


def _several(kind: str, read: Callable[[str, Any], T]) -> Callable[[str, Any], list[T]]:
    def read_list(key: str, value: Any) -> list[T]:
        if not isinstance(value, list) or not value:
            raise SpecError(f"{key} must be a non-empty list of {kind}, got {value!r}")
        return [read(key, v) for v in value]

    return read_list


texts = _several("strings", text)
numbers = _several("numbers", number)
whole_numbers = _several("integers", whole)


def deadlines(key: str, value: Any) -> tuple[float, ...]:
    """Return deadlines from a list, or from ``{start, stop, step}`` with `stop` included.

    Examples
    --------
    >>> deadlines("deadlines", {"start": 0, "stop": 0.3, "step": 0.1})
    (0.0, 0.1, 0.2, 0.3)
    """
    if isinstance(value, dict):
        table = TomlTable(key, value, ("start", "stop", "step"))
        start, stop, step = table.get("start", number, 0.0), table.get("stop", number), table.get("step", number)
        if step <= 0:
            raise SpecError(f"{key}: step must be > 0, got {step!r}")
        if stop < start:
            raise SpecError(f"{key}: stop must be at least start = {start!r}, got {stop!r}")
        count = (stop - start) / step + 1e-9
        if count >= MAX_DEADLINES:
            raise SpecError(f"{key}: step gives more than {MAX_DEADLINES} deadlines from {start!r} to {stop!r}, got {step!r}")
        # Rounded so that 3 · 0.05 is the 0.15 that the user means and that the table shows.
        times = tuple(round(start + i * step, 12) for i in range(int(count) + 1))
    elif isinstance(value, list):
        times = tuple(float(t) for t in numbers(key, value))
    else:
        raise SpecError(f"{key} must be a list of times or {{start, stop, step}}, got {value!r}")
    if len(times) > MAX_DEADLINES:
        raise SpecError(f"{key} must be at most {MAX_DEADLINES} times, got {len(times)}")
    if min(times) < 0:
        raise SpecError(f"{key} must be >= 0, got {min(times)!r}")
    for before, after in itertools.pairwise(times):
        if after <= before:
            raise SpecError(f"{key} must increase, got {after!r} after {before!r}")
    return times
