"""A specification of gradient coding: from a TOML file to the points that it asks for.

::

    kind = "gradient-coding"
    title = "my comparison"                 # of the figure; default: the file's name
    iterations = 300
    realizations = 200                      # of every point; this is the default
    seed = 1                                # this is the default
    blocks = 30                             # K, of every data set that gives none of its own
    step = 1.0                              # in units of 1/L; a series may replace step and decay
    decay = 0.0
    deadlines = { start = 0, stop = 60, step = 1 }            # or a list of times
    show = [5, 20]                          # deadlines that the printed table prefers; optional
    show_iterations = [10, 100, 300]        # and iterations

    [workers]                               # as in the specifications of :mod:`uepgpu.sweep`, of one kind
    count = 60
    omega = 1.0

    [data.mine]                             # any name
    source = "file"                         # path (.npy, .npz, .csv), target; or "scikit-learn" with name; or
    path = "table.csv"                      # "multivariate-t", "gaussian" with the arguments of those functions
    loss = "logistic"                       # optional for every source: loss, ridge, blocks
    ridge = 1.0

    [[series]]
    label = "leverage, fresh"
    scheme = { name = "replicated-sketch", law = "leverage", fastest = 10 }       # or a bare name
    data = ["mine"]                         # default: all
    step = 0.5                              # optional: step, decay

Every key of a scheme is an argument of its class in :mod:`uepgpu.gradient_coding`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from uepgpu.checks import closest
from uepgpu.gradient_coding import data as tables
from uepgpu.gradient_coding import schemes
from uepgpu.gradient_coding.losses import LOSSES
from uepgpu.gradient_coding.plan import make_plan
from uepgpu.gradient_coding.problem import Problem
from uepgpu.gradient_coding.study import Study, StudyPoint
from uepgpu.specification.describe import located, worker_grid
from uepgpu.specification.fields import SpecError, TomlTable, deadlines, number, numbers, text, texts, whole, whole_numbers
from uepgpu.specification.load import load_spec

__all__ = ["parse_study", "read_study"]

TOP_KEYS = (
    "kind",
    "title",
    "iterations",
    "realizations",
    "seed",
    "blocks",
    "step",
    "decay",
    "deadlines",
    "show",
    "show_iterations",
    "workers",
    "data",
    "series",
)
SERIES_KEYS = ("label", "scheme", "data", "step", "decay")
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

Read = Callable[[str, Any], Any]


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
    path, _, data = load_spec(spec)
    try:
        return parse_study(data, name=path.stem, folder=path.parent, realizations=realizations, seed=seed)
    except SpecError as error:
        raise SpecError(f"{path.name}: {error}") from None


def parse_study(
    data: dict[str, Any], *, name: str, folder: Path, realizations: int | None = None, seed: int | None = None
) -> Study:
    """Return the study that a parsed specification describes; paths in it are relative to `folder`."""
    top = TomlTable("", data, TOP_KEYS)
    count = top.get("realizations", _at_least(1), DEFAULT_REALIZATIONS) if realizations is None else realizations
    key = top.get("seed", _at_least(0), 1) if seed is None else seed
    iterations = top.get("iterations", _at_least(1))
    times = top.get("deadlines", deadlines)
    show, show_iterations = top.get("show", deadlines, ()), tuple(top.get("show_iterations", whole_numbers, ()))
    for time in show:
        if time not in times:
            raise SpecError(f"show must name some of the deadlines, got {time!r}, which is none of them")
    for t in show_iterations:
        if not 0 <= t <= iterations:
            raise SpecError(f"show_iterations must be from 0 to {iterations}, got {t}")
    pool = TomlTable("[workers]", top.get("workers", _table("workers")), ("count", "latency", "omega", "work"))
    grid = worker_grid("[workers]", pool.data, folder)
    if len(grid) != 1:
        raise SpecError(f"[workers] must describe one kind of workers, got lists that make {len(grid)}")
    problems = {label: _problem(f"[data.{label}]", entry, folder, top) for label, entry in _tables(top, "data").items()}
    points: list[StudyPoint] = []
    for position, entry in enumerate(_series(top), start=1):
        table = TomlTable(f"series {position}", entry, SERIES_KEYS)
        label = table.get("label", text)
        table.where = f"series {label!r}"
        scheme = _scheme(f"{table.where}: scheme", table.get("scheme", lambda _, value: value))
        step, decay = (table.get(k, number, top.get(k, number, default)) for k, default in (("step", 1.0), ("decay", 0.0)))
        for data_name in table.get("data", texts, list(problems)):
            if data_name not in problems:
                known = f"{', '.join(problems)}{closest(data_name, problems)}"
                raise table.error(f"data must be names of [data.NAME] tables, that is {known}, got {data_name!r}")
            point = StudyPoint(
                label, data_name, problems[data_name], scheme, grid[0][1], iterations, step, decay, times, count, key
            )
            if any((point.series, point.data) == (other.series, other.data) for other in points):
                raise SpecError(f"series must differ in label or data, but two are called {point.describe()}")
            with located(f"{table.where} with data {data_name!r}"):
                make_plan(point.problem, scheme, point.workers, iterations=iterations, step=step, decay=decay, start=None, seed=key)
            points.append(point)
    return Study(name, top.get("title", text, name), tuple(points), show, show_iterations)


def _at_least(least: int) -> Callable[[str, Any], int]:
    def read(key: str, value: Any) -> int:
        found = whole(key, value)
        if not least <= found < 2**64:
            raise SpecError(f"{key} must be an integer from {least} to 2**64 - 1, got {value!r}")
        return found

    return read


def _table(what: str) -> Callable[[str, Any], dict[str, Any]]:
    def read(key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise SpecError(f"{key} must be a table of {what}, got {value!r}")
        return value

    return read


def _tables(top: TomlTable, key: str) -> dict[str, Any]:
    found = top.get(key, _table("tables"))
    if not found:
        raise SpecError(f"{key} must be tables [{key}.NAME], at least one")
    for name in found:
        text(f"the name of a {key} table", name)
    return found


def _series(top: TomlTable) -> list[Any]:
    series = top.get("series", lambda _, value: value)
    if not isinstance(series, list) or not series:
        raise SpecError(f"series must be tables [[series]], at least one, got {series!r}")
    return series


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise SpecError(f"{key} must be true or false, got {value!r}")
    return value


def _law(key: str, value: Any) -> str | tuple[float, ...]:
    return text(key, value) if isinstance(value, str) else tuple(numbers(key, value))


def _problem(where: str, entry: Any, folder: Path, top: TomlTable) -> Problem:
    every = tuple(dict.fromkeys(key for keys in SOURCES.values() for key in keys))
    source = TomlTable(where, entry, ("source", *OF_PROBLEM, *every)).get("source", text)
    if source not in SOURCES:
        raise SpecError(f"{where}: source must be one of {', '.join(SOURCES)}, got {source!r}{closest(source, SOURCES)}")
    table = TomlTable(where, entry, ("source", *OF_PROBLEM, *SOURCES[source]))
    loss = table.get("loss", text, "least-squares")
    if loss not in LOSSES:
        raise table.error(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}{closest(loss, LOSSES)}")
    readers: dict[str, Read] = {
        "rows": whole,
        "columns": whole,
        "seed": whole,
        "target": whole,
        "by_norm": _flag,
        "path": text,
        "name": text,
    }
    values = {key: table.get(key, readers.get(key, number)) for key in SOURCES[source] if key in table}
    blocks = table.get("blocks", whole, None)
    if blocks is None:
        blocks = top.get("blocks", whole)
    with located(where):
        try:
            found = _read(source, values, loss, folder)
        except ImportError as error:
            raise SpecError(f"{where}: {error}") from None
        return Problem(found.A, found.b, blocks, loss, table.get("ridge", number, 0.0))  # type: ignore[arg-type]


def _read(source: str, values: dict[str, Any], loss: str, folder: Path) -> tables.Table:
    if source == "file":
        if "path" not in values:
            raise ValueError("path is missing")
        return tables.read_table(folder / Path(values.pop("path")).expanduser(), **values)
    if source == "scikit-learn":
        if "name" not in values:
            raise ValueError("name is missing")
        return tables.bundled_table(**values)
    for key in ("rows", "columns", "seed", *(("degrees",) if source == "multivariate-t" else ())):
        if key not in values:
            raise ValueError(f"{key} is missing")
    make: Callable[..., tables.Table] = tables.multivariate_t if source == "multivariate-t" else tables.gaussian
    return make(**values, loss=loss)


def _scheme(where: str, entry: Any) -> schemes.Scheme:
    if isinstance(entry, str):
        entry = {"name": entry}
    every = sorted({f.name for kind in SCHEMES.values() for f in dataclasses.fields(kind)})
    name = TomlTable(where, entry, ("name", *every)).get("name", text)
    if name not in SCHEMES:
        raise SpecError(f"{where}: name must be one of {', '.join(SCHEMES)}, got {name!r}{closest(name, SCHEMES)}")
    fields = dataclasses.fields(SCHEMES[name])
    table = TomlTable(where, entry, ("name", *(f.name for f in fields)))
    readers: dict[str, Read] = {"law": _law, "every_block": _flag, "sketch": text, "construction": text}
    values = {f.name: table.get(f.name, readers.get(f.name, whole)) for f in fields if f.name in table}
    for field in fields:
        if field.name not in values and field.default is dataclasses.MISSING:
            raise table.error(f"{field.name} is missing")
    with located(where):
        return SCHEMES[name](**values)  # type: ignore[no-any-return]
