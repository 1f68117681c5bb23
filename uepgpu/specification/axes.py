"""Grids and zips: the values that a specification varies, and every combination that they ask for."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uepgpu.checks import MOST_SHOWN, shown
from uepgpu.specification.fields import SpecError, TomlTable, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AXES", "MAX_POINTS", "Choice", "choices", "short"]

MAX_POINTS = 100_000

CODE = ("gamma", "gamma_b", "encoding", "window", "windows", "coefficients", "copies")
WORKERS = {"workers": "count", "latency": "latency", "omega": "omega", "work": "work", "loss_probability": "loss_probability"}
PARTITION = ("classes", "order", "rows", "cols", "blocks", "row_levels", "col_levels")
AXES = ("code", *CODE, *WORKERS, "partitions", *PARTITION, "deadlines", "rounds", "seed")
"""What can be varied. Each takes a list of the values that the key takes elsewhere; ``workers`` takes counts and ``partitions``
names."""

SYMBOLS = {"gamma": "Γ", "gamma_b": "Γ_B", "workers": "W", "omega": "Ω", "loss_probability": "ε", "rounds": "R"}
PANELS = ("work", "partitions")
"""Axes that have panels of their own and need no place in a label."""


@dataclass(frozen=True)
class Choice:
    """One combination of values.

    Attributes
    ----------
    values : dict
        By axis.
    suffix : str
        What tells it apart, for the label of its curve.
    """

    values: dict[str, Any]
    suffix: str

    def of(self, axes: tuple[str, ...]) -> dict[str, Any]:
        """Return the values of some axes."""
        return {name: self.values[name] for name in axes if name in self.values}

    def shown(self) -> str:
        """Return what errors call it."""
        text = ", ".join(f"{name} = {shown(value)}" for name, value in self.values.items())
        return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _lists(where: str, data: Any, extra: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    table = TomlTable(where, data, (*AXES, *extra))
    for name, values in table.data.items():
        if not isinstance(values, list) or not values:
            raise table.error(f"{name} must be a non-empty list of the values that it takes in turn, got {shown(values)}")
    return dict(table.data)


def choices(where: str, grid: Any, zipped: Any) -> Iterator[Choice]:
    """Yield every combination of a ``grid`` with every row of a ``zip``.

    Parameters
    ----------
    where : str
        What errors call the place.
    grid : dict
        Axis to list of values: all combinations.
    zipped : dict
        Axis to list of values, all of one length: taken together, first with first. ``labels`` may name the rows.

    Examples
    --------
    >>> [c.suffix for c in choices("", {"omega": [1.0, "fair"]}, {"workers": [9, 15], "gamma": [[1.0], [0.5, 0.5]]})]
    [', Ω = 1.0, W = 9, Γ = 1.0', ', Ω = 1.0, W = 15, Γ = 0.5/0.5', ', Ω = fair, W = 9, Γ = 1.0', ', Ω = fair, W = 15, Γ = 0.5/0.5']
    """
    free, rows = _lists(f"{where}grid", grid), _lists(f"{where}zip", zipped, ("labels",))
    names = TomlTable(f"{where}zip", rows, (*AXES, "labels")).get("labels", texts, None)
    rows.pop("labels", None)
    twice = [name for name in rows if name in free]
    if twice:
        raise SpecError(f"{where}zip: {twice[0]} is in grid too; leave it in one of them")
    lengths = {name: len(values) for name, values in (rows | ({} if names is None else {"labels": names})).items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SpecError(
            f"{where}zip: lists are taken together, so they must be of one length, but {given}; use grid for all combinations"
        )
    count = next(iter(lengths.values()), 1)
    if names is not None and not rows:
        raise SpecError(f"{where}zip: labels name the values that are taken together, but there are none")
    if math.prod(map(len, free.values())) * count > MAX_POINTS:
        raise SpecError(f"{where}grid asks for more than {MAX_POINTS:,} points; make it coarser or use several specifications")
    for values in itertools.product(*free.values()):
        for row in range(count):
            chosen = dict(zip(free, values, strict=True)) | {name: column[row] for name, column in rows.items()}
            parts = [_suffix(name, free[name], chosen[name]) for name in free]
            parts += [f", {names[row]}"] if names is not None else [_suffix(name, rows[name], chosen[name]) for name in rows]
            yield Choice(chosen, "".join(parts))


def _suffix(name: str, values: list[Any], value: Any) -> str:
    if len(values) < 2 or name in PANELS:
        return ""
    if name == "code":
        return f", {short(value)}"
    if name == "deadlines" and not isinstance(value, list):
        return f", deadlines {values.index(value) + 1}"
    return f", {SYMBOLS.get(name, name)}{' ' if name == 'deadlines' else ' = '}{short(value)}"


def short(value: Any) -> str:
    """Return a value as a label shows it; of a table its first value, with the others in brackets."""
    if isinstance(value, dict):
        first, *rest = value.items()
        others = ", ".join(f"{k} = {short(v)}" for k, v in rest)
        return f"{short(first[1])} ({others})" if others else short(first[1])
    if isinstance(value, list):
        return ("|" if value and isinstance(value[0], list) else "/").join(map(short, value))
    return str(value)
