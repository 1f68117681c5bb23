"""What a law of supports must be, asked of codes that are not of this library."""

from __future__ import annotations

import numpy as np

from uepgpu.checks import shown
from uepgpu.codes.supports import SupportLaw

__all__ = ["check_law"]

FIELDS = ("generic", "gf2", "gf256", "real")


def check_law(law: SupportLaw, k: int, n_workers: int) -> None:
    """Raise ``ValueError`` unless the fields of a law fit together, the partition and the number of workers.

    Parameters
    ----------
    law : SupportLaw
    k, n_workers : int
        Number of sub-products K and of workers W.
    """
    if law.n_subproducts != k:
        raise _wrong(f"n_subproducts must be that of the partition, {k}", law.n_subproducts)
    if law.field not in FIELDS:
        raise _wrong(f"field must be one of {', '.join(FIELDS)}", law.field)
    if (law.supports is None) == (law.degrees is None):
        raise _wrong("either supports or degrees must be given", "both" if law.supports is not None else "neither")
    if (law.probabilities is None) == (law.window is None):
        raise _wrong("either probabilities or window must be given", "both" if law.window is not None else "neither")
    if law.supports is not None:
        _shape("supports", law.supports, (None, k), np.bool_)
        if not law.supports.any(axis=1).all():
            raise _wrong("supports must not have an empty one", int((~law.supports.any(axis=1)).argmax()))
    count = len(law.degrees) if law.supports is None and law.degrees is not None else len(law.supports)  # type: ignore[arg-type]
    if law.degrees is not None:
        _shape("degrees", law.degrees, (None,), np.integer)
        if count == 0 or law.degrees.min() < 1 or law.degrees.max() > k:
            raise _wrong(f"degrees must be integers from 1 to K = {k}", law.degrees)
    _shape("work", law.work, (count,), np.integer)
    if count == 0 or law.work.min() < 1:
        raise _wrong("work must be integers >= 1, one for every support", law.work)
    if law.probabilities is not None:
        _shape("probabilities", law.probabilities, (count,), np.floating)
        if not (law.probabilities >= 0).all() or abs(law.probabilities.sum() - 1.0) > 1e-9:
            raise _wrong("probabilities must be >= 0 and sum to 1", law.probabilities)
    if law.window is not None:
        _shape("window", law.window, (n_workers,), np.integer)
        if law.window.min() < 0 or law.window.max() >= count:
            raise _wrong(f"window must be numbers of supports, 0 to {count - 1}", law.window)
    if law.generator is not None:
        _shape("generator", law.generator, (n_workers, k), np.floating)
        if not np.isfinite(law.generator).all():
            raise _wrong("generator must be finite", law.generator)


def _shape(name: str, array: object, shape: tuple[int | None, ...], kind: type) -> None:
    words = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ("," if len(shape) == 1 else "") + ")"
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, kind):
        raise _wrong(f"{name} must be an array of {kind.__name__.rstrip('_')} numbers", array)
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise _wrong(f"{name} must have shape {words}", array.shape)


def _wrong(allowed: str, given: object) -> ValueError:
    return ValueError(f"code.law returned a SupportLaw that is none: {allowed}, got {shown(given)}")
