"""A data set in memory, and where each comes from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uepgpu.checks import choice
from uepgpu.train.data.cifar import read_cifar10
from uepgpu.train.data.digits import read_digits
from uepgpu.train.data.idx import read_mnist

__all__ = ["SOURCES", "Dataset", "load_dataset"]

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

SOURCES: dict[str, tuple[Callable[[Path], Arrays] | None, float]] = {
    "digits": (None, 16.0),
    "mnist": (read_mnist, 255.0),
    "cifar10": (read_cifar10, 255.0),
}
"""How each is read from a folder (None: no files needed), and the largest grey value."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples.

    Attributes
    ----------
    train_x, test_x : float32 arrays, shape (samples, features) or (samples, channels, height, width)
        In [0, 1].
    train_y, test_y : int64 arrays, shape (samples,)
        Labels 0..9.
    """

    name: str
    train_x: NDArray[np.float32]
    train_y: NDArray[np.int64]
    test_x: NDArray[np.float32]
    test_y: NDArray[np.int64]

    def digest(self) -> str:
        """Return a hash of all samples and labels, in hexadecimal."""
        found = hashlib.sha256()
        for array in (self.train_x, self.train_y, self.test_x, self.test_y):
            found.update(repr((array.shape, array.dtype.str)).encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()


def load_dataset(name: str, folder: Path | None = None) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : "digits", "mnist" or "cifar10"
    folder : Path, optional
        Where the standard files are; digits come with scikit-learn and need none.

    Raises
    ------
    ValueError
        An unknown name, no folder where one is needed, a file that is not what its name says.
    FileNotFoundError
        Files are missing; the message says which, and where they were looked for.

    Examples
    --------
    >>> data = load_dataset("digits")
    >>> data.train_x.shape, data.test_x.shape
    ((1437, 64), (360, 64))
    """
    choice("data set", name, tuple(SOURCES))
    reader, most = SOURCES[name]
    if reader is None:
        arrays = read_digits()
    elif folder is None:
        raise ValueError(f"--data must name the folder of {name}'s standard files")
    else:
        arrays = reader(folder)
    train_x, train_y, test_x, test_y = arrays
    scale = np.float32(1 / most)
    return Dataset(name, train_x * scale, train_y.astype(np.int64), test_x * scale, test_y.astype(np.int64))
