"""``uepgpu train``."""

from __future__ import annotations

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Count, Seed, Threads, numbers, words
from uepgpu.commands.options import DataOrder, Estimator, Importance, Init, Order, TrainOptions
from uepgpu.commands.outcome import refusing

__all__ = ["train"]


@app.command
def train(
    name: str,
    /,
    *,
    codes: str = "centralized,uncoded,repetition,now,ew,mds",
    deadline: str = ".25,.5,1,2",
    replicas: Count = 8,
    paradigm: str = "rxc,cxr",
    work: str = "unit",
    data: str | None = None,
    out: str | None = None,
    epochs: Count | None = None,
    rate: float | None = None,
    batch: Count = 64,
    init: Init | None = None,
    data_order: DataOrder | None = None,
    workers: Count = 15,
    latency_rate: float = 0.5,
    gamma: str = ".45,.35,.20",
    order: Order = "norm",
    importance: Importance = "position",
    estimator: Estimator = "zero",
    p_min: float = 0.05,
    threshold: float = 0.0,
    faithful: bool = False,
    evaluate_every: Count = 100,
    test_samples: Count = 2000,
    stack: Count | None = None,
    seed: Seed = 1,
    device: str = "cpu",
    threads: Threads | None = None,
    force: bool = False,
) -> int:
    """Train a network whose dense layers' backward products are computed by stragglers; write curves, a table and figures.

    Every combination of a code, a paradigm, a cost and a deadline is trained, --replicas times each, many at once. Ctrl-C ends
    it early and keeps everything finished so far; the same command resumes it.

    Parameters
    ----------
    name
        The data set with its network: digits (comes with scikit-learn), mnist (784-100-200-10) or cifar10.
    codes
        Of centralized (exact), uncoded, repetition (twofold), now, ew, mds; now-factored, ew-factored, ew-nested (for rxc);
        and repetition-any-late, a published program's mistake, to compare with.
    deadline
        What has not arrived by then is not used; in the unit of time of the latency law.
    replicas
        Trainings of each combination, with their own initial weights, order of the data and stragglers.
    paradigm
        Of rxc (row blocks times column blocks) and cxr (column blocks times row blocks).
    work
        Of unit and true: a packet is charged one product, or those that it takes.
    data
        Folder of the standard files of mnist or cifar10.
    out
        Folder for the results. Default: uepgpu-train-NAME in the current folder.
    epochs
        Passes over the training samples. Default: 3; for digits 20.
    rate
        Learning rate. Default: .01; for digits .1.
    batch
        Samples in a step.
    init
        Initial weights: glorot-normal (variance 2/(inputs + outputs), zero biases) or pytorch. Default: glorot-normal, as
        published; for digits pytorch.
    data_order
        Batches in the order of the file, or shuffled in every epoch. Default: file, as published; for digits shuffled.
    workers
        Workers of now, ew and mds; uncoded has 9, repetition 18. Those of mds can be waited for if there are at least 9.
    latency_rate
        Rate of the exponential latency law.
    gamma
        Window probabilities of now and ew.
    order
        Sort slices by norm, mean_abs or none before cutting.
    importance
        position (classes by place in the sorted order) or step (by the norms of each step's blocks).
    estimator
        zero, debiased (divide by the decoding probability) or lmmse for what is not decoded.
    p_min
        With debiased: least decoding probability that is divided by.
    threshold
        Set incoming gradients below this to zero.
    faithful
        Really encode, multiply and decode (slow), instead of masking exact products.
    evaluate_every
        Steps between points of the curves.
    test_samples
        Test samples evaluated at each point; all of them at the end.
    stack
        Trainings that are computed together. Default: that of the run that is resumed, else what fits in cache or a GPU's memory.
    seed
        Of everything random.
    device
        cpu or cuda (unproven).
    threads
        CPU threads of PyTorch. Default: PyTorch's.
    force
        Replace files in the folder that are no earlier results.
    """
    with refusing():
        from uepgpu.commands.train import run_train
    options = TrainOptions(
        name,
        codes=words(codes),
        deadlines=numbers("--deadline", deadline),
        replicas=replicas,
        paradigms=words(paradigm),
        works=words(work),
        data=data,
        out=out,
        epochs=epochs,
        rate=rate,
        batch=batch,
        init=init,
        data_order=data_order,
        workers=workers,
        latency_rate=latency_rate,
        gamma=numbers("--gamma", gamma),
        order=order,
        importance=importance,
        estimator=estimator,
        p_min=p_min,
        threshold=threshold,
        faithful=faithful,
        evaluate_every=evaluate_every,
        test_samples=test_samples,
        stack=stack,
        seed=seed,
        device=device,
        threads=threads,
        force=force,
    )
    return run_train(options)
