"""``uepgpu multiply``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from uepgpu.cli.app import app
from uepgpu.cli.arguments import Count, Realizations, Seed, Threads, number, numbers, whole_numbers
from uepgpu.commands.options import Code, Decoder, Dtype, Encoding, Keep, MultiplyOptions, Order, Paradigm, Prior, Window, WorkModel

__all__ = ["multiply"]


@app.command
def multiply(
    a: str,
    b: str,
    /,
    *,
    code: Code,
    deadline: float,
    gamma: str | None = None,
    workers: Count = 30,
    paradigm: Paradigm = "rxc",
    rows: Count = 3,
    cols: Count = 3,
    blocks: Count = 9,
    classes: str = "auto",
    order: Order = "norm",
    encoding: Encoding = "auto",
    window: Window | None = None,
    copies: Count = 2,
    latency: str = "exponential",
    omega: str = "1",
    work: WorkModel = "true",
    decoder: Decoder = "linear",
    prior: Prior = "gram",
    faithful: bool = False,
    noise: float = 0.0,
    dtype: Dtype = "float64",
    keep: Keep = "loss",
    realizations: Realizations = 1000,
    seed: Seed = 1,
    backend: str = "auto",
    threads: Threads | None = None,
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
    force: bool = False,
) -> int:
    """Multiply two matrices as workers with stragglers would: encode, multiply, decode what has come back by a deadline.

    Prints the loss, the exact one where there is a formula, the classes that were decoded, conditioning, and time by stage.

    Parameters
    ----------
    a, b
        The factors: .npy files, .npz files of one array, or file.npz:key.
    code
        now, ew, mds, uncoded, repetition or lt.
    deadline
        What has not arrived by then is not used; "inf" waits for all.
    gamma
        Window probabilities of now and ew, e.g. .4,.35,.25.
    workers
        Number of workers W.
    paradigm
        rxc (row blocks times column blocks) or cxr (column blocks times row blocks).
    rows, cols
        Blocks of A and of B for rxc.
    blocks
        Blocks for cxr.
    classes
        Sizes of the importance classes, e.g. 3,3,3, or auto.
    order
        Order rows and columns by norm, mean_abs or none before cutting.
    encoding
        auto, free, factored or stacked.
    window
        For factored now and ew: level-pair, nested, max-rectangle or bounding-box.
    copies
        Copies for repetition.
    latency
        Law of the time that one block product takes: a name with values, "weibull shape=0.7 scale=2", or a table as in
        specifications, "{ law = 'empirical', samples = 'times.csv', column = 'seconds' }" (docs/specification.md). Files
        are relative to the current folder.
    omega
        Load normalisation Ω: a number, or fair (K / W: the same total work however many workers share it).
    work
        true charges a packet what it really takes, unit charges one.
    decoder
        linear (what is decodable, zero for the rest), peel, or lmmse (the best linear estimate of everything).
    prior
        What lmmse knows: gram or energy.
    faithful
        Multiply the encoded factors of every packet, instead of combining sub-products computed once.
    noise
        Relative noise on payloads; needs --faithful.
    dtype
        Arithmetic of the workers: float64, float32 or float16.
    keep
        With -o: loss writes the product of the first realization, shape (U, Q); product those of all, (R, U, Q).
    realizations
        How many realizations, e.g. 1000 or 1e5.
    seed
        Seed of all draws.
    backend
        What computes: auto or a name from "uepgpu info".
    threads
        CPU threads. Default: all cores.
    output
        A new .npy file for the product.
    force
        Replace a file. Inputs and stores are never replaced.
    """
    from uepgpu.commands.multiply import run_multiply

    options = MultiplyOptions(
        a,
        b,
        code=code,
        deadline=deadline,
        gamma=None if gamma is None else numbers("--gamma", gamma),
        workers=workers,
        paradigm=paradigm,
        rows=rows,
        cols=cols,
        blocks=blocks,
        classes="auto" if classes == "auto" else whole_numbers("--classes", classes),
        order=order,
        encoding=encoding,
        window=window,
        copies=copies,
        latency=latency,
        omega="fair" if omega == "fair" else number("--omega", omega, "a number > 0 or fair"),
        work=work,
        decoder=decoder,
        prior=prior,
        faithful=faithful,
        noise=noise,
        dtype=dtype,
        keep=keep,
        realizations=realizations,
        seed=seed,
        backend=backend,
        threads=threads,
        output=output,
        force=force,
    )
    return run_multiply(options)
