"""``uepgpu sweep`` of a specification of gradient coding: run its points, write table and figure, print a summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.files import check_folder, write_file

if TYPE_CHECKING:
    from uepgpu.gradient_coding.study import Study, StudyPoint
    from uepgpu.gradient_coding.table import Convergence

__all__ = ["run_study"]

TABLE, FIGURE = "table.csv", "convergence.png"


def run_study(spec: str, *, out: str | None, realizations: int | None, seed: int | None, backend: str, threads: int | None) -> int:
    """Run a study for the command line, and return the exit code; arguments as for :func:`uepgpu.commands.sweep.run_job`.

    Ctrl-C keeps the points that are finished.
    """
    from uepgpu.backends import BackendUnavailable
    from uepgpu.gradient_coding.engines import find_engine
    from uepgpu.specification.study import read_study

    try:
        study = read_study(spec, realizations=realizations, seed=seed)
        if out is not None and not out.strip():
            raise ValueError(f"--out must be the name of a folder, got {out!r}")
        folder = Path(f"uepgpu-{study.name}") if out is None else Path(out).expanduser()
        check_folder(folder)
        if (folder / FIGURE).is_dir():
            raise ValueError(f"--out must be a folder for {TABLE} and {FIGURE}, but {str(folder / FIGURE)!r} is a folder")
        find_engine(backend)
    except (ValueError, BackendUnavailable) as error:
        _say(str(error))
        return 2
    curves: list[Convergence] = []
    interrupted = False
    try:
        with _progress(study.points) as progress:
            for point in study.points:
                curves.append(_run(point, backend, threads, progress))
    except ValueError as error:
        # What only a run shows, as a latency law of whose servers some never answer.
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        interrupted = True
        if not curves:
            _say("interrupted before any point was finished, nothing is written")
            return 130
        _say(f"interrupted; kept {len(curves)} of {len(study.points)} points")
    return _show(study, curves, folder, interrupted)


def _say(message: str) -> None:
    print(f"uepgpu: {' '.join(message.split())}", file=sys.stderr)


def _run(point: StudyPoint, backend: str, threads: int | None, progress: Callable[[StudyPoint, int], None] | None) -> Convergence:
    from uepgpu.gradient_coding.descent import descend
    from uepgpu.gradient_coding.table import Convergence

    run = descend(
        point.problem,
        point.scheme,
        point.workers,
        iterations=point.iterations,
        realizations=point.realizations,
        seed=point.seed,
        step=point.step,
        decay=point.decay,
        deadlines=point.deadlines,
        backend=backend,
        threads=threads,
        progress=None if progress is None else lambda count: progress(point, count),
    )
    return Convergence(point, run)


@contextmanager
def _progress(points: Sequence[StudyPoint]) -> Iterator[Callable[[StudyPoint, int], None] | None]:
    """Show progress on a terminal; nothing when stderr is piped."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{len(points)} points", total=sum(p.realizations for p in points))
        yield lambda point, count: bar.update(task, advance=count, description=point.describe())


def _show(study: Study, curves: Sequence[Convergence], folder: Path, interrupted: bool) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    from uepgpu.figures import to_png
    from uepgpu.figures.descent import draw
    from uepgpu.gradient_coding.table import print_plain, to_csv

    text = to_csv(curves)
    failure = None
    try:
        write_file(folder / TABLE, text.encode())
        write_file(folder / FIGURE, to_png(draw(curves, study.title)))
    except OSError as error:
        failure = error
    print(print_plain(study, curves))
    if failure is not None:
        _say(f"the results could not be written to {str(folder)!r}: {failure}")
        return 1
    print(f"\nTable   {folder / TABLE}  ({text.count(chr(10)) - 1} rows)\nFigure  {folder / FIGURE}")
    return 130 if interrupted else 0
