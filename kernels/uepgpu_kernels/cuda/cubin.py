"""Machine code of kernels: compiled for a compute capability without a device, and kept on disk for the next process."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numba
from numba.core.caching import FunctionCache

from uepgpu_kernels.cuda.ptx import compile_function, compile_shape
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.sealed import Unsafe, private_folder, read_sealed, seal, source_digest, warn_once, writing

__all__ = ["Capability", "Cubin", "Kept", "capability_of", "function_cubin", "kept_in", "shape_cubin"]

Capability = tuple[int, int]


class Cubin(NamedTuple):
    """Machine code, and the name of the one kernel in it."""

    entry: str
    code: bytes


class Kept(NamedTuple):
    """A kernel's machine code, and whether it was on disk."""

    cubin: Cubin
    found: bool


def capability_of(text: str) -> Capability:
    """Return the compute capability that ``"sm_90"`` names.

    ``"sm_90a"`` is a device's own name for what it can do beyond; code for sm_90 runs there, and so it names the same.

    Raises
    ------
    ValueError
        If it names none.

    Examples
    --------
    >>> capability_of("sm_90"), capability_of("sm_120a")
    ((9, 0), (12, 0))
    """
    digits = text.removeprefix("sm_").removesuffix("a")
    if not text.startswith("sm_") or not digits.isdecimal() or not 75 <= int(digits) <= 129:
        raise ValueError(f"a compute capability is written as sm_75 to sm_129, got {text!r}")
    return int(digits) // 10, int(digits) % 10


def shape_cubin(shape: Shape, capability: Capability) -> Kept:
    """Return the machine code of the kernel of a shape."""
    known = repr(shape._replace(decoder=shape.decoder.__name__))  # type: ignore[arg-type]
    return _kept(shape.nest, known, capability, lambda: compile_shape(shape, capability)[0])


def function_cubin(function: Callable[..., None], types: tuple[Any, ...], capability: Capability) -> Kept:
    """Return the machine code of a kernel that has no shape, for arguments of these types."""
    name = function.__name__.strip("_")
    return _kept(name, f"{name} {types}", capability, lambda: compile_function(function, types, capability))


def kept_in() -> Path | None:
    """Return the folder of machine code; None, with a warning, where none can be written or others may write it."""
    try:
        return private_folder(FunctionCache(kept_in)._cache_path)  # type: ignore[no-untyped-call]
    except (OSError, RuntimeError, Unsafe) as error:  # Numba raises RuntimeError where it has no folder to write to
        warn_once("there is no folder for compiled kernels", error)
        return None


def _kept(stem: str, known: str, capability: Capability, compile_ptx: Callable[[], str]) -> Kept:
    """Return what is on disk under a name that says all that decides it, or compile and keep it."""
    folder = kept_in()
    key = "\n".join([known, f"{capability}", *_toolkit(), source_digest()])
    name = f"{stem}-sm_{capability[0]}{capability[1]}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.cubin"
    if folder is not None:
        try:
            data = read_sealed(folder / name, _header())
        except (OSError, Unsafe, ValueError) as error:
            warn_once("a compiled kernel on disk cannot be used", error)
        else:
            if data is not None:
                entry, _, code = data.partition(b"\0")
                return Kept(Cubin(entry.decode(), code), True)
    cubin = assemble(compile_ptx(), capability)
    if folder is not None:
        data = cubin.entry.encode() + b"\0" + cubin.code
        try:
            with writing(folder / name) as file:
                file.write(_header() + seal(name, data) + data)
        except OSError as error:
            warn_once("compiled kernels cannot be stored", error)
    return Kept(cubin, False)


def assemble(ptx: str, capability: Capability) -> Cubin:
    """Return the machine code of PTX with one entry."""
    from cuda.bindings import nvjitlink

    text = ptx.encode()
    handle = nvjitlink.create(1, [f"-arch=sm_{capability[0]}{capability[1]}"])
    try:
        nvjitlink.add_data(handle, nvjitlink.InputType.PTX, text, len(text), "kernel")
        nvjitlink.complete(handle)
        code = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, code)
    finally:
        nvjitlink.destroy(handle)
    return Cubin(ptx.partition(".entry ")[2].partition("(")[0].strip(), bytes(code))


@functools.cache
def _toolkit() -> tuple[str, ...]:
    """Return the versions that decide machine code."""
    from cuda.bindings import nvjitlink, nvvm

    return (
        f"numba {numba.__version__}",
        f"numba-cuda {metadata.version('numba-cuda')}",
        f"nvvm {nvvm.version()}",
        f"nvjitlink {nvjitlink.version()}",
    )


def _header() -> bytes:
    return f"uepgpu kernel 1, {', '.join(_toolkit())}\n".encode()
