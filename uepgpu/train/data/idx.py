"""IDX files, the format of MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import require_memory

__all__ = ["read_idx", "read_mnist"]

Bytes = NDArray[np.uint8]

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
UNSIGNED_BYTE = 8
MOST_RANK = 3


def read_idx(path: Path) -> Bytes:
    """Return the array of unsigned bytes that an IDX file holds; ``.gz`` files are unpacked.

    Raises
    ------
    ValueError
        The file is no IDX file of unsigned bytes, or is cut short; the message names it.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return _array(path, stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error})") from None


def _array(path: Path, stream: BinaryIO | gzip.GzipFile) -> Bytes:
    """Return the array of an open file. No more is unpacked than its header says: a small file may unpack to any size."""
    begin = stream.read(4)
    if len(begin) < 4 or begin[:2] != b"\0\0" or begin[2] != UNSIGNED_BYTE or begin[3] == 0:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes, it begins with {begin.hex(' ') or 'nothing'}")
    rank = begin[3]
    if rank > MOST_RANK:
        raise ValueError(f"{path}: an IDX file of images or labels has rank {MOST_RANK} at most, its header says {rank}")
    header = stream.read(4 * rank)
    if len(header) < 4 * rank:
        found = 4 + len(header)
        raise ValueError(f"{path}: the header of an IDX file of rank {rank} takes {4 + 4 * rank} bytes, the file has {found}")
    shape = struct.unpack(f">{rank}I", header)
    size = math.prod(shape)
    require_memory(f"{path}: an array of shape {shape}", size)
    content = stream.read(size + 1)
    if len(content) != size:
        there = f"{len(content)}" if len(content) < size else "more"
        raise ValueError(f"{path}: an array of shape {shape} takes {size} bytes after the header, the file has {there}")
    return np.frombuffer(content, dtype=np.uint8).reshape(shape)


def _find(folder: Path, name: str) -> Path | None:
    # Some copies have a dot for the last hyphen.
    spellings = (name, name.replace("-idx", ".idx"))
    found = (folder / (spelling + suffix) for spelling in spellings for suffix in ("", ".gz"))
    return next((path for path in found if path.is_file()), None)


def read_mnist(folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return training images (n, 784) and labels, then test ones.

    Raises
    ------
    FileNotFoundError
        Files are missing; the message says which.
    ValueError
        A file is not what its name says.
    """
    paths = {name: _find(folder, name) for name in FILES}
    if missing := [name for name, path in paths.items() if path is None]:
        raise FileNotFoundError(f"MNIST: no {', '.join(missing)} (plain or .gz) in the folder {str(folder)!r}")
    arrays = []
    for path in paths.values():
        assert path is not None
        arrays.append(read_idx(path))
    for i in (0, 2):
        images, labels = arrays[i], arrays[i + 1]
        where = f"MNIST in {str(folder)!r}: {FILES[i]}"
        if images.ndim != 3 or images.shape[1:] != (28, 28):
            raise ValueError(f"{where} must hold images of 28×28 pixels, got shape {images.shape}")
        if labels.shape != images.shape[:1] or len(labels) == 0:
            raise ValueError(f"{where} holds {len(images)} images, but {FILES[i + 1]} has shape {labels.shape}")
        if labels.max() > 9:
            raise ValueError(f"MNIST in {str(folder)!r}: {FILES[i + 1]} must hold labels 0..9, got {labels.max()}")
        arrays[i] = images.reshape(len(images), 784)
    return arrays[0], arrays[1], arrays[2], arrays[3]
