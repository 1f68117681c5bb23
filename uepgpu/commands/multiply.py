"""What ``uepgpu multiply`` does: from options to descriptions, one call of the library, and what is printed and written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uepgpu.commands.options import Keep, MultiplyOptions
from uepgpu.commands.outcome import exits, refusing, writing
from uepgpu.console import Table, show
from uepgpu.files import Kind, Output, check_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uepgpu.codes import Code
    from uepgpu.partition import Partition
    from uepgpu.products import ProductResult
    from uepgpu.workers import Workers

__all__ = ["run_multiply"]

PRODUCT = Kind(("npy",), None)


@exits
def run_multiply(options: MultiplyOptions) -> int:
    """Run the command, and return the exit code."""
    with refusing():
        target = _target(options)
        part, workers, code = _partition(options), _workers(options), _code(options)
        everything = target is not None and options.keep == "product"
        result = _multiply(options, part, code, workers, options.realizations, "product" if everything else "loss")
        product = result.product
        if target is not None and not everything:
            product = _multiply(options, part, code, workers, 1, "product").product[0]
    if target is not None:
        with writing("the product", target.path):
            _write(target, product)
    rows = _rows(part, code, workers, options, result)
    if target is not None:
        which = f"Ĉ of {'all realizations' if everything else 'the first realization'}, shape {product.shape}"
        rows.append(("product", f"{target.path}  ({which})"))
    show([Table(rows, text=(0, 1))])
    return 0


def _multiply(options: MultiplyOptions, part: Partition, code: Code, workers: Workers, count: int, keep: Keep) -> ProductResult:
    from uepgpu.products import multiply

    return multiply(
        part,
        code,
        workers,
        deadline=options.deadline,
        realizations=count,
        seed=options.seed,
        decoder=options.decoder,
        prior=options.prior,
        faithful=options.faithful,
        noise=options.noise,
        dtype=options.dtype,
        keep=keep,
        backend=options.backend,
        threads=options.threads,
    )


# --- from options to descriptions -------------------------------------------------------------------------------------


def _partition(options: MultiplyOptions) -> Partition:
    from uepgpu.partition import Partition

    order = None if options.order == "none" else options.order
    if options.paradigm == "rxc":
        return Partition.rxc(options.a, options.b, rows=options.rows, cols=options.cols, classes=options.classes, order=order)
    return Partition.cxr(options.a, options.b, blocks=options.blocks, classes=options.classes, order=order)


def _workers(options: MultiplyOptions) -> Workers:
    from uepgpu.specification.workers import law_of_words
    from uepgpu.workers import Workers

    return Workers(options.workers, latency=law_of_words("--latency", options.latency), omega=options.omega, work=options.work)


def _code(options: MultiplyOptions) -> Code:
    from uepgpu import codes

    name = options.code
    if options.encoding != "auto" and name not in ("now", "ew", "mds"):
        raise ValueError(f"--encoding is for the codes now, ew and mds, got --code {name}")
    if name in ("now", "ew"):
        if options.gamma is None:
            raise ValueError(f"--code {name} needs --gamma: the probabilities of its windows, e.g. --gamma .4,.35,.25")
        kind = codes.NonOverlappingWindow if name == "now" else codes.ExpandingWindow
        window: Any = options.window  # each of the two allows some, and says which
        return kind(options.gamma, encoding=options.encoding, window=window)
    for option, given in (("gamma", options.gamma), ("window", options.window)):
        if given is not None:
            raise ValueError(f"--{option} is for the codes now and ew, got --code {name}")
    if name == "mds":
        return codes.MDS(encoding=options.encoding)
    if name == "repetition":
        return codes.Repetition(options.copies)
    return codes.Uncoded() if name == "uncoded" else codes.LT()


# --- what is written and printed --------------------------------------------------------------------------------------


def _target(options: MultiplyOptions) -> Output | None:
    """Return the file to write, checked before any work."""
    if options.output is not None:
        inputs = [factor.split(".npz:")[0] + ".npz" if ".npz:" in factor else factor for factor in (options.a, options.b)]
        return check_file("--output", options.output, (PRODUCT,), force=options.force, inputs=inputs)
    if options.keep == "product":
        raise ValueError("--keep product needs a file to write to: -o C.npy")
    return None


def _write(target: Output, product: Any) -> None:
    with target.new() as part, part.open("wb") as file:
        np.save(file, product)


def _exact(part: Partition, code: Code, workers: Workers, options: MultiplyOptions) -> float | None:
    """Return the exact normalized loss, where theory has one and the decoder is the one that it is for."""
    from uepgpu import theory

    if options.decoder != "linear" or options.dtype != "float64" or options.noise > 0 or not np.isfinite(options.deadline):
        return None
    try:
        return float(theory.loss(code, part, workers, deadlines=[options.deadline]).normalized_loss[0])
    except NotImplementedError:
        return None


def _rows(part: Partition, code: Code, workers: Workers, options: MultiplyOptions, result: ProductResult) -> list[tuple[str, str]]:
    from uepgpu.results.setting import describe_workers

    summary = result.summary()
    n = result.loss.size
    exact = _exact(part, code, workers, options)
    flagged, disagreements = int(result.flagged.sum()), result.disagreements
    median, largest = _number(summary.condition), _number(_greatest(result.condition))
    return [
        ("product", repr(part)),
        ("code", repr(code)),
        ("setting", describe_workers(workers, part.n_subproducts)),
        ("workers", f"{workers.count}, deadline {options.deadline:g}, {float(summary.arrived):.2f} packets arrived on average"),
        ("realizations", f"{n:,} (seed {options.seed}, backend {result.backend})"),
        ("loss", f"{_loss(result.normalized_loss)} of ‖AB‖²{'' if exact is None else f'; exact {_number(exact, 6)}'}"),
        ("decoded", ", ".join(f"class {c}: {p:.4f}" for c, p in enumerate(result.decoded_classes.mean(axis=0), start=1))),
        ("condition", f"median {median}, largest {largest}; largest residual {_number(_greatest(result.residual), 2)}"),
        ("flagged", f"{flagged} of {n:,} ({disagreements} where floating point decodes another set)"),
        ("time", ", ".join(f"{stage} {value:.4f} s" for stage, value in result.seconds.items())),
    ]


def _number(value: Any, digits: int = 4) -> str:
    """Return a number; what is not finite is none."""
    return f"{float(value):.{digits}g}" if np.isfinite(value) else "–"


def _greatest(values: NDArray[np.float64]) -> float:
    """Return the greatest of the finite values."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else 0.0


def _loss(loss: NDArray[np.float64]) -> str:
    """Return the mean normalized loss with its 95 % interval.

    Student's t where enough realizations lose more than the mean and enough less; else an exact bound for values in [0, 1],
    which does not take what has not been seen for impossible. A loss above 1, of noise or cross terms, has no such bound.
    """
    from uepgpu.tally.intervals import ENOUGH, LEVEL, clopper_pearson, t_factor

    n, mean = loss.size, float(loss.mean())
    if not np.isfinite(mean):
        return f"unknown: it is not finite in {int((~np.isfinite(loss)).sum()):,} of {n:,} realizations"
    if min((loss > mean).sum(), (loss < mean).sum()) >= ENOUGH:
        half = float(t_factor(n - 1)) * float(loss.std(ddof=1)) / np.sqrt(n)
        low, high = mean - half, mean + half
    elif loss.max() <= 1:
        low, high = (float(bound) for bound in clopper_pearson(loss.sum(), n, 1 - LEVEL))
    else:
        return f"{mean:.6g} (too few realizations for an interval)"
    return f"{mean:.6g}, 95 % interval [{low:.4g}, {high:.4g}],"
