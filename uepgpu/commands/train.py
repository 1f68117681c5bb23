"""What ``uepgpu train`` does: from options to an experiment, what is written and printed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import finite, integer, positive, require_memory, shown
from uepgpu.commands.compilation import watched_compilation
from uepgpu.commands.options import TrainOptions, check_drawing
from uepgpu.commands.outcome import Failure, exits, refusing, writing
from uepgpu.console import Table, progress, say, show
from uepgpu.files import Folder, check_folder, expand, table_kind
from uepgpu.files.kinds import PNG
from uepgpu.results.courses import Course, read_courses
from uepgpu.train.checkpoint import Checkpoints, held_description
from uepgpu.train.course import DataOrder, Settings, members_per_stack
from uepgpu.train.data import SOURCES, load_dataset
from uepgpu.train.named import Entry, entries
from uepgpu.train.networks import NETWORKS, Network
from uepgpu.train.results import Series, accuracy_band, curves_csv, reach, reached_csv
from uepgpu.train.run import Experiment, run_stacks, series_of

__all__ = ["run_train"]

EPOCHS = {"digits": 20, "mnist": 3, "cifar10": 3}
RATE = {"digits": 0.1, "mnist": 0.01, "cifar10": 0.01}
DATA_ORDER: dict[str, DataOrder] = {"digits": "shuffled", "mnist": "file", "cifar10": "file"}
MOST_STEPS = 10**11
"""A day at a million steps a second, which no machine reaches."""
BYTES_PER_POINT = 64
"""Of a training's curves: train and test accuracy, and what is made of them."""
ACCURACIES = (0.6, 0.7, 0.8, 0.85)
DOTS_PER_INCH = 90
"""Resolution; sixteen panels with bands make large files."""


TABLE = table_kind(("code", "paradigm", "work"))
FILES = {"curves.csv": TABLE, "table.csv": TABLE, "accuracy-steps.png": PNG, "accuracy-time.png": PNG, "accuracy-cost.png": PNG}
"""What is written into the folder of the results, besides its checkpoints."""


@exits
def run_train(options: TrainOptions) -> int:
    """Run the command, and return the exit code."""
    with refusing():
        if options.threads is not None:
            import torch

            torch.set_num_threads(options.threads)
        out = f"uepgpu-train-{options.name}" if options.out is None else options.out
        folder = check_folder("--out", out, FILES, force=options.force)
        check_drawing()
        experiment = _experiment(options, folder.path)
        store = Checkpoints(folder.path, experiment.description())
    finished, interrupted = 0, False
    stacks = len(experiment.stacks())
    trainings = len(experiment.entries) * experiment.replicas
    steps = experiment.settings.steps(len(experiment.data.train_y))
    try:
        with (
            writing("the results", folder.path),
            watched_compilation() as compiling,
            progress(f"{trainings} trainings of {steps} steps", trainings * steps, compiling) as advance,
        ):
            store.begin()
            for _ in run_stacks(experiment, store, advance):
                finished += 1
    except ValueError as error:
        raise Failure(error) from error
    except KeyboardInterrupt:
        interrupted = True
        kept = f"{finished} of {stacks} stacks are finished and kept in {str(folder.path)!r}"
        say(f"interrupted; {kept}, the same command resumes from there")
    if interrupted and not finished:
        return 130
    return _show(experiment, store, options, folder, interrupted=interrupted)


# --- from options to an experiment ------------------------------------------------------------------------------------


def _device(name: str) -> str:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"--device must be cpu or cuda, got {shown(name)}") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"--device must be cpu or cuda, got {shown(name)}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda cannot run: PyTorch finds no CUDA device; use --device cpu")
    return name


def _stack(given: int | None, folder: Path, network: Network, batch: int, device: str) -> int:
    """Return how many trainings go together: as said, as in the run that is resumed, or what fits now, which on a GPU changes."""
    if given is not None:
        return integer("--stack", given, 1)
    held = held_description(folder)
    return members_per_stack(network, batch, device) if held is None else integer(f"{folder}: stack", held.get("stack"), 1)


