"""What ``uepgpu multiply`` does: from words to descriptions, one call of the library, and what is printed and written."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from uepgpu.codes import Code
    from uepgpu.partition import Partition
    from uepgpu.products import ProductResult
    from uepgpu.workers import Workers

__all__ = ["run_multiply"]

CODES = ("now", "ew", "mds", "uncoded", "repetition", "lt")
MULTIPLY = ("deadline", "decoder", "prior", "faithful", "noise", "dtype", "realizations", "seed", "backend", "threads")


def run_multiply(**options: Any) -> int:
    """Run the command, whose options :func:`uepgpu.cli.multiply.multiply` describes; return the exit code."""
    from uepgpu.backends import BackendUnavailable
    from uepgpu.products import multiply

    try:
        target = _target(options["output"], options["keep"])
        part, workers = _partition(options), _workers(options)
        code = _code(options)
        call = {name: options[name] for name in MULTIPLY}
        everything = target is not None and options["keep"] == "product"
        result = multiply(part, code, workers, **call, keep="product" if everything else "loss")
        product = result.product
        if target is not None and not everything:
            product = multiply(part, code, workers, **call | {"realizations": 1}, keep="product").product[0]
    except (ValueError, OSError, BackendUnavailable) as error:
        return _fail(str(error), 2)
    if target is not None:
        try:
            _write(target, product)
        except OSError as error:
            return _fail(f"the product could not be written to {str(target)!r}: {error}", 1)
    print("\n".join(_lines(part, code, workers, options, result)))
    if target is not None:
        which = (
            f"Ĉ of all realizations, shape {product.shape}" if everything else f"Ĉ of the first realization, shape {product.shape}"
        )
        print(f"product       {target}  ({which})")
    return 0


def _fail(message: str, code: int) -> int:
    print(f"uepgpu: {' '.join(message.split())}", file=sys.stderr)
    return code


# --- from words to descriptions ---------------------------------------------------------------------------------------


def _numbers(name: str, text: str, kind: type) -> list[Any]:
    try:
        return [kind(item) for item in text.split(",")]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"--{name} must be {what} with commas between, got {text!r}") from None


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"--{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def _partition(options: dict[str, Any]) -> Partition:
    from uepgpu.partition import Partition

    classes = options["classes"] if options["classes"] == "auto" else _numbers("classes", options["classes"], int)
    order: Any = None if _choice("order", options["order"], ("norm", "mean_abs", "none")) == "none" else options["order"]
    shared: dict[str, Any] = {"classes": classes, "order": order}
    if _choice("paradigm", options["paradigm"], ("rxc", "cxr")) == "rxc":
        return Partition.rxc(options["a"], options["b"], rows=options["rows"], cols=options["cols"], **shared)
    return Partition.cxr(options["a"], options["b"], blocks=options["blocks"], **shared)


def _workers(options: dict[str, Any]) -> Workers:
    from uepgpu.latency import Exponential
    from uepgpu.workers import Workers

    omega = options["omega"]
    if omega != "fair":
        try:
            omega = float(omega)
        except ValueError:
            raise ValueError(f"--omega must be a number > 0 or fair, got {omega!r}") from None
    return Workers(options["workers"], latency=Exponential(options["rate"]), omega=omega, work=options["work"])


def _code(options: dict[str, Any]) -> Code:
    from uepgpu import codes

    name = _choice("code", options["code"], CODES)
    windowed = name in ("now", "ew")
    if windowed and options["gamma"] is None:
        raise ValueError(f"--code {name} needs --gamma: the probabilities of its windows, e.g. --gamma .4,.35,.25")
    for option, given in (("gamma", options["gamma"] is not None), ("window", options["window"] is not None)):
        if given and not windowed:
            raise ValueError(f"--{option} is for the codes now and ew, got --code {name}")
    if options["encoding"] != "auto" and name not in ("now", "ew", "mds"):
        raise ValueError(f"--encoding is for the codes now, ew and mds, got --code {name}")
    if windowed:
        kind = codes.NonOverlappingWindow if name == "now" else codes.ExpandingWindow
        gamma = _numbers("gamma", options["gamma"], float)
        return kind(gamma, encoding=options["encoding"], window=options["window"])
    if name == "mds":
        return codes.MDS(encoding=options["encoding"])
    return {"uncoded": codes.Uncoded, "lt": codes.LT}[name]() if name != "repetition" else codes.Repetition(options["copies"])


# --- what is written and printed --------------------------------------------------------------------------------------


def _target(output: str | None, keep: str) -> Path | None:
    """Return the file to write, checked before any work."""
    _choice("keep", keep, ("loss", "product"))
    if output is None:
        if keep == "product":
            raise ValueError("--keep product needs a file to write to: -o C.npy")
        return None
    path = Path(output).expanduser()
    if path.suffix != ".npy":
        raise ValueError(f"--output must be an .npy file, got {output!r}")
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise ValueError(f"--output must be a file in a folder that exists and can be written, got {output!r}")
    return path


def _write(path: Path, product: Any) -> None:
    from uepgpu.files import write_file

    buffer = io.BytesIO()
    np.save(buffer, product)
    write_file(path, buffer.getvalue())


def _exact(part: Partition, code: Code, workers: Workers, options: dict[str, Any]) -> float | None:
    """Return the exact normalized loss, where theory has one and the decoder is the one that it is for."""
    from uepgpu import theory

    if (
        options["decoder"] != "linear"
        or options["dtype"] != "float64"
        or options["noise"] > 0
        or not np.isfinite(options["deadline"])
    ):
        return None
    try:
        return float(theory.loss(code, part, workers, deadlines=[options["deadline"]]).normalized_loss[0])
    except NotImplementedError:
        return None


def _lines(part: Partition, code: Code, workers: Workers, options: dict[str, Any], result: ProductResult) -> list[str]:
    summary = result.summary()
    n = result.loss.size
    loss, stderr = float(summary.normalized_loss), float(summary.normalized_loss_stderr)
    exact = _exact(part, code, workers, options)
    decoded = ", ".join(f"class {c + 1}: {p:.4f}" for c, p in enumerate(result.decoded_classes.mean(axis=0)))
    finite = result.condition[np.isfinite(result.condition)]
    worst = float(finite.max()) if finite.size else 0.0
    seconds = ", ".join(f"{stage} {value:.4f} s" for stage, value in result.seconds.items())
    return [
        f"product       {part!r}",
        f"code          {code!r}",
        f"workers       {workers.count}, deadline {options['deadline']:g}, {float(summary.arrived):.2f} packets arrived on average",
        f"realizations  {n:,} (seed {options['seed']}, backend {result.backend})",
        f"loss          {loss:.6g} ± {stderr:.2g} of ‖AB‖²" + ("" if exact is None else f"; exact {exact:.6g}"),
        f"decoded       {decoded}",
        f"condition     median {float(summary.condition):.4g}, largest {worst:.4g}; largest residual {result.residual.max():.2g}",
        f"flagged       {int(result.flagged.sum())} of {n:,} ({result.disagreements} where floating point decodes another set)",
        f"time          {seconds}",
    ]
