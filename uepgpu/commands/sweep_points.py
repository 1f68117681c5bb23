"""Runs a specification's points for ``uepgpu sweep``: the store, the table, the figure and what the terminal shows."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.checks import shown
from uepgpu.commands.options import SweepOptions, check_backend, check_drawing
from uepgpu.commands.outcome import UNWRITTEN, Failure, refusing
from uepgpu.console import Table, say, show
from uepgpu.files import Folder, check_folder, check_parents, expand
from uepgpu.sweep.spec import read_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep
    from uepgpu.results.curve import Curve
    from uepgpu.sweep.collect import Collection, Runner

__all__ = ["run_sweep_points"]

PIPED_WIDTH = 160
STORE = "store.db"


def run_sweep_points(spec: str, options: SweepOptions) -> int:
    """Run the points of a specification, and return the exit code.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    options : SweepOptions
    """
    from uepgpu.commands.sweep_results import FILES
    from uepgpu.sweep.run import identify_all

    with refusing():
        sweep = read_spec(spec, realizations=options.realizations, seed=options.seed)
        out = f"uepgpu-{sweep.name}" if options.out is None else options.out
        path = expand("--out", out) / STORE if options.store is None else _store(options.store)
        folder = check_folder("--out", out, FILES, force=options.force, inputs=(spec, path))
        check_backend(options.backend)
        check_drawing()
        identities = identify_all(sweep.points)
        if options.dry_run:
            from uepgpu.commands.dry_run import plan_sweep, print_plan

            print_plan(plan_sweep(sweep, identities, path, options), path)
            return 0
        runner = _runner(options)
    with refusing(), runner as made:  # a cluster that does not answer; what goes wrong later has its own words
        return _collect(spec, sweep, identities, path, folder, made, options)


def _store(name: str) -> Path:
    path = expand("--store", name)
    if path.is_dir():
        raise ValueError(f"--store must be a file, {shown(name)} is a folder")
    check_parents("--store", "file", path, path.parent)
    return path


def _runner(options: SweepOptions) -> AbstractContextManager[Runner]:
    if options.dask is None:
        from uepgpu.sweep.local import Local

        return nullcontext(Local(options.backend, options.threads))
    from uepgpu.sweep.dask_cluster import DaskCluster

    return DaskCluster(options.dask, options.backend, options.threads)


def _collect(
    spec: str, sweep: Sweep, identities: Sequence[Identity], path: Path, folder: Folder, runner: Runner, options: SweepOptions
) -> int:
    from uepgpu.commands.compilation import watched_compilation
    from uepgpu.commands.interruption import asked_to_stop
    from uepgpu.commands.progress import Display
    from uepgpu.store.store import Store
    from uepgpu.sweep.collect import Collection

    with refusing():
        path.parent.mkdir(parents=True, exist_ok=True)
        store = Store(path)
    changed = {name: value for name in ("realizations", "seed") if (value := getattr(options, name)) is not None}
    with refusing(UNWRITTEN), store:  # not a wrong call, which has been checked: the store, a worker, a disk
        collection = Collection(store, sweep, identities, dict(changed))
        _tell_leftovers(collection, path)
        with watched_compilation(here=not collection.finished and options.dask is None and options.backend != "numpy") as compiling:
            began = time.perf_counter()
            display = Display(collection, sys.stderr, compiling, quiet=options.quiet)

            def announce() -> bool:
                if display.waiting:
                    say(f"interrupted while {'kernels compile' if compiling() else 'starting'}: nothing is lost by that")
                    return False
                display.note = "; finishing what runs"
                say("interrupted: finishing the ranges that run; press Ctrl-C again to drop them")
                return True

            with asked_to_stop(announce) as stopping, display.shown():
                try:
                    collection.run(runner, stopping=stopping, progress=display.advance, tick=display.tick)
                    interrupted = not collection.finished
                except KeyboardInterrupt:
                    interrupted = True
        took = time.perf_counter() - began - compiling.seconds
        if interrupted:
            say(_interruption(collection, path), options.resume(spec))
        return _show(collection, folder, path, took, compiling.describe(), interrupted, options.quiet)


def _tell_leftovers(collection: Collection, path: Path) -> None:
    """Say that the store holds points of an earlier specification, when a specification of this name has changed."""
    left = collection.store.left_over(collection.sweep.name, collection.members)
    if left:
        say(
            f"{path} also holds {left} points of an earlier specification called {collection.sweep.name!r} that this one does not "
            "ask for; they are kept"
        )


def _interruption(collection: Collection, path: Path) -> str:
    status = collection.status
    stopped, begun = sum(s.stopped for s in status), sum(s.realizations > 0 for s in status)
    if begun == 0:
        return "interrupted before any range was finished. Resume with:"
    return f"interrupted; {path} keeps {stopped} of {len(status)} points done and {begun - stopped} begun. Resume with:"


def _show(collection: Collection, folder: Folder, path: Path, took: float, compiled: str, interrupted: bool, quiet: bool) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    from uepgpu.commands.sweep_results import MOST_DRAWN, curves_of, write_results

    curves = curves_of(collection)
    if not curves:
        return 130
    failure, files = None, []
    try:
        files = write_results(collection, curves, folder)
    except OSError as error:
        failure = error
    if not quiet:
        _print(collection.sweep, curves)
    if failure is not None:
        raise Failure(f"the results could not be written to {str(folder.path)!r}: {failure}", UNWRITTEN)
    if quiet:
        return 130 if interrupted else 0
    rows = sum(len(c.point.deadlines) for c in curves)
    print(f"\nTable   {files[0]}  ({rows} rows)")
    print(
        f"Figure  {files[1]}" if len(files) > 1 else f"Figure  none: more than {MOST_DRAWN} curves; draw a choice with uepgpu plot"
    )
    if collection.added:
        rate = collection.added / max(took, 1e-9)
        added = f"{collection.added:,} realizations added in {collection.ranges:,} ranges"
        print(f"Store   {path}  ({added}, {rate:.3g} a second{compiled})")
    else:
        print(f"Store   {path}  (finished before, nothing added)")
    return 130 if interrupted else 0


def _print(sweep: Sweep, curves: Sequence[Curve]) -> None:
    from uepgpu.results.setting import describe_setting
    from uepgpu.results.summary import NOTE, blocks

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH
    show(
        [
            describe_setting([c.point for c in curves]),
            NOTE,
            *(Table(block.body, block.header, block.title) for block in blocks(curves, sweep.show, width)),
        ]
    )
