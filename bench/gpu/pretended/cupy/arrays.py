"""Arrays of the pretended device."""

from __future__ import annotations

import functools
import operator
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np

TOTAL = 2**30
"""Bytes of the device."""

_held = 0
_counting = threading.RLock()  # a collection of garbage may come in between


class OutOfMemoryError(MemoryError):
    """As CuPy's own, which is a MemoryError too."""


def take(size: int) -> None:
    """Take memory of the device, or give it back."""
    global _held
    with _counting:
        if size > TOTAL - _held:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes (allocated so far: {_held:,} bytes).")
        _held += size


def free() -> int:
    return TOTAL - _held


class _Allocation:
    def __init__(self, size: int) -> None:
        take(size)
        self.size = size

    def __del__(self) -> None:
        take(-getattr(self, "size", 0))


class ndarray:
    """An array on the device."""

    __array_ufunc__ = None  # so that NumPy's arrays do not take it for a scalar
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, host: np.ndarray) -> None:
        self._host = host
        base = host
        while isinstance(base.base, np.ndarray):
            base = base.base
        self._memory = _Allocation(base.nbytes if base is host else 0)

    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    dtype = property(lambda self: self._host.dtype)
    nbytes = property(lambda self: self._host.nbytes)

    @property
    def data(self) -> Any:
        """Where it is, as CuPy says it."""
        return types.SimpleNamespace(ptr=self._host.ctypes.data)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __getitem__(self, at: Any) -> ndarray:
        return ndarray(np.asarray(self._host[_place(at)]))

    def __setitem__(self, at: Any, value: Any) -> None:
        self._host[_place(at)] = inside(value)

    def astype(self, dtype: Any, copy: bool = True) -> ndarray:
        return ndarray(self._host.astype(dtype, copy=copy))

    def reshape(self, *shape: Any) -> ndarray:
        return ndarray(self._host.reshape(*shape))

    def __invert__(self) -> ndarray:
        return ndarray(~self._host)

    def __neg__(self) -> ndarray:
        return ndarray(-self._host)


def inside(value: Any) -> Any:
    """Return what is inside a device array, or a scalar; refuse arrays of the host, as CuPy does."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (list, tuple)):
        return type(value)(inside(x) for x in value)
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}")
    return value


def _place(at: Any) -> Any:
    return inside(at)


def on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of NumPy one of the device."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> ndarray:
        return ndarray(np.asarray(function(*map(inside, args), **{key: inside(x) for key, x in kwargs.items()})))

    return call


def _operators() -> None:
    for name in ("add", "sub", "mul", "truediv", "pow", "matmul", "and", "or", "lt", "le", "gt", "ge", "eq", "ne"):
        plain = getattr(operator, f"__{name}__")
        setattr(ndarray, f"__{name}__", lambda a, b, plain=plain: on_device(plain)(a, b))
        setattr(ndarray, f"__r{name}__", lambda a, b, plain=plain: on_device(plain)(b, a))
    for name in ("iadd", "isub", "imul"):
        within = getattr(operator, f"__{name}__")

        def change(a: ndarray, b: Any, within: Any = within) -> ndarray:
            within(a._host, inside(b))
            return a

        setattr(ndarray, f"__{name}__", change)


_operators()
