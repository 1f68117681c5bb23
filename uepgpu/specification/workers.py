"""From tables of a specification to latency laws and workers."""

from __future__ import annotations

import dataclasses
import itertools
import tomllib
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

from uepgpu import latency
from uepgpu.checks import shown
from uepgpu.files import map_array, read_array
from uepgpu.files.columns import TABLES
from uepgpu.specification.describe import Read, file_in, located, make, named
from uepgpu.specification.fields import SpecError, TomlTable, flag, number, numbers, one_or_more, text, whole, whole_numbers
from uepgpu.specification.keys import names
from uepgpu.specification.names import LAUNCHES, LAWS
from uepgpu.specification.sweep_keys import LAWS_OF_EACH
from uepgpu.specification.worker_keys import RACKS, STATES, WORKERS
from uepgpu.workers import Markov, Racks, Workers

__all__ = ["WORKER_KEYS", "law_of_words", "worker_grid"]

WORKER_KEYS = names(WORKERS)

RECORDED: dict[type, tuple[str, ...]] = {latency.Empirical: ("column",), latency.Trace: ("round", "worker", "latency")}
"""Laws that a file may hold, and the keys that name its columns."""
RECORDED_IN: dict[type, str] = {
    latency.Empirical: "a one-dimensional array of latencies",
    latency.Trace: "a table of rounds × workers",
}
COLUMNS = tuple(key for keys in RECORDED.values() for key in keys)
STAGES = ("compute", "send")


def _rows(key: str, value: Any, what: str = "the path of a file or a list of rounds") -> list[list[float]]:
    if not isinstance(value, list) or not all(isinstance(row, list) for row in value):
        raise SpecError(f"{key} must be {what}, each a list, got {shown(value)}")
    for item in (item for row in value for item in row):
        if isinstance(item, bool) or not isinstance(item, int | float):  # nan and inf: never
            raise SpecError(f"{key} must hold numbers, got {shown(item)}")
    return value


def _chances(key: str, value: Any) -> list[list[float]]:
    return _rows(key, value, "a list of rows")


READERS: dict[str, Read] = {"samples": numbers, "latencies": _rows, "replay": text, "shuffle": flag, "block": number}
"""How the values of a law are read that are not single numbers."""


def _as_law(value: Any) -> str:
    """Return a value of a law's table as a label shows it; the table of a stage by its law and values."""
    if not isinstance(value, dict):
        return str(value)
    return " ".join(str(v) for v in value.values())


Latencies = latency.Latency | list[latency.Latency]
"""One law, or one of every worker."""


def _law(where: str, folder: Path) -> Callable[[str, Any], tuple[str, Latencies]]:
    def read(key: str, value: Any) -> tuple[str, Latencies]:
        if isinstance(value, dict) and "each" in value:
            return _each(TomlTable(f"{where}: {key}", value, names(LAWS_OF_EACH)), one)
        return one(key, value)

    def one(key: str, value: Any) -> tuple[str, Any]:
        if isinstance(value, latency.Latency | latency.Trace) and not isinstance(value, type):  # from Python
            return shown(value), value
        kind, table = named(f"{where}: {key}", "law", value, LAWS, COLUMNS)
        name = str(table.data["law"])
        for column in COLUMNS:
            if column in table and column not in RECORDED.get(kind, ()):
                raise table.error(f"{column} is not for the law {name!r}")
        law = _recorded(kind, table, folder) or make(kind, table, READERS | dict.fromkeys(STAGES, lambda k, v: one(k, v)[1]))
        values = ", ".join(f"{k} = {_as_law(v)}" for k, v in table.data.items() if k != "law")
        return f"{name} ({values})" if values else name, law

    return read


def law_of_words(key: str, text: str, folder: Path = Path()) -> Latencies:
    """Return the law that words describe: ``"weibull shape=0.7"``, or a table of TOML in braces.

    Raises
    ------
    SpecError
        With one line that says what is wrong.

    Examples
    --------
    >>> law_of_words("--latency", "weibull shape=0.7 scale=2"), law_of_words("--latency", "{ law = 'exponential', rate = 3 }")
    (Weibull(shape=0.7, scale=2), Exponential(rate=3))
    """
    try:
        return _law("", folder)(key, _table_of_words(key, text))[1]
    except SpecError as error:
        raise SpecError(str(error).removeprefix(": ")) from None


