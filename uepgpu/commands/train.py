"""``uepgpu train``: from words to an experiment, what is written and printed."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uepgpu.checks import choice, finite, integer, positive
from uepgpu.files import check_folder, write_file
from uepgpu.train.checkpoint import Checkpoints, held_description
from uepgpu.train.course import DATA_ORDERS, DataOrder, Settings, members_per_stack
from uepgpu.train.data import SOURCES, load_dataset
from uepgpu.train.named import Entry, entries
from uepgpu.train.networks import INITS, NETWORKS, Network
from uepgpu.train.results import Series, accuracy_band, curves_csv, reach, reached_csv
from uepgpu.train.run import Experiment, run_stacks, series_of

__all__ = ["run_train"]

EPOCHS = {"digits": 20, "mnist": 3, "cifar10": 3}
RATE = {"digits": 0.1, "mnist": 0.01, "cifar10": 0.01}
DATA_ORDER: dict[str, DataOrder] = {"digits": "shuffled", "mnist": "file", "cifar10": "file"}
ACCURACIES = (0.6, 0.7, 0.8, 0.85)


def run_train(**options: Any) -> int:
    """Run the command, whose options :func:`uepgpu.cli.train.train` describes; return the exit code."""
    try:
        if options["threads"] is not None:
            torch.set_num_threads(options["threads"])
        folder = Path(options["out"] or f"uepgpu-train-{options['name']}").expanduser()
        check_folder(folder)
        experiment, words = _experiment(options, folder)
        store = Checkpoints(folder, experiment.description())
    except (ValueError, OSError, ImportError) as error:
        return _fail(str(error), 2)
    finished, interrupted = 0, False
    stacks = len(experiment.stacks())
    try:
        store.begin()
        with _progress(experiment) as progress:
            for _ in run_stacks(experiment, store, progress):
                finished += 1
    except ValueError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"the results could not be written to {str(folder)!r}: {error}", 1)
    except KeyboardInterrupt:
        interrupted = True
        again = "the same command goes on from there"
        _fail(f"interrupted; {finished} of {stacks} stacks are finished and kept in {str(folder)!r}, {again}", 130)
    if interrupted and not finished:
        return 130
    return _show(experiment, store, words, folder, interrupted=interrupted)


def _fail(message: str, code: int) -> int:
    print(f"uepgpu: {' '.join(message.split())}", file=sys.stderr)
    return code


# --- from words to an experiment --------------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(word) for word in _words(text)]
    except ValueError:
        raise ValueError(f"--{name} must be numbers with commas between, got {text!r}") from None


def _device(name: str) -> str:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device must be cpu or cuda, got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda cannot run: PyTorch finds no CUDA device; use --device cpu")
    return name


def _stack(given: int | None, folder: Path, network: Network, batch: int, device: str) -> int:
    """Return how many trainings go together: as said, as in the run that goes on, or what fits now, which on a GPU changes."""
    if given is not None:
        return integer("--stack", given, 1)
    held = held_description(folder)
    return members_per_stack(network, batch, device) if held is None else integer(f"{folder}: stack", held.get("stack"), 1)


def _experiment(options: dict[str, Any], folder: Path) -> tuple[Experiment, dict[str, Any]]:
    """Return the experiment, and the words that results need too; everything is checked before any training."""
    name = options["name"]
    if name not in SOURCES:
        raise ValueError(f"the data set must be one of {', '.join(SOURCES)}, got {name!r}")
    deadlines = [positive("--deadline", finite("--deadline", d), zero=True) for d in _numbers("deadline", options["deadline"])]
    gamma = tuple(_numbers("gamma", options["gamma"]))
    words: dict[str, Any] = {
        "works": _words(options["work"]),
        "workers": integer("--workers", options["workers"], 1),
        "rate": positive("--latency-rate", options["latency_rate"]),
    }
    paradigms: Any = _words(options["paradigm"])
    rows = entries(
        _words(options["codes"]),
        paradigms,
        words["works"],
        deadlines,
        workers=words["workers"],
        rate=words["rate"],
        gamma=gamma,
        seed=options["seed"],
        order=None if choice("--order", options["order"], ("norm", "mean_abs", "none")) == "none" else options["order"],
        importance=options["importance"],
        estimator=options["estimator"],
        p_min=options["p_min"],
        threshold=options["threshold"],
        faithful=options["faithful"],
    )
    network = NETWORKS[name]
    init: Any = network.init if options["init"] is None else choice("--init", options["init"], INITS)
    network = dataclasses.replace(network, init=init)
    data_order: Any = DATA_ORDER[name] if options["data_order"] is None else options["data_order"]
    choice("--data-order", data_order, DATA_ORDERS)
    batch = integer("--batch", options["batch"], 1)
    device = _device(options["device"])
    settings = Settings(
        rate=positive("--rate", RATE[name] if options["rate"] is None else options["rate"]),
        batch=batch,
        epochs=integer("--epochs", EPOCHS[name] if options["epochs"] is None else options["epochs"], 1),
        seed=options["seed"],
        evaluate_every=integer("--evaluate-every", options["evaluate_every"], 1),
        test_samples=integer("--test-samples", options["test_samples"], 1),
        device=device,
        data_order=data_order,
    )
    stack = _stack(options["stack"], folder, network, batch, device)
    replicas = integer("--replicas", options["replicas"], 1)
    data = load_dataset(name, None if options["data"] is None else Path(options["data"]).expanduser())
    if options["faithful"]:
        _check_batches(batch, len(data.train_y), rows)
    return Experiment(data, network, rows, replicas, min(stack, len(rows) * replicas), settings), words


def _check_batches(batch: int, samples: int, rows: Sequence[Entry]) -> None:
    """Raise ``ValueError`` if a batch, the last of an epoch included, cannot be cut into blocks, which --faithful really does."""
    least = max((row.scheme.shape[0] for row in rows if row.scheme is not None), default=1)
    smallest = min(batch, samples % batch or batch)
    if smallest < least:
        raise ValueError(
            f"--batch must leave at least {least} samples for every batch with --faithful, which cuts them into {least} blocks; "
            f"got {batch}, and {smallest} in the last of {samples} samples"
        )


# --- what is shown ----------------------------------------------------------------------------------------------------


@contextmanager
def _progress(experiment: Experiment) -> Iterator[Callable[[int], None] | None]:
    """Show progress on a terminal; nothing when stderr is piped."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        trainings = len(experiment.entries) * experiment.replicas
        steps = experiment.settings.steps(len(experiment.data.train_y))
        task = bar.add_task(f"{trainings} trainings of {steps} steps", total=trainings * steps)
        yield lambda done: bar.update(task, advance=done)


