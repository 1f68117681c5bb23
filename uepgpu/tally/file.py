"""Tallies in files: NumPy's .npz with a JSON header."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from uepgpu.tally.tally import ARRAYS, Tally
from uepgpu_kernels.job import SUB_BATCHES

__all__ = ["read_tally", "write_tally"]

FORMAT = 2


def write_tally(tally: Tally, path: str | os.PathLike[str]) -> None:
    """Write a tally, whole or not at all."""
    target = Path(path)
    plain = {f.name: getattr(tally, f.name) for f in fields(tally) if f.name not in ARRAYS}
    arrays = {name: a for name in ARRAYS if (a := getattr(tally, name)) is not None}
    header = json.dumps({"format": FORMAT, **plain})
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with open(temporary, "xb") as file:
            np.savez_compressed(file, header=np.array(header), **arrays)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def read_tally(path: str | os.PathLike[str]) -> Tally:
    """Read a tally and check it; ``ValueError`` for anything else."""
    with open(path, "rb") as raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                header: dict[str, Any] = json.loads(str(file["header"]))
                arrays: dict[str, Any] = {key: file.get(key) for key in ARRAYS}
            if header.pop("format") != FORMAT:
                raise ValueError(f"it is of another format than {FORMAT}; read it with the version that wrote it")
            header["ranges"] = tuple((int(a), int(b)) for a, b in header["ranges"])
            tally = Tally(**header, **arrays)
            _check(tally)
        except Exception as error:  # whatever numpy, zipfile and json make of a foreign file
            reason = " ".join(str(error).split())
            text = f"{os.fspath(path)!r} is no tally written by Tally.save: {type(error).__name__}: {reason}"
            raise ValueError(text) from error
    return tally


def _check(tally: Tally) -> None:
    """Raise ``ValueError`` if the arrays do not fit each other."""
    k = tally.classes.size
    t = tally.n_packets + 1 if tally.deadlines is None else tally.deadlines.size
    shapes = {
        "patterns": (SUB_BATCHES, t, 1 << tally.n_classes),
        "pairs": (SUB_BATCHES, t, k * (k + 1) // 2),
        "marginals": (SUB_BATCHES, t, k),
    }
    held = [name for name in shapes if getattr(tally, name) is not None]
    if "patterns" not in held or (not tally.class_wise and len(held) != 2):
        raise ValueError(f"it holds {held}")
    for name in held:
        array = getattr(tally, name)
        if array.shape != shapes[name] or array.dtype != np.int64:
            raise ValueError(f"{name} must be int64 of shape {shapes[name]}, not {array.dtype} of {array.shape}")
        if np.any(array < 0):
            raise ValueError(f"{name} must not be negative")
    bounds = [bound for span in tally.ranges for bound in span]
    if not bounds or bounds[0] < 0 or bounds[-1] > 2**64 or any(b <= a for a, b in tally.ranges) or sorted(bounds) != bounds:
        raise ValueError(f"ranges must be ascending and disjoint within 0..2^64, not {tally.ranges}")
    sizes = [sum(-(-(stop - b) // SUB_BATCHES) - -(-(start - b) // SUB_BATCHES) for start, stop in tally.ranges) for b in range(32)]
    if np.any(tally.patterns.sum(axis=2) != np.array(sizes)[:, None]):
        raise ValueError("the counts do not add up to the realizations")
    if not np.array_equal(np.unique(tally.classes), np.arange(1, tally.n_classes + 1)):
        raise ValueError(f"classes must be 1..L without gaps, not {np.unique(tally.classes).tolist()}")
    if (tally.domain == "deadline") != (tally.deadlines is not None):
        raise ValueError(f"its domain is {tally.domain!r}, and deadlines are {'missing' if tally.deadlines is None else 'there'}")
    if not (isinstance(tally.seed, int) and 0 <= tally.seed < 2**64):
        raise ValueError(f"seed must be an integer in 0..2^64-1, not {tally.seed!r}")
