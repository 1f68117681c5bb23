"""A specification of gradient coding: from a TOML file to the points that it asks for.

docs/specification.md lists every key.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from uepgpu.checks import closest, shown
from uepgpu.gradient_coding import data as tables
from uepgpu.gradient_coding import schemes
from uepgpu.gradient_coding.losses import LOSSES
from uepgpu.gradient_coding.plan import make_plan
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.study import Study, StudyPoint
from uepgpu.specification.describe import Read, file_in, located, make, named
from uepgpu.specification.fields import (
    SpecError,
    TomlTable,
    among,
    as_it_is,
    deadlines,
    flag,
    number,
    numbers,
    text,
    texts,
    whole,
    whole_between,
    whole_numbers,
)
from uepgpu.specification.fields import seed as read_seed
from uepgpu.specification.keys import names
from uepgpu.specification.series import labelled, named_tables, read_with, refuse_duplicates, series_tables
from uepgpu.specification.study_keys import SERIES, TOP
from uepgpu.specification.workers import worker_grid

__all__ = ["parse_study", "read_study"]

TOP_KEYS, SERIES_KEYS = names(TOP), names(SERIES)
SCHEMES: dict[str, type] = {
    "replicated-sketch": schemes.ReplicatedSketch,
    "sampled-sketch": schemes.SampledSketch,
    "exact-gradient": schemes.ExactGradient,
    "ignore-stragglers": schemes.IgnoreStragglers,
    "stochastic-blocks": schemes.StochasticBlocks,
    "fractional-repetition": schemes.FractionalRepetition,
    "cyclic-code": schemes.CyclicCode,
}
SYNTHETIC = ("rows", "columns", "correlation", "noise", "by_norm", "seed")
SOURCES = {
    "multivariate-t": (*SYNTHETIC, "degrees"),
    "gaussian": SYNTHETIC,
    "scikit-learn": ("name",),
    "file": ("path", "target"),
}
OF_PROBLEM = ("loss", "ridge", "blocks")
DEFAULT_REALIZATIONS = 200


def read_study(spec: str, *, realizations: int | None = None, seed: int | None = None) -> Study:
    """Return the study that a file or a bundled name describes, checked to the last point.

    Parameters
    ----------
    spec : str
    realizations, seed : int, optional
        Override those of the specification.

    Raises
    ------
    SpecError
        With one line that says which key is wrong, what was given and what is allowed.

    Examples
    --------
    >>> study = read_study("gradient-coding", realizations=10)
    >>> len(study.points), study.points[4].describe()
    (18, 'leverage, fresh sketch (coherent)')
    """
    overrides = {"realizations": realizations, "seed": seed}
    return read_with(spec, lambda data, name, folder: parse_study(data, name=name, folder=folder, **overrides))[0]


def parse_study(
    data: dict[str, Any], *, name: str, folder: Path, realizations: int | None = None, seed: int | None = None
) -> Study:
    """Return the study that a parsed specification describes; paths in it are relative to `folder`."""
    top = TomlTable("", data, TOP_KEYS)
    at_least_one = whole_between(1, 64)
    count = top.get("realizations", at_least_one, DEFAULT_REALIZATIONS) if realizations is None else realizations
    key = top.get("seed", read_seed, 1) if seed is None else seed
    iterations = top.get("iterations", at_least_one)
    times = top.get("deadlines", deadlines)
    show = among("show", top.get("show", deadlines, ()), times)
    show_iterations = tuple(top.get("show_iterations", whole_numbers, ()))
    for t in show_iterations:
        if not 0 <= t <= iterations:
            raise SpecError(f"show_iterations must be from 0 to {iterations}, got {t}")
    grid = worker_grid("[workers]", top.get("workers", as_it_is), folder)
    if len(grid) != 1:
        raise SpecError(f"[workers] must describe one kind of workers, got lists that make {len(grid)}")
    problems = {label: _problem(f"[data.{label}]", entry, folder, top) for label, entry in named_tables(top, "data").items()}
    points: list[StudyPoint] = []
    for table in series_tables(top, SERIES_KEYS):
        label = labelled(table, "scheme")
        scheme = _scheme(f"{table.where}: scheme", table.get("scheme", as_it_is))
        step, decay = (table.get(k, number, top.get(k, number, default)) for k, default in (("step", 1.0), ("decay", 0.0)))
        for data_name in table.get("data", texts, list(problems)):
            if data_name not in problems:
                known = f"{', '.join(problems)}{closest(data_name, problems)}"
                raise table.error(f"data must be names of [data.NAME] tables, that is {known}, got {shown(data_name)}")
            point = StudyPoint(
                label, data_name, problems[data_name], scheme, grid[0][1], iterations, step, decay, times, count, key
            )
            with located(f"{table.where} with data {data_name!r}"):
                make_plan(point.problem, scheme, point.workers, iterations=iterations, step=step, decay=decay, start=None, seed=key)
            points.append(point)
    refuse_duplicates((((p.series, p.data), p.describe()) for p in points), "label or data")
    return Study(name, top.get("title", text, name), tuple(points), show, show_iterations)


def _law(key: str, value: Any) -> str | tuple[float, ...]:
    return text(key, value) if isinstance(value, str) else tuple(numbers(key, value))


def _problem(where: str, entry: Any, folder: Path, top: TomlTable) -> Problem:
    every = tuple(dict.fromkeys(key for keys in SOURCES.values() for key in keys))
    source = TomlTable(where, entry, ("source", *OF_PROBLEM, *every)).get("source", text)
    if source not in SOURCES:
        raise SpecError(f"{where}: source must be one of {', '.join(SOURCES)}, got {shown(source)}{closest(source, SOURCES)}")
    table = TomlTable(where, entry, ("source", *OF_PROBLEM, *SOURCES[source]))
    loss = table.get("loss", text, "least-squares")
    if loss not in LOSSES:
        raise table.error(f"loss must be one of {', '.join(LOSSES)}, got {shown(loss)}{closest(loss, LOSSES)}")
    readers: dict[str, Read] = {
        "rows": whole,
        "columns": whole,
        "seed": read_seed,
        "target": whole,
        "by_norm": flag,
        "path": file_in(folder),
        "name": text,
    }
    values = {key: table.get(key, readers.get(key, number)) for key in SOURCES[source] if key in table}
    blocks = table.get("blocks", whole, None)
    if blocks is None:
        blocks = top.get("blocks", whole)
    with located(where):
        try:
            found = _read(source, values, loss)
        except ImportError as error:
            raise SpecError(f"{where}: {error}") from None
        return Problem(found.A, found.b, blocks, loss, table.get("ridge", number, 0.0))  # type: ignore[arg-type]


def _read(source: str, values: dict[str, Any], loss: str) -> tables.Table:
    if source == "file":
        if "path" not in values:
            raise ValueError("path is missing")
        return tables.read_table(values.pop("path"), **values)
    if source == "scikit-learn":
        if "name" not in values:
            raise ValueError("name is missing")
        return tables.bundled_table(**values)
    for key in ("rows", "columns", "seed", *(("degrees",) if source == "multivariate-t" else ())):
        if key not in values:
            raise ValueError(f"{key} is missing")
    make_table: Callable[..., tables.Table] = tables.multivariate_t if source == "multivariate-t" else tables.gaussian
    return make_table(**values, loss=loss)


def _scheme(where: str, entry: Any) -> schemes.Scheme:
    kind, table = named(where, "name", entry, SCHEMES)
    readers: dict[str, Read] = {"law": _law, "every_block": flag, "sketch": text, "construction": text}
    readers |= {"until": number, "factor": number}
    return make(kind, table, readers, default=whole)  # type: ignore[no-any-return]
