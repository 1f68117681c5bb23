"""A sweep specification: from a TOML file, or the name of a bundled one, to the points that it asks for."""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from uepgpu.sweep import describe
from uepgpu.sweep.fields import SpecError, Table, closest, deadlines, numbers, text, texts, whole
from uepgpu.sweep.point import Point, Sweep
from uepgpu.sweep.stop import StopRule

__all__ = ["MAX_SEED", "bundled_specs", "find_spec", "parse_spec", "read_spec"]

SPECS = Path(__file__).parent / "specs"
TOP_KEYS = ("title", "realizations", "seed", "deadlines", "show", "gamma", "workers", "partitions", "series")
SERIES_KEYS = ("label", "code", "partitions", "workers")
MAX_SEED = 2**64 - 1
MAX_REALIZATIONS = 2**64
DEFAULT_REALIZATIONS = 100_000


def bundled_specs() -> tuple[str, ...]:
    """Return the names of the specifications that come with the package."""
    return tuple(sorted(file.stem for file in SPECS.glob("*.toml")))


def find_spec(spec: str) -> Path:
    """Return the file of a specification: a bundled name (letters only, no path) or a path.

    Raises
    ------
    SpecError
        If there is no such file.
    """
    if spec in bundled_specs():
        return SPECS / f"{spec}.toml"
    path = Path(spec).expanduser()
    if not spec.strip():
        raise SpecError(f"SPEC must be a TOML file or one of {', '.join(bundled_specs())}, got {spec!r}")
    if path.is_dir():
        raise SpecError(f"SPEC must be a TOML file, {spec!r} is a directory")
    if not path.is_file():
        names = ", ".join(bundled_specs())
        raise SpecError(
            f"SPEC: no file {spec!r} and no bundled specification of that name{closest(spec, bundled_specs())}; bundled are {names}"
        )
    return path


def read_spec(spec: str, *, realizations: int | None = None, seed: int | None = None) -> Sweep:
    """Return the sweep that a file or a bundled name describes, checked to the last point.

    Parameters
    ----------
    spec : str
        Path of a TOML file, or one of :func:`bundled_specs`.
    realizations, seed : int, optional
        Override those of the specification.

    Raises
    ------
    SpecError
        With one line that says which key is wrong, what was given and what is allowed.

    Examples
    --------
    >>> sweep = read_spec("paper", realizations=1000)
    >>> len(sweep.points), sweep.points[0].describe()
    (6, 'NOW (rxc, unit work)')
    """
    path = find_spec(spec)
    try:
        written = path.read_text(encoding="utf-8")
        data = tomllib.loads(written)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name} is not valid TOML: {' '.join(str(error).split())}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name} cannot be read: {error}") from None
    try:
        sweep = parse_spec(data, name=path.stem, folder=path.parent, realizations=realizations, seed=seed)
    except SpecError as error:
        raise SpecError(f"{path.name}: {error}") from None
    return replace(sweep, text=written)


def parse_spec(data: dict[str, Any], *, name: str, folder: Path, realizations: int | None = None, seed: int | None = None) -> Sweep:
    """Return the sweep that a parsed specification describes; paths in it are relative to `folder`."""
    top = Table("", data, TOP_KEYS)
    count = top.get("realizations", _realizations, DEFAULT_REALIZATIONS) if realizations is None else realizations
    key = top.get("seed", _seed, 1) if seed is None else seed
    times = top.get("deadlines", deadlines)
    show = top.get("show", deadlines, ())
    for t in show:
        if not any(math.isclose(t, other, abs_tol=1e-12) for other in times):
            raise SpecError(f"show must name some of the deadlines, got {t!r}, which is none of them")
    partitions = _partitions(top, folder)
    gamma = top.get("gamma", numbers, None)
    shared = Table("[workers]", top.get("workers", lambda _, value: value, {}), describe.WORKER_KEYS).data
    points: list[Point] = []
    for number, entry in enumerate(_series(top), start=1):
        where = f"series {number}"
        table = Table(where, entry, SERIES_KEYS)
        label = table.get("label", text)
        where = table.where = f"series {label!r}"
        code = describe.code(f"{where}: code", table.get("code", lambda _, value: value), folder, gamma)
        chosen = table.get("partitions", texts, list(partitions))
        own = Table(f"{where}: workers", table.get("workers", lambda _, value: value, {}), describe.WORKER_KEYS).data
        for part_name in chosen:
            if part_name not in partitions:
                known = f"{', '.join(partitions)}{closest(part_name, partitions)}"
                raise table.error(f"partitions must be names of [partitions.NAME] tables, that is {known}, got {part_name!r}")
            part = partitions[part_name]
            for suffix, workers in describe.worker_grid(f"{where}: workers" if own else "[workers]", shared | own, folder):
                with describe.located(f"{where} with partition {part_name!r}"):
                    code.law(part, workers.count)
                points.append(Point(label + suffix, part_name, code, part, workers, times, StopRule(count), key))
    _refuse_duplicates(points)
    return Sweep(name, top.get("title", text, name), tuple(points), show)


def _realizations(key: str, value: Any) -> int:
    count = whole(key, value)
    if not 1 <= count <= MAX_REALIZATIONS:
        raise SpecError(f"{key} must be an integer from 1 to 2**64, got {value!r}")
    return count


def _seed(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SEED:
        raise SpecError(f"{key} must be an integer from 0 to 2**64 - 1, got {value!r}")
    return value


def _partitions(top: Table, folder: Path) -> dict[str, Any]:
    tables = top.get("partitions", lambda _, value: value)
    if not isinstance(tables, dict) or not tables:
        raise SpecError(f"partitions must be tables [partitions.NAME], at least one, got {tables!r}")
    return {name: describe.partition(f"[partitions.{name}]", table, folder) for name, table in tables.items()}


def _series(top: Table) -> list[Any]:
    series = top.get("series", lambda _, value: value)
    if not isinstance(series, list) or not series:
        raise SpecError(f"series must be tables [[series]], at least one, got {series!r}")
    return series


def _refuse_duplicates(points: list[Point]) -> None:
    seen: set[tuple[str, ...]] = set()
    for point in points:
        identity = (*point.panel, point.series)
        if identity in seen:
            raise SpecError(f"series must differ in label, partition or workers, but two are called {point.describe()}")
        seen.add(identity)
