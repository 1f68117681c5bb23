"""What the command line says: the typed options of the commands that have many, and the words that they allow."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, fields
from typing import Literal

__all__ = ["MultiplyOptions", "SweepOptions", "TrainOptions", "check_backend", "check_drawing"]

Code = Literal["now", "ew", "mds", "uncoded", "repetition", "lt"]
Paradigm = Literal["rxc", "cxr"]
Order = Literal["norm", "mean_abs", "none"]
Encoding = Literal["auto", "free", "factored", "stacked"]
Window = Literal["level-pair", "nested", "max-rectangle", "bounding-box"]
WorkModel = Literal["true", "unit"]
Decoder = Literal["linear", "peel", "lmmse"]
Prior = Literal["gram", "energy"]
Dtype = Literal["float64", "float32", "float16"]
Keep = Literal["loss", "product"]
Importance = Literal["position", "step"]
Estimator = Literal["zero", "debiased", "lmmse"]
Init = Literal["glorot-normal", "pytorch"]
DataOrder = Literal["file", "shuffled"]


@dataclass(frozen=True)
class SweepOptions:
    """What the command line says besides the specification.

    Attributes
    ----------
    out : str or None
        Folder of the results; None for ``uepgpu-NAME`` in the current folder.
    store : str or None
        The store; None for ``store.db`` in the folder of the results.
    realizations, seed : int or None
        Override those of the specification.
    backend, threads
        As for :func:`uepgpu.simulate`.
    dask : str or None
        Address of a scheduler, ``"local"`` for a cluster of this machine's processes, None for this process alone.
    quiet : bool
        Show no progress and print nothing but errors.
    force : bool
        Replace files in the folder of the results that are no earlier results.
    dry_run : bool
        Show what would be done, and do nothing.
    """

    out: str | None = None
    store: str | None = None
    realizations: int | None = None
    seed: int | None = None
    backend: str = "auto"
    threads: int | None = None
    dask: str | None = None
    quiet: bool = False
    force: bool = False
    dry_run: bool = False

    def resume(self, spec: str) -> str:
        """Return the command to resume."""
        words = ["uepgpu", "sweep", spec]
        for field in fields(self):
            value = getattr(self, field.name)
            if value == field.default:
                continue
            bare = value is True or (field.name, value) == ("dask", "local")
            words += [f"--{field.name}"] if bare else [f"--{field.name}", str(value)]
        return shlex.join(words)


@dataclass(frozen=True)
class MultiplyOptions:
    """What the command line says, which :func:`uepgpu.cli.multiply.multiply` describes."""

    a: str
    b: str
    code: Code
    deadline: float
    gamma: tuple[float, ...] | None
    workers: int
    paradigm: Paradigm
    rows: int
    cols: int
    blocks: int
    classes: tuple[int, ...] | Literal["auto"]
    order: Order
    encoding: Encoding
    window: Window | None
    copies: int
    latency: str
    omega: float | Literal["fair"]
    work: WorkModel
    decoder: Decoder
    prior: Prior
    faithful: bool
    noise: float
    dtype: Dtype
    keep: Keep
    realizations: int
    seed: int
    backend: str
    threads: int | None
    output: str | None
    force: bool


@dataclass(frozen=True)
class TrainOptions:
    """What the command line says, which :func:`uepgpu.cli.train.train` describes."""

    name: str
    codes: tuple[str, ...]
    deadlines: tuple[float, ...]
    replicas: int
    paradigms: tuple[str, ...]
    works: tuple[str, ...]
    data: str | None
    out: str | None
    epochs: int | None
    rate: float | None
    batch: int
    init: Init | None
    data_order: DataOrder | None
    workers: int
    latency_rate: float
    gamma: tuple[float, ...]
    order: Order
    importance: Importance
    estimator: Estimator
    p_min: float
    threshold: float
    faithful: bool
    evaluate_every: int
    test_samples: int
    stack: int | None
    seed: int
    device: str
    threads: int | None
    force: bool


def check_drawing() -> None:
    """Raise ``ValueError`` if the environment names a backend that matplotlib does not have: it could not be loaded."""
    name = os.environ.get("MPLBACKEND")
    if not name:
        return
    from uepgpu.checks import shown

    try:
        import matplotlib  # noqa: F401
    except (ValueError, ImportError):
        raise ValueError(f"the environment variable MPLBACKEND must name a backend of matplotlib, got {shown(name)}") from None


def check_backend(name: str) -> None:
    """Raise what :func:`uepgpu.backends.get_backend` raises for a named backend that cannot run."""
    if name == "auto":  # something always runs, and loading it can wait until something is to be run
        return
    from uepgpu.backends import get_backend

    get_backend(name)
