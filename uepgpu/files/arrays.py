"""Arrays from .npy and .npz files of whomever: what their headers promise is checked before anything is allocated."""

from __future__ import annotations

import hashlib
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from uepgpu.checks import require_memory, shown

__all__ = ["FAULTS", "checksum", "map_array", "read_archive", "read_array", "unreadable"]

COPIES = 3
"""Arrays of the size of what is read, in float64, that reading and checking it take at once."""
ENCRYPTED = 0x1
"""Bit of a member's flags."""
FAULTS = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, SyntaxError),
    *(EOFError, OSError, RuntimeError, RecursionError, MemoryError, NotImplementedError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, zipfile.LargeZipFile, struct.error),
)
"""What NumPy, zipfile, pickle and the parser of headers raise for files that are not what they say."""


def read_array(name: str, file: Path, key: str = "", *, what: str = "an array") -> NDArray[Any]:
    """Return the array of an ``.npy`` file, or of an ``.npz`` file that one of its arrays.

    Parameters
    ----------
    name : str
        What errors call it.
    file : Path
    key : str
        Which array of an ``.npz`` file; empty if there is one.
    what : str
        What errors say that the file is to hold.

    Raises
    ------
    ValueError
        With one line that says why it cannot be read, or that it does not fit into memory.
    FileNotFoundError
        There is no such file.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{name}: no file {shown(str(file))}")
    if file.suffix.lower() not in (".npy", ".npz"):
        raise ValueError(f"{name} must be an .npy or .npz file with {what}, got {shown(str(file))}")
    try:
        with file.open("rb") as stream:
            if stream.read(4) == b"PK\x03\x04":
                return _member(file, key)
            if key:
                raise ValueError(f"it holds a single array, none called {shown(key)}")
            stream.seek(0)
            return _array(stream, file.stat().st_size)
    except FAULTS as error:
        raise ValueError(f"{name}: cannot read {shown(str(file))}: {unreadable(error)}") from None


def map_array(name: str, file: Path, *, what: str = "an array") -> NDArray[Any]:
    """Return the array of an ``.npy`` file as :func:`read_array`, left in the file if it holds rows of float32 or float64.

    Such a ``numpy.memmap`` takes no memory; the file must not change as long as it is in use.
    """
    if file.is_file() and file.suffix.lower() == ".npy":
        try:
            with file.open("rb") as stream:
                shape, fortran, dtype = _header(stream, file.stat().st_size)
                if dtype in (np.float32, np.float64) and dtype.isnative and not fortran and 0 not in shape:
                    return np.memmap(file, dtype, "r", stream.tell(), shape)
        except FAULTS as error:
            raise ValueError(f"{name}: cannot read {shown(str(file))}: {unreadable(error)}") from None
    return read_array(name, file, what=what)


def unreadable(error: Exception) -> str:
    """Return why NumPy could not read a file, on one line, without its advice to unpickle: that runs whatever is in the file.

    Examples
    --------
    >>> import io, numpy as np
    >>> try:
    ...     np.load(io.BytesIO(b"worker,latency"), allow_pickle=False)
    ... except ValueError as error:
    ...     print(unreadable(error))
    it is no NumPy file
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    if reason.startswith("Object arrays"):
        return "it holds Python objects instead of numbers"
    return "it is no NumPy file" if "pickle" in reason or "magic string" in reason else reason[:160]


def _member(file: Path, key: str) -> NDArray[Any]:
    with zipfile.ZipFile(file) as archive:
        arrays = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if not key and len(arrays) != 1:
            first = next(iter(arrays), "name")
            raise ValueError(f"it holds the arrays {shown(list(arrays))}; name one as '{file.name}:{first}'")
        if key and key not in arrays:
            raise ValueError(f"it holds no array {shown(key)}, only {shown(list(arrays))}")
        return _extracted(archive, arrays[key or next(iter(arrays))])


def read_archive(file: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of an ``.npz`` file, with the checks of :func:`read_array`; raises any of :data:`FAULTS`."""
    with zipfile.ZipFile(file) as archive:
        return {info.filename.removesuffix(".npy"): _extracted(archive, info) for info in archive.infolist()}


def checksum(header: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a digest of arrays with their names, types and shapes, and of a text, in hexadecimal.

    Examples
    --------
    >>> checksum("mine", {"x": np.arange(3)}) == checksum("mine", {"x": np.arange(3.0)})
    False
    """
    hashed = hashlib.sha256(header.encode())
    for name, array in sorted(arrays.items()):
        hashed.update(f"{name} {array.dtype.str} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def _extracted(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.flag_bits & ENCRYPTED:
        raise ValueError("it is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed in another way than numpy.savez_compressed does")
    with archive.open(info) as stream:
        return _array(stream, info.file_size)


def _header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns come first, and type of the array of an .npy stream of `size` bytes."""
    version = npy.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = npy.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = npy.read_array_header_2_0(stream)
    else:
        raise ValueError(f"it is of .npy format {version[0]}.{version[1]}, and must be of 1.0 or 2.0")
    if dtype.hasobject:
        raise ValueError("it holds Python objects instead of numbers, which are never read")
    if any(isinstance(n, bool) or n < 0 for n in shape):
        raise ValueError(f"its header says shape {shown(shape)}")
    there = size - stream.tell()
    if math.prod(shape) * dtype.itemsize > there:
        raise ValueError(f"its header says shape {shown(shape)} of {dtype}, and {there:,} bytes follow")
    return shape, fortran, dtype


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """Return the array of an .npy stream of `size` bytes."""
    shape, fortran, dtype = _header(stream, size)
    count = math.prod(shape)
    require_memory(f"an array of shape {shown(shape)}", COPIES * count * max(dtype.itemsize, 8))
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise ValueError(f"it ends after {len(data):,} of {count * dtype.itemsize:,} bytes")
    stream.read(1)  # at the end of a member zipfile compares its checksum
    return np.frombuffer(data, dtype=dtype, count=count).reshape(shape, order="F" if fortran else "C").copy()
