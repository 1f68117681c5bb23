"""The main job: from a specification to the store, the table, the figure and what the terminal shows."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from uepgpu.commands.options import Options
from uepgpu.files import check_folder
from uepgpu.sweep.spec import read_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uepgpu.points.identity import Identity
    from uepgpu.points.point import Sweep
    from uepgpu.results.curve import Curve
    from uepgpu.sweep.collect import Collection, Runner

__all__ = ["run_job"]

PIPED_WIDTH = 160
STORE = "store.db"


def run_job(spec: str, options: Options) -> int:
    """Run a sweep for the command line, and return the exit code.

    Parameters
    ----------
    spec : str
        TOML file or bundled name.
    options : Options
    """
    from uepgpu.specification.study import is_gradient_coding

    if is_gradient_coding(spec):
        return _run_study(spec, options)
    from uepgpu.backends import BackendUnavailable
    from uepgpu.sweep.run import identify_all

    try:
        sweep = read_spec(spec, realizations=options.realizations, seed=options.seed)
        for name, value in (("out", options.out), ("store", options.store)):
            if value is not None and not value.strip():
                raise ValueError(f"--{name} must be the name of a {'folder' if name == 'out' else 'file'}, got {value!r}")
        folder = Path(f"uepgpu-{sweep.name}") if options.out is None else Path(options.out).expanduser()
        check_folder(folder)
        path = folder / STORE if options.store is None else Path(options.store).expanduser()
        _check_store(path, options.store)
        _check_backend(options.backend)
        identities = identify_all(sweep.points)
        if options.dry_run:
            from uepgpu.commands.dry_run import plan_sweep, print_plan

            print_plan(plan_sweep(sweep, identities, path, options), path)
            return 0
        runner = _runner(options)
    except (ValueError, BackendUnavailable) as error:
        _say(str(error))
        return 2
    try:
        with runner as made:
            return _collect(spec, sweep, identities, path, folder, made, options)
    except ValueError as error:  # the cluster does not answer; what goes wrong later has been said by then
        _say(str(error))
        return 2


def _run_study(spec: str, options: Options) -> int:
    from uepgpu.commands.study import run_study

    for name in ("store", "dask", "dry_run"):
        if getattr(options, name):
            _say(
                f"--{name.replace('_', '-')} is not for a specification of gradient coding: its points are short and are not stored"
            )
            return 2
    return run_study(
        spec,
        out=options.out,
        realizations=options.realizations,
        seed=options.seed,
        backend=options.backend,
        threads=options.threads,
    )


def _say(message: str) -> None:
    print(f"uepgpu: {' '.join(message.split())}", file=sys.stderr, flush=True)


def _check_store(path: Path, given: str | None) -> None:
    if given is not None and not path.parent.is_dir():
        raise ValueError(
            f"--store must be a file in a folder that exists, got {str(path)!r}: there is no folder {str(path.parent)!r}"
        )
    if path.is_dir():
        raise ValueError(f"--store must be a file, {str(path)!r} is a folder")


def _check_backend(name: str) -> None:
    if name == "auto":  # something always runs, and loading it can wait until something is to be run
        return
    from uepgpu.backends import get_backend

    get_backend(name)


def _runner(options: Options) -> AbstractContextManager[Runner]:
    if options.dask is None:
        from uepgpu.sweep.local import Local

        return nullcontext(Local(options.backend, options.threads))
    from uepgpu.sweep.dask_cluster import DaskCluster

    return DaskCluster(options.dask, options.backend, options.threads)


def _collect(
    spec: str, sweep: Sweep, identities: Sequence[Identity], path: Path, folder: Path, runner: Runner, options: Options
) -> int:
    from uepgpu.backends import BackendUnavailable
    from uepgpu.commands.interruption import asked_to_stop
    from uepgpu.commands.progress import Display
    from uepgpu.store.errors import StoreError
    from uepgpu.store.store import Store
    from uepgpu.sweep.collect import Collection

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store = Store(path)
    except (OSError, StoreError) as error:
        _say(str(error))
        return 2
    changed = {name: value for name in ("realizations", "seed") if (value := getattr(options, name)) is not None}
    with store:
        try:
            collection = Collection(store, sweep, identities, dict(changed))
            display = Display(collection, sys.stderr)
            _tell_leftovers(collection, path)

            def announce() -> None:
                display.note = "; finishing what runs"
                _say("interrupted: finishing the ranges that run; press Ctrl-C again to drop them")

            began = time.perf_counter()
            with asked_to_stop(announce) as stopping, display.shown():
                try:
                    collection.run(runner, stopping=stopping, progress=display.advance, tick=display.tick)
                    interrupted = not collection.finished
                except KeyboardInterrupt:
                    interrupted = True
            took = time.perf_counter() - began
            if interrupted:
                _say(_interruption(collection, path, options.resume(spec)))
            return _show(collection, folder, path, took, interrupted)
        except (ValueError, BackendUnavailable) as error:
            # Not a wrong call: that has been checked. The store, a worker, a disk.
            _say(str(error))
            return 1


def _tell_leftovers(collection: Collection, path: Path) -> None:
    """Say that the store holds points of an earlier specification, when a specification of this name has changed."""
    left = collection.store.left_over(collection.sweep.name, collection.members)
    if left:
        _say(
            f"{path} also holds {left} points of an earlier specification called {collection.sweep.name!r} that this one does not "
            "ask for; they are kept"
        )


def _interruption(collection: Collection, path: Path, resume: str) -> str:
    status = collection.status
    stopped, begun = sum(s.stopped for s in status), sum(s.realizations > 0 for s in status)
    if begun == 0:
        return f"interrupted before any range was finished. Go on with: {resume}"
    return f"interrupted; {path} keeps {stopped} of {len(status)} points done and {begun - stopped} begun. Go on with: {resume}"


def _show(collection: Collection, folder: Path, path: Path, took: float, interrupted: bool) -> int:
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
    _print(collection.sweep, curves)
    if failure is not None:
        _say(f"the results could not be written to {str(folder)!r}: {failure}")
        return 1
    rows = sum(len(c.point.deadlines) for c in curves)
    print(f"\nTable   {files[0]}  ({rows} rows)")
    print(
        f"Figure  {files[1]}" if len(files) > 1 else f"Figure  none: more than {MOST_DRAWN} curves; draw a choice with uepgpu plot"
    )
    if collection.added:
        rate = collection.added / took
        print(f"Store   {path}  ({collection.added:,} realizations added in {collection.ranges:,} ranges, {rate:.3g} a second)")
    else:
        print(f"Store   {path}  (finished before, nothing added)")
    return 130 if interrupted else 0


def _print(sweep: Sweep, curves: Sequence[Curve]) -> None:
    from uepgpu.results.summary import blocks, print_plain, print_rich

    if not sys.stdout.isatty():
        print(print_plain(blocks(curves, sweep.show, PIPED_WIDTH)))
        return
    from rich.console import Console

    print_rich(blocks(curves, sweep.show, shutil.get_terminal_size().columns), Console())
