"""Runs the points of a specification of gradient coding for ``uepgpu sweep``, writes table and figure, prints a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from uepgpu.commands.compilation import watched_compilation
from uepgpu.commands.options import SweepOptions, check_drawing
from uepgpu.commands.outcome import UNWRITTEN, Failure, refusing
from uepgpu.console import Table, progress, say, show
from uepgpu.files import Folder, check_folder
from uepgpu.files.kinds import PNG
from uepgpu.gradient_coding.table import TABLE

if TYPE_CHECKING:
    from uepgpu.gradient_coding.study import Convergence, Study

__all__ = ["run_study"]

FILES = {"table.csv": TABLE, "convergence.png": PNG}


def run_study(spec: str, options: SweepOptions) -> int:
    """Run a study, and return the exit code. Ctrl-C keeps the points that are finished.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    options : SweepOptions
    """
    from uepgpu.gradient_coding.engines import find_engine
    from uepgpu.gradient_coding.study import run_point
    from uepgpu.specification.study import read_study

    for name in ("store", "dask", "dry_run"):
        if getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            raise Failure(f"{option} is not for a specification of gradient coding: its points are short and are not stored")
    with refusing():
        study = read_study(spec, realizations=options.realizations, seed=options.seed)
        out = f"uepgpu-{study.name}" if options.out is None else options.out
        folder = check_folder("--out", out, FILES, force=options.force, inputs=(spec,))
        find_engine(options.backend)
        check_drawing()
    curves: list[Convergence] = []
    interrupted = False
    try:
        # What only a run shows is refused too, as a latency law of whose servers some never answer.
        with (
            refusing(),
            watched_compilation(here=options.backend != "numpy") as compiling,
            progress(
                f"{len(study.points)} points", sum(p.realizations for p in study.points), compiling, quiet=options.quiet
            ) as advance,
        ):
            for point in study.points:
                curves.append(run_point(point, backend=options.backend, threads=options.threads, advance=advance))
    except KeyboardInterrupt:
        interrupted = True
        if not curves:
            say("interrupted before any point was finished, nothing is written")
            return 130
        say(f"interrupted; kept {len(curves)} of {len(study.points)} points")
    return _show(study, curves, folder, compiling.describe(), interrupted, options.quiet)


def _show(study: Study, curves: Sequence[Convergence], folder: Folder, compiled: str, interrupted: bool, quiet: bool) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    from uepgpu.charts.descent import descent_chart
    from uepgpu.figures import draw_chart, to_png
    from uepgpu.gradient_coding.table import NOTE, summary, to_csv
    from uepgpu.results.descents import descents_of
    from uepgpu.results.setting import describe_workers

    text = to_csv(curves)
    failure = None
    try:
        folder.write("table.csv", text.encode())
        folder.write("convergence.png", to_png(draw_chart(descent_chart(descents_of(curves), study.title))))
    except OSError as error:
        failure = error
    first = curves[0].point
    if not quiet:
        show(
            [
                describe_workers(first.workers, first.problem.blocks),
                NOTE,
                *(Table(rows, header, title) for title, header, rows in summary(study, curves)),
            ]
        )
    if failure is not None:
        raise Failure(f"the results could not be written to {str(folder.path)!r}: {failure}", UNWRITTEN)
    if quiet:
        return 130 if interrupted else 0
    table, figure = (output.path for output in folder.outputs.values())
    realizations = sum(c.point.realizations for c in curves)
    print(f"\nTable   {table}  ({text.count(chr(10)) - 1} rows)\nFigure  {figure}\nDone    {realizations:,} realizations{compiled}")
    return 130 if interrupted else 0
