"""What specifications of every kind have in common: how they are read, tables by name, series with labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from uepgpu.checks import shown
from uepgpu.specification.axes import short
from uepgpu.specification.fields import SpecError, TomlTable, as_it_is, text
from uepgpu.specification.load import load_spec

__all__ = ["labelled", "named_tables", "read_with", "refuse_duplicates", "series_tables"]

T = TypeVar("T")
LONGEST = 40
"""Characters of a value that a label takes: supports and matrices are left out."""


def read_with(spec: str, parse: Callable[[dict[str, Any], str, Path], T]) -> tuple[T, str]:
    """Return what `parse` makes of a specification's tables, name and folder, and the text of the specification.

    Parameters
    ----------
    spec : str
        Path of a TOML file, or the name of a bundled one.
    parse : callable

    Raises
    ------
    SpecError
        With one line that says which file and which key is wrong, what was given and what is allowed.
    """
    path, written, data = load_spec(spec)
    try:
        return parse(data, path.stem, path.parent), written
    except SpecError as error:
        raise SpecError(f"{path.name}: {error}") from None


def named_tables(top: TomlTable, key: str) -> dict[str, Any]:
    """Return the tables ``[key.NAME]`` by name; at least one."""
    tables = top.get(key, as_it_is)
    if not isinstance(tables, dict) or not tables:
        raise SpecError(f"{key} must be tables [{key}.NAME], at least one, got {shown(tables)}")
    for name in tables:
        text(f"the name of a [{key}.NAME] table", name)
    return tables


def series_tables(top: TomlTable, allowed: tuple[str, ...]) -> list[TomlTable]:
    """Return the tables ``[[series]]``, at least one, each with its keys checked."""
    series = top.get("series", as_it_is)
    if not isinstance(series, list) or not series:
        raise SpecError(f"series must be tables [[series]], at least one, got {shown(series)}")
    return [TomlTable(f"series {position}", entry, allowed) for position, entry in enumerate(series, start=1)]


def labelled(table: TomlTable, key: str) -> str:
    """Return the label of a series, by which errors call it from here on.

    Without a ``label`` it is the name of what the series is about, which is under `key`, with what else is given for that:
    ``"ew"`` of ``"ew"``, ``"ew (encoding = factored)"`` of ``{name = "ew", encoding = "factored"}``. Empty if that names nothing.
    """
    about = table.data.get(key)
    name = about.get("name") if isinstance(about, dict) else about
    default = name if isinstance(name, str) else ""
    if default and isinstance(about, dict):
        given = {"name": default} | {k: v for k, v in about.items() if k != "name" and len(str(v)) <= LONGEST}
        default = short(given)
    label = table.get("label", text, default)
    if label:
        table.where = f"series {shown(label)}"
    return str(label)


def refuse_duplicates(described: Iterable[tuple[tuple[str, ...], str]], differ: str) -> None:
    """Raise if two series share what tells them apart; `described` pairs that with what people call it."""
    seen: set[tuple[str, ...]] = set()
    for identity, name in described:
        if identity in seen:
            raise SpecError(f"series must differ in {differ}, but two are called {name}")
        seen.add(identity)
