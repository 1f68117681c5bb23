"""Reading typed values out of TOML tables, with errors that name the key, the value and what is allowed."""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING, Any, TypeVar

from uepgpu.checks import closest, deadlines_array, finite, shown, word64

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = [
    "REQUIRED",
    "SpecError",
    "TomlTable",
    "among",
    "as_it_is",
    "deadlines",
    "flag",
    "number",
    "numbers",
    "one_or_more",
    "seed",
    "text",
    "texts",
    "whole",
    "whole_between",
    "whole_numbers",
]

T = TypeVar("T")
REQUIRED: Any = object()
MAX_DEADLINES = 10_000


class SpecError(ValueError):
    """A specification that cannot be run; the message is one line and says where, what and what is allowed."""


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
            raise SpecError(f"{where} must be a table of key = value, got {shown(data)}")
        for key in data:
            if key not in allowed:
                raise self.error(f"unknown key {shown(key)}{closest(key, allowed)}; allowed are {', '.join(allowed)}")
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
            said = self.where and str(error).startswith(f"{self.where}: ")  # by a table inside this one
            raise error if said else self.error(str(error)) from None


def as_it_is(key: str, value: Any) -> Any:
    """Return a value that its own reader will check."""
    return value


def flag(key: str, value: Any) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise SpecError(f"{key} must be true or false, got {shown(value)}")
    return value


def text(key: str, value: Any) -> str:
    """Return a non-empty string of characters that can be shown on one line."""
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{key} must be a non-empty string, got {shown(value)}")
    if any(unicodedata.category(c) == "Cc" for c in value):
        raise SpecError(f"{key} must be one line without control characters, got {shown(value)}")
    return value


def number(key: str, value: Any) -> float:
    """Return a finite number; an integer stays one."""
    try:
        finite(key, value)
    except ValueError as error:
        raise SpecError(str(error)) from None
    return value  # type: ignore[no-any-return]


def whole(key: str, value: Any) -> int:
    """Return an integer, which may be written as 1e5."""
    exact = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if not exact or isinstance(value, bool):
        raise SpecError(f"{key} must be an integer, got {shown(value)}")
    return int(value)


def whole_between(least: int, bits: int) -> Callable[[str, Any], int]:
    """Return the reader of an integer from `least` to 2**bits - 1, which may be written as 1e5."""

    def read(key: str, value: Any) -> int:
        found = whole(key, value)
        if not least <= found < 2**bits:
            raise SpecError(f"{key} must be an integer from {least} to 2**{bits} - 1, got {shown(value)}")
        return found

    return read


def seed(key: str, value: Any) -> int:
    """Return a seed, which may be written as 1e5, or raise."""
    try:
        return word64(key, whole(key, value))
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
            raise SpecError(f"{key} must be a non-empty list of {kind}, got {shown(value)}")
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
            raise SpecError(f"{key}: step must be > 0, got {shown(step)}")
        if stop < start:
            raise SpecError(f"{key}: stop must be at least start = {start!r}, got {shown(stop)}")
        count = (stop - start) / step + 1e-9
        if count >= MAX_DEADLINES:
            raise SpecError(f"{key}: step gives more than {MAX_DEADLINES} deadlines from {start!r} to {stop!r}, got {shown(step)}")
        # Rounded so that 3 · 0.05 is the 0.15 that the user means and that the table shows.
        times = tuple(round(start + i * step, 12) for i in range(int(count) + 1))
    elif isinstance(value, list):
        times = tuple(float(t) for t in numbers(key, value))
    else:
        raise SpecError(f"{key} must be a list of times or {{start, stop, step}}, got {shown(value)}")
    if len(times) > MAX_DEADLINES:
        raise SpecError(f"{key} must be at most {MAX_DEADLINES} times, got {len(times)}")
    try:
        return tuple(deadlines_array(times, key).tolist())
    except ValueError as error:
        raise SpecError(str(error)) from None


def among(key: str, chosen: tuple[float, ...], times: tuple[float, ...]) -> tuple[float, ...]:
    """Return those of the deadlines `times` that are `chosen`; raise if one is none of them."""
    found = []
    for t in chosen:
        same = [other for other in times if math.isclose(t, other, abs_tol=1e-12)]
        if not same:
            raise SpecError(f"{key} must name some of the deadlines, got {shown(t)}, which is none of them")
        found.append(same[0])
    return tuple(found)