def _show(experiment: Experiment, store: Checkpoints, words: dict[str, Any], folder: Path, *, interrupted: bool) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    from uepgpu.figures.training import figures

    series = series_of(experiment, store, **words)
    try:
        write_file(folder / "curves.csv", curves_csv(series).encode())
        write_file(folder / "table.csv", reached_csv(series, ACCURACIES).encode())
        written = figures(series, experiment.data.name)
        for name, png in written.items():
            write_file(folder / name, png)
    except OSError as error:
        return _fail(f"the results could not be written to {str(folder)!r}: {error}", 1)
    print("\n".join(_table(series)))
    print(f"\nTable   {folder / 'table.csv'}\nCurves  {folder / 'curves.csv'}")
    for name in written:
        print(f"Figure  {folder / name}")
    return 130 if interrupted else 0


def _table(series: Sequence[Series]) -> list[str]:
    """Return the final accuracies with the simulated times to the test accuracies, a line each."""
    heads = "".join(f"{f'time to {a:.0%}':>16s}" for a in ACCURACIES)
    ends = f"{'final test accuracy':>22s} {'training accuracy':>22s}"
    lines = [f"{'code':28s} {'paradigm':8s} {'cost':5s} {'deadline':>8s} {'steps':>6s} {ends}{heads}"]
    for s in series:
        cells = []
        for accuracy in ACCURACIES:
            r = reach(s, accuracy)
            shown = "never" if r.reached == 0 else "-" if math.isnan(r.time) else f"{r.time:.0f}"
            cells.append(shown if r.reached in (0, r.replicas) else f"{shown} ({r.reached}/{r.replicas})")
        times = "".join(f"{cell:>16s}" for cell in cells)
        ends = f"{_final(s.final):>22s} {_final(s.final_train):>22s}"
        lines.append(f"{s.code:28s} {s.paradigm:8s} {s.work:5s} {s.deadline:8g} {s.steps[-1]:6d} {ends}{times}")
    return lines


def _final(values: NDArray[np.float64]) -> str:
    mean, low, high = (float(x) for x in accuracy_band(values))
    return f"{mean:.4f}" + ("" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]")
