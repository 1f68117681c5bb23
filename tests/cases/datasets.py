"""Small files in the formats of MNIST and CIFAR-10."""

from __future__ import annotations

import gzip
import pickle
import struct

import numpy as np

from uepgpu.train.data.idx import FILES

RNG = np.random.default_rng(2)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def mnist_arrays(train=12, test=5):
    return [
        x
        for n in (train, test)
        for x in (RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8), RNG.integers(0, 10, n, dtype=np.uint8))
    ]


def write_mnist(folder, *, packed=False, arrays=None):
    arrays = mnist_arrays() if arrays is None else arrays
    for name, array in zip(FILES, arrays, strict=True):
        content = idx(array)
        (folder / (name + (".gz" if packed else ""))).write_bytes(gzip.compress(content) if packed else content)
    return arrays


def cifar_batches(n=3):
    return [(RNG.integers(0, 256, (n, 3072), dtype=np.uint8), RNG.integers(0, 10, n, dtype=np.uint8)) for _ in range(6)]


def write_cifar(folder, batches, kind):
    folder.mkdir(parents=True, exist_ok=True)
    for name, (pixels, labels) in zip([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], batches, strict=True):
        if kind == "bin":
            (folder / f"{name}.bin").write_bytes(np.concatenate([labels[:, None], pixels], axis=1).tobytes())
        else:
            held = {b"batch_label": b"some", b"labels": labels.tolist(), b"data": pixels, b"filenames": [b"a.png"] * len(labels)}
            (folder / name).write_bytes(pickle.dumps(held, protocol=2))
