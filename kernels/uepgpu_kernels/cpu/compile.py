"""How the loop nests are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit

from uepgpu_kernels.cpu.cache import cache_of

__all__ = ["allocation", "entry", "stage"]

Function = TypeVar("Function", bound=Callable[..., Any])

allocation = njit(nogil=True)
"""A step that allocates arrays; entries call it, and it is compiled into them."""


def stage(function: Function) -> Function:
    """Compile a step that entries call, into them.

    It allocates nothing, and so counts no references: with counts, each call would lock and unlock every array of its
    arguments, a job's 18 among them, in half a microsecond.
    """
    compiled: Function = njit(nogil=True, _nrt=False)(function)  # type: ignore[call-overload]
    return compiled


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