def _table_of_words(key: str, text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return tomllib.loads(f"x = {text}")["x"]
        except tomllib.TOMLDecodeError as error:
            raise SpecError(f"{key} must be a table as in a specification, got {shown(text)}: {error}") from None
    name, *pairs = text.split() or [""]
    table: dict[str, Any] = {"law": name}
    for pair in pairs:
        field, equals, value = pair.partition("=")
        if not equals:
            raise SpecError(f"{key} must be a law and its values, say weibull shape=0.7, got {shown(text)}")
        table[field] = _word(value)
    return table


def _word(value: str) -> Any:
    """Return a number, true, false or a list where the word is one, else the word."""
    try:
        return float(value) if value.lstrip("-").startswith(".") else tomllib.loads(f"x = {value}")["x"]
    except ValueError:
        return value


def _recorded(kind: type, table: TomlTable, folder: Path) -> Any:
    """Return a law that the table gives by the path of a file, or None."""
    if kind not in RECORDED:
        return None
    array, *_ = (f.name for f in dataclasses.fields(kind))
    if not isinstance(table.data.get(array), str):
        if named_columns := [column for column in COLUMNS if column in table]:
            raise table.error(f"{named_columns[0]} is the name of a column in a file, and {array} names none")
        return None
    file = Path(table.get(array, file_in(folder)))
    if file.suffix.lower() not in TABLES and not any(column in table for column in COLUMNS):
        with located(table.where):
            found = (map_array if kind is latency.Trace else read_array)(array, file, what=RECORDED_IN[kind])
        return make(kind, table, READERS | {array: lambda key, value: found})
    options = {key: table.get(key, READERS.get(key, text)) for key in table.data if key not in ("law", array)}
    with located(table.where):
        return kind.read(file, **options)  # type: ignore[attr-defined]


def _each(table: TomlTable, read: Callable[[str, Any], tuple[str, latency.Latency]]) -> tuple[str, list[latency.Latency]]:
    """Return the law of every worker, from one law each or, with `counts`, from how many workers have each law."""
    values = table.data["each"]
    if not isinstance(values, list) or not values:
        raise table.error(f"each must be a non-empty list of laws, got {shown(values)}")
    found = [read("latency", value) for value in values]
    counts = table.get("counts", whole_numbers, [1] * len(found))
    if len(counts) != len(found) or any(n < 1 for n in counts):
        raise table.error(f"counts must give a number of workers >= 1 for each of {len(found)} laws, got {shown(counts)}")
    name = " and ".join(f"{n} x {name}" if n > 1 else name for n, (name, _) in zip(counts, found, strict=True))
    return name, [law for n, (_, law) in zip(counts, found, strict=True) for _ in range(n)]


def _backup(where: str) -> Read:
    return lambda key, value: make(*named(f"{where}: {key}", "name", value, LAUNCHES), {})


def _racks(where: str, folder: Path) -> Read:
    def read(key: str, value: Any) -> Racks:
        table = TomlTable(f"{where}: {key}", value, names(RACKS))
        law: Read = lambda key, value: _law(table.where, folder)(key, value)[1]  # noqa: E731
        return make(Racks, table, {"of": whole_numbers, "latency": law})  # type: ignore[no-any-return]

    return read


def _states(where: str, folder: Path) -> Read:
    def read(key: str, value: Any) -> Markov:
        table = TomlTable(f"{where}: {key}", value, names(STATES))
        law = _law(table.where, folder)

        def laws(key: str, value: Any) -> list[Any]:
            if not isinstance(value, list):
                raise SpecError(f"{key} must be a list of one law per state, got {shown(value)}")
            return [law(key, one)[1] for one in value]

        return make(Markov, table, {"transition": _chances, "laws": laws})  # type: ignore[no-any-return]

    return read


def _omega(key: str, value: Any) -> float | str:
    if isinstance(value, str) and value != "fair":
        raise SpecError(f"{key} must be a number > 0 or 'fair', got {shown(value)}")
    return value if isinstance(value, str) else number(key, value)


def worker_grid(where: str, data: dict[str, Any], folder: Path) -> list[tuple[str, Workers]]:
    """Return the workers of every combination of the listed values, each with a suffix that says what varies.

    ``count``, ``omega``, ``work`` and ``latency`` may each be one value or a list. The suffix leaves out the work model,
    which has a panel of its own.
    """
    table = TomlTable(where, data, WORKER_KEYS)
    counts = table.get("count", one_or_more(whole))
    omegas = table.get("omega", one_or_more(_omega), [1.0])
    works = table.get("work", one_or_more(text), ["true"])
    try:
        laws = one_or_more(_law(where, folder))("latency", table.data.get("latency", "exponential"))
    except SpecError as error:
        raise error if str(error).startswith(where) else table.error(str(error)) from None
    lossy = table.get("loss_probability", number, 0.0)
    speeds = table.get("speeds", numbers, None)
    racks = table.get("racks", _racks(where, folder), None)
    backup = table.get("backup", _backup(where), None)
    states = table.get("states", _states(where, folder), None)
    label = table.get("time_unit", text, None)
    more = {"messages": table.get("messages", whole, 1), "progress": table.get("progress", text, "linear"), "time_unit": label}
    result = []
    for count, omega, (law_name, law), work in itertools.product(counts, omegas, laws, works):
        varies: list[tuple[Sized, str]] = [(counts, f"W = {count}"), (omegas, f"Ω = {omega}"), (laws, law_name)]
        with located(where):
            workers = Workers(count, law, omega, work, lossy, speeds, racks=racks, backup=backup, states=states, **more)  # type: ignore[arg-type]
        result.append(("".join(f", {name}" for values, name in varies if len(values) > 1), workers))
    return result
