"""How the loop nests are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit

from uepgpu_kernels.cpu.cache import cache_of

__all__ = ["allocation", "entry", "stage"]

Step = TypeVar("Step", bound=Callable[..., Any])


def stage(function: Step) -> Step:
    """Compile a step that entries call, into them. It allocates nothing, and so counts no references.

    With counts, each call would lock and unlock every array of its arguments, a job's 18 among them, in half a microsecond.
    """
    return njit(nogil=True, _nrt=False)(function)  # type: ignore[call-overload, no-any-return]


allocation = njit(nogil=True)
"""A step that allocates arrays."""


def entry(function: Callable[..., None], name: str = "") -> Any:
    """Compile a function that Python calls: without the GIL, cached on disk where that is possible.

    `name` tells apart entries that one factory makes.
    """
    dispatcher: Any = njit(nogil=True)(function)
    if getattr(numba.config, "DISABLE_JIT", 0):
        return dispatcher
    cache = cache_of(function, name)
    if cache is not None:
        dispatcher._cache = cache
    return dispatcher
