"""The main job: from a specification to the table, the figure and what the terminal shows."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.sweep.fields import closest
from uepgpu.sweep.files import check_folder, write_file
from uepgpu.sweep.spec import read_spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from uepgpu.sweep.curve import Curve
    from uepgpu.sweep.point import Point, Sweep
    from uepgpu.sweep.run import Outcome, Progress

__all__ = ["run_job"]

PIPED_WIDTH = 160


def run_job(spec: str, *, out: str | None, realizations: int | None, seed: int | None, backend: str, threads: int | None) -> int:
    """Run a sweep for the command line, and return the exit code.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    out : str or None
        Folder of the results; None for ``uepgpu-NAME`` in the current folder.
    realizations, seed : int or None
        Override those of the specification.
    backend, threads
        As for :func:`uepgpu.simulate`.
    """
    from uepgpu.gradient_coding.spec import is_gradient_coding

    if is_gradient_coding(spec):
        from uepgpu.gradient_coding.job import run_study

        return run_study(spec, out=out, realizations=realizations, seed=seed, backend=backend, threads=threads)
    from uepgpu.backends import BackendUnavailable
    from uepgpu.sweep.run import check_points, run_points

    try:
        sweep = read_spec(spec, realizations=realizations, seed=seed)
        if out is not None and not out.strip():
            raise ValueError(f"--out must be the name of a folder, got {out!r}")
        folder = Path(f"uepgpu-{sweep.name}") if out is None else Path(out).expanduser()
        check_folder(folder)
        _check_backend(backend)
        check_points(sweep.points)
    except (ValueError, BackendUnavailable) as error:
        _say(str(error))
        return 2
    try:
        with _progress(sweep.points) as progress:
            outcome = run_points(sweep.points, backend=backend, threads=threads, progress=progress)
    except (ValueError, BackendUnavailable) as error:
        _say(str(error))
        return 2
    if outcome.interrupted:
        _say(_interruption(outcome))
        if not outcome.results:
            return 130
    return _show(sweep, outcome, folder)


def _say(message: str) -> None:
    print(f"uepgpu: {' '.join(message.split())}", file=sys.stderr)


def _check_backend(name: str) -> None:
    from uepgpu.backends import BackendUnavailable, available

    known = available()
    if name != "auto" and name not in known:
        raise ValueError(f"--backend must be one of auto, {', '.join(known)}, got {name!r}{closest(name, ['auto', *known])}")
    reason = known.get(name)
    if reason is not None:
        raise BackendUnavailable(f"backend {name!r} cannot run: {reason}")


@contextmanager
def _progress(points: Sequence[Point]) -> Iterator[Progress | None]:
    """Show progress on a terminal; nothing when stderr is piped."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task(f"{len(points)} points", total=sum(p.realizations for p in points))

        def advance(point: Point, count: int) -> None:
            bar.update(task, advance=count, description=point.describe())

        yield advance


def _interruption(outcome: Outcome) -> str:
    if not outcome.results:
        return "interrupted before any realization was finished, nothing is written"
    parts = [f"interrupted; kept {len(outcome.results)} of {len(outcome.results) + len(outcome.missing)} points"]
    last = outcome.results[-1]
    if last.tally.realizations < last.point.realizations:
        parts.append(f"{last.point.describe()} with {last.tally.realizations} of {last.point.realizations} realizations")
    if outcome.missing:
        parts.append("left out, nothing finished: " + ", ".join(p.describe() for p in outcome.missing))
    return "; ".join(parts)


def _show(sweep: Sweep, outcome: Outcome, folder: Path) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    from uepgpu.sweep.curve import curve_of
    from uepgpu.sweep.plot import draw, to_png
    from uepgpu.sweep.table import to_csv

    curves = [curve_of(result) for result in outcome.results]
    table, figure = folder / "table.csv", folder / "loss.png"
    failure = None
    try:
        write_file(table, to_csv(curves).encode())
        write_file(figure, to_png(draw(curves, sweep.title)))
    except OSError as error:
        failure = error
    _print(sweep, curves)
    if failure is not None:
        _say(f"the results could not be written to {str(folder)!r}: {failure}")
        return 1
    rows = sum(len(c.point.deadlines) for c in curves)
    print(f"\nTable   {table}  ({rows} rows)\nFigure  {figure}")
    return 130 if outcome.interrupted else 0


def _print(sweep: Sweep, curves: Sequence[Curve]) -> None:
    from uepgpu.sweep.summary import blocks, print_plain, print_rich

    if not sys.stdout.isatty():
        print(print_plain(blocks(curves, sweep.show, PIPED_WIDTH)))
        return
    from rich.console import Console

    print_rich(blocks(curves, sweep.show, shutil.get_terminal_size().columns), Console())
