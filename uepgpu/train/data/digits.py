"""The 8×8 digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_digits"]

Bytes = NDArray[np.uint8]


def read_digits() -> tuple[Bytes, Bytes, Bytes, Bytes]:
    """Return training images (1437, 64) of grey values 0..16 and labels, then test ones (360, 64): every fifth sample.

    Raises
    ------
    ImportError
        scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        if error.name != "sklearn":
            raise
        raise ImportError('digits come with scikit-learn, which is not installed: pip install "uepgpu[train]"') from None
    data = load_digits()
    images, labels = np.asarray(data.data, dtype=np.uint8), np.asarray(data.target, dtype=np.uint8)
    test = np.arange(len(labels)) % 5 == 0
    return images[~test], labels[~test], images[test], labels[test]
