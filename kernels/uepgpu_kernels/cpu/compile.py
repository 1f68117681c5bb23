"""How the loop nests are compiled."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import njit
from numba.core.registry import CPUDispatcher

from uepgpu_kernels.cpu.cache import cache_of

__all__ = ["allocation", "entry", "stage"]

Step = TypeVar("Step", bound=Callable[..., Any])


class Inner(CPUDispatcher):
    """A step that compiled code calls.

    It gets none of the wrappers by which Python or C would call it: they are a sixth of the time to compile an entry.
    """

    def __call__(self, *arguments: Any) -> Any:
        """Run as plain Python, where Numba would jump to a wrapper that is not there."""
        return self.py_func(*arguments)


def _tell_apart(function: Callable[..., Any]) -> None:
    """Give a function that a factory makes a name of its own in compiled code.

    There Numba calls it by its qualified name, its types and a number that starts anew in every process. Two functions of one
    factory, cached by two processes, could have one name, and a third process would run the first that it loads for both.
    """
    if function.__closure__:
        function.__qualname__ += f".{uuid.uuid4().hex}"


def _inner(function: Step, **options: bool) -> Step:
    if getattr(numba.config, "DISABLE_JIT", 0):
        return function
    _tell_apart(function)
    options = {"nopython": True, "nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True} | options
    return Inner(function, targetoptions=options)  # type: ignore[return-value]


def stage(function: Step) -> Step:
    """Compile a step that entries call, into them. It allocates nothing, and so counts no references.

    With counts, each call would lock and unlock every array of its arguments, a job's 18 among them, in half a microsecond.
    """
    return _inner(function, _nrt=False)


def allocation(function: Step) -> Step:
    """Compile a step that allocates arrays."""
    return _inner(function)


def entry(function: Callable[..., None], name: str = "") -> Any:
    """Compile a function that Python calls: without the GIL, cached on disk where that is possible.

    `name` tells apart entries that one factory makes.
    """
    dispatcher: Any = njit(nogil=True)(function)
    if getattr(numba.config, "DISABLE_JIT", 0):
        return dispatcher
    cache = cache_of(function, name)  # its files have the name that the function has in the source
    if cache is not None:
        dispatcher._cache = cache
    _tell_apart(function)
    return dispatcher
