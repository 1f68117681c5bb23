"""CIFAR-10 from its binary files or its Python (pickle) files."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.files import FAULTS, unreadable

__all__ = ["read_cifar10"]

Bytes = NDArray[np.uint8]

PIXELS = 3 * 32 * 32
NAMES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
FOLDERS = (".", "cifar-10-batches-bin", "cifar-10-batches-py")


def read_cifar10(folder: Path) -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return training images (n, 3, 32, 32) and labels, then test ones, from the five training batches and the test batch.

    Looked for in the folder itself and in the subfolders that the published archives unpack to.

    Raises
    ------
    FileNotFoundError
        Batches are missing; the message says which.
    ValueError
        A file is not what its name says.
    """
    best: list[str] = [*NAMES]
    for place in FOLDERS:
        for suffix, read in ((".bin", _read_binary), ("", _read_pickle)):
            paths = [folder / place / (name + suffix) for name in NAMES]
            missing = [path.name for path in paths if not path.is_file()]
            if not missing:
                batches = [read(path) for path in paths]
                train, test = batches[:-1], batches[-1]
                return np.concatenate([x for x, _ in train]), np.concatenate([y for _, y in train]), *test
            best = min(best, missing, key=len)
    raise FileNotFoundError(
        f"CIFAR-10: no {', '.join(best)} in the folder {str(folder)!r}, its {FOLDERS[1]} or {FOLDERS[2]} (binary: .bin)"
    )


def _read_binary(path: Path) -> tuple[Bytes, Bytes]:
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8)
    if content.size == 0 or content.size % (PIXELS + 1):
        raise ValueError(f"{path}: a CIFAR-10 batch has {PIXELS + 1} bytes an image, the file has {content.size}")
    rows = content.reshape(-1, PIXELS + 1)
    return _checked(path, rows[:, 1:], rows[:, 0])


class _Unpickler(pickle.Unpickler):
    """Reads arrays, lists and strings, and refuses everything else: a pickle may call any function."""

    ALLOWED = frozenset(
        [(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")]
        + [("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")]
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a CIFAR-10 batch does not need")
        # NumPy moved its core; old files name the old place.
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _read_pickle(path: Path) -> tuple[Bytes, Bytes]:
    try:
        loaded = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        pixels, labels = np.asarray(loaded[b"data"]), np.asarray(loaded[b"labels"])
        if max(pixels.nbytes, labels.nbytes // labels.itemsize) > path.stat().st_size:
            raise ValueError("it holds larger arrays than the file has bytes")
    except (pickle.UnpicklingError, *FAULTS) as error:
        raise ValueError(f"{path}: not a CIFAR-10 batch in Python's format ({unreadable(error)})") from None
    if pixels.dtype != np.uint8 or labels.dtype.kind not in "iu" or (labels.size and not 0 <= labels.min() <= labels.max() <= 9):
        raise ValueError(f"{path}: a CIFAR-10 batch holds bytes and labels 0..9, got dtypes {pixels.dtype} and {labels.dtype}")
    return _checked(path, pixels, labels.astype(np.uint8))


def _checked(path: Path, pixels: Bytes, labels: Bytes) -> tuple[Bytes, Bytes]:
    if pixels.ndim != 2 or pixels.shape[1] != PIXELS or labels.shape != pixels.shape[:1] or not labels.size:
        raise ValueError(
            f"{path}: a CIFAR-10 batch has {PIXELS} pixels an image and a label each, got {pixels.shape}, {labels.shape}"
        )
    if labels.max() > 9:
        raise ValueError(f"{path}: labels must be 0..9, got {labels.max()}")
    return np.ascontiguousarray(pixels).reshape(-1, 3, 32, 32), labels
