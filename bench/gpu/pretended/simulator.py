"""Runs launches of the pretended device in Numba's simulator: pickles come and go until the pipe is closed."""

from __future__ import annotations

import importlib
import os
import pickle
import sys
import traceback
from typing import Any

import numpy as np


def found_at(place: tuple[str, str]) -> Any:
    module, name = place
    return getattr(importlib.import_module(module), name)


def kernel_of(which: str, kernel: Any, kinds: list[Any], arguments: list[Any]) -> tuple[Any, list[Any]]:
    """Return what is launched, and its arguments."""
    if which == "function":
        from uepgpu_kernels.cuda.stage import kernel as numba_kernel

        words = iter(arguments)
        given = [next(words) if isinstance(kind, str) else found_at(kind[0])._make(next(words) for _ in kind[1]) for kind in kinds]
        return numba_kernel(found_at(kernel)), given
    from uepgpu_kernels.cuda.kernel import kernel_of as of_shape
    from uepgpu_kernels.cuda.tables import Tables

    n = len(Tables._fields)
    return of_shape(kernel), [*arguments[:5], Tables._make(arguments[5 : 5 + n]), *arguments[5 + n :]]


def main() -> None:
    """Serve."""
    sys.setswitchinterval(5e-4)  # the simulator waits for its threads in a loop, which holds them up
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what is printed must not come between
    while True:
        try:
            which, kernel, kinds, blocks, threads, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        before = [x.copy() if isinstance(x, np.ndarray) else None for x in arguments]
        found, error = [], ""
        try:
            launched, given = kernel_of(which, kernel, kinds, arguments)
            launched[blocks, threads](*given)
            found = [None if old is None or np.array_equal(old, x) else x for old, x in zip(before, arguments, strict=True)]
        except Exception:
            error = traceback.format_exc()
        pickle.dump((found, error), answers)
        answers.flush()


if __name__ == "__main__":
    main()