def _experiment(options: TrainOptions, folder: Path) -> Experiment:
    """Return the experiment; everything is checked before any training."""
    name = options.name
    if name not in SOURCES:
        raise ValueError(f"the data set must be one of {', '.join(SOURCES)}, got {shown(name)}")
    paradigms: Any = options.paradigms
    rows = entries(
        options.codes,
        paradigms,
        options.works,
        [positive("--deadline", finite("--deadline", deadline), zero=True) for deadline in options.deadlines],
        workers=integer("--workers", options.workers, 1),
        rate=positive("--latency-rate", options.latency_rate),
        gamma=options.gamma,
        seed=options.seed,
        order=None if options.order == "none" else options.order,
        importance=options.importance,
        estimator=options.estimator,
        p_min=options.p_min,
        threshold=options.threshold,
        faithful=options.faithful,
    )
    network = NETWORKS[name]
    network = dataclasses.replace(network, init=network.init if options.init is None else options.init)
    batch = integer("--batch", options.batch, 1)
    device = _device(options.device)
    settings = Settings(
        rate=positive("--rate", RATE[name] if options.rate is None else options.rate),
        batch=batch,
        epochs=integer("--epochs", EPOCHS[name] if options.epochs is None else options.epochs, 1),
        seed=options.seed,
        evaluate_every=integer("--evaluate-every", options.evaluate_every, 1),
        test_samples=integer("--test-samples", options.test_samples, 1),
        device=device,
        data_order=DATA_ORDER[name] if options.data_order is None else options.data_order,
    )
    stack = _stack(options.stack, folder, network, batch, device)
    replicas = integer("--replicas", options.replicas, 1)
    data = load_dataset(name, None if options.data is None else expand("--data", options.data))
    if options.faithful:
        _check_batches(batch, len(data.train_y), rows)
    _check_cost(len(rows) * replicas, settings.steps(len(data.train_y)), settings.evaluate_every)
    return Experiment(data, network, rows, replicas, min(stack, len(rows) * replicas), settings)


def _check_cost(trainings: int, steps: int, evaluate_every: int) -> None:
    """Raise ``ValueError`` if nobody can wait for so many steps, or their curves do not fit into memory."""
    if trainings * steps > MOST_STEPS:
        raise ValueError(
            f"{trainings:,} trainings of {steps:,} steps are {trainings * steps:.2g} steps, and at most {MOST_STEPS:.0e} can be: "
            "take fewer --replicas, --epochs or combinations"
        )
    points = steps // evaluate_every + 2
    require_memory(f"{points:,} points of the curves of {trainings:,} trainings", trainings * points * BYTES_PER_POINT)


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


def _show(experiment: Experiment, store: Checkpoints, options: TrainOptions, folder: Folder, *, interrupted: bool) -> int:
    """Write the files, then print: a reader that closes the pipe must not cost the files."""
    with refusing():  # a stack that was finished before may have been damaged since
        series = series_of(experiment, store, works=options.works, workers=options.workers, rate=options.latency_rate)
    with writing("the results", folder.path):
        folder.write("curves.csv", curves_csv(series).encode())
        folder.write("table.csv", reached_csv(series, ACCURACIES).encode())
        written = _figures(read_courses(folder.path / "curves.csv"), experiment.data.name)
        for name, png in written.items():
            folder.write(name, png)
    show([_table(series)])
    print(f"\nTable   {folder.path / 'table.csv'}\nCurves  {folder.path / 'curves.csv'}")
    for name in written:
        print(f"Figure  {folder.path / name}")
    return 130 if interrupted else 0


def _figures(courses: Sequence[Course], name: str) -> dict[str, bytes]:
    """Return the figures by file name; of none where no training has such a curve."""
    from uepgpu.charts import NothingToShow
    from uepgpu.charts.training import drawn_by_train, training_chart
    from uepgpu.figures import draw_chart, to_bytes

    drawn = {}
    for what, (title, member, along, measures) in drawn_by_train(courses).items():
        try:
            chart = training_chart([c for c in courses if member(c)], f"{name}: {title}", along, measures)
        except NothingToShow:  # against time, of centralized training alone
            continue
        drawn[f"accuracy-{what}.png"] = to_bytes(draw_chart(chart), "png", DOTS_PER_INCH)
    return drawn


def _table(series: Sequence[Series]) -> Table:
    """Return the final accuracies with the simulated times to the test accuracies."""
    ends = ("final test accuracy", "final training accuracy", *(f"time to {a:.0%}" for a in ACCURACIES))
    rows = []
    for s in series:
        times = []
        for accuracy in ACCURACIES:
            r = reach(s, accuracy)
            shown = "never" if r.reached == 0 else "-" if math.isnan(r.time) else f"{r.time:.0f}"
            times.append(shown if r.reached in (0, r.replicas) else f"{shown} ({r.reached}/{r.replicas})")
        final = [_interval(values) for values in (s.final, s.final_train)]
        rows.append((s.code, s.paradigm, s.work, f"{s.deadline:g}", str(s.steps[-1]), *final, *times))
    return Table(rows, ("code", "paradigm", "cost", "deadline", "steps", *ends), text=(0, 1, 2))


def _interval(values: NDArray[np.float64]) -> str:
    mean, low, high = (float(x) for x in accuracy_band(values))
    return f"{mean:.4f}" + ("" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]")
