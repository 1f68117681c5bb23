"""Readers of standard files, on small files of the same format; and MNIST itself where it is at hand."""

from __future__ import annotations

import codecs
import gzip
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tests.cases.datasets import cifar_batches, idx, write_cifar, write_mnist
from uepgpu.train.data import load_dataset
from uepgpu.train.data.idx import FILES, read_idx

REAL = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files(tmp_path, packed):
    train_x, train_y, test_x, test_y = write_mnist(tmp_path, packed=packed)
    data = load_dataset("mnist", tmp_path)
    assert data.train_x.dtype == np.float32
    assert data.train_y.dtype == np.int64
    np.testing.assert_allclose(data.train_x, train_x.reshape(12, 784) / 255, rtol=1e-6)
    assert np.array_equal(data.train_y, train_y)
    np.testing.assert_allclose(data.test_x * 255, test_x.reshape(5, 784), rtol=1e-5)
    assert np.array_equal(data.test_y, test_y)


@pytest.mark.parametrize("place", [".", "cifar-10-batches-bin", "cifar-10-batches-py"])
@pytest.mark.parametrize("kind", ["bin", "pickle"])
def test_cifar_files(tmp_path, kind, place):
    batches = cifar_batches()
    write_cifar(tmp_path / place, batches, kind)
    data = load_dataset("cifar10", tmp_path)
    assert data.train_x.shape == (15, 3, 32, 32)
    np.testing.assert_allclose(data.train_x[3:6] * 255, batches[1][0].reshape(3, 3, 32, 32), rtol=1e-5)  # red, green, blue planes
    assert np.array_equal(data.test_y, batches[5][1])
    np.testing.assert_allclose(data.test_x * 255, batches[5][0].reshape(3, 3, 32, 32), rtol=1e-5)


def test_pickles_as_python_2_wrote_them(tmp_path):
    """The published files name numpy.core and hold byte strings as text."""
    batches = cifar_batches(1)
    write_cifar(tmp_path, batches, "pickle")
    for path in tmp_path.iterdir():
        content = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        path.write_bytes(content)
    assert load_dataset("cifar10", tmp_path).train_x.shape == (5, 3, 32, 32)


def test_pickles_that_call_functions_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    write_cifar(tmp_path, cifar_batches(), "pickle")
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(ValueError, match=r"data_batch_3: not a CIFAR-10 batch .*builtins\.print"):
        load_dataset("cifar10", tmp_path)


def test_digits_need_no_files():
    data = load_dataset("digits")
    assert (data.train_x.shape, data.test_x.shape) == ((1437, 64), (360, 64))
    assert data.train_x.max() == 1.0
    assert np.bincount(data.test_y, minlength=10).min() > 20


def damaged(tmp_path, change, message, error=ValueError):
    write_mnist(tmp_path)
    change(tmp_path)
    with pytest.raises(error, match=message) as caught:
        load_dataset("mnist", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / FILES[1]).write_bytes(b""), "not an IDX file of unsigned bytes, it begins with nothing"),
        (lambda f: (f / FILES[1]).write_bytes(b"PK\x03\x04more"), "it begins with 50 4b 03 04"),
        (
            lambda f: (f / FILES[0]).write_bytes(b"\0\0\x08\x03\0\0"),
            "the header of an IDX file of rank 3 takes 16 bytes, the file has 6",
        ),
        (
            lambda f: (f / FILES[0]).write_bytes((f / FILES[0]).read_bytes()[:-1]),
            r"shape \(12, 28, 28\) takes 9408 bytes .*has 9407",
        ),
        (lambda f: (f / FILES[1]).write_bytes(idx(np.zeros(11, np.uint8))), r"holds 12 images, but .* has shape \(11,\)"),
        (lambda f: (f / FILES[2]).write_bytes(idx(np.zeros((5, 27, 28), np.uint8))), "must hold images of 28×28"),
        (lambda f: (f / FILES[3]).write_bytes(idx(np.full(5, 10, np.uint8))), r"must hold labels 0\.\.9, got 10"),
    ],
)
def test_damaged_mnist_files_are_named(tmp_path, change, message):
    damaged(tmp_path, change, message)


def test_what_is_missing_is_named(tmp_path):
    damaged(tmp_path, lambda f: (f / FILES[2]).unlink(), f"no {FILES[2]} .plain or .gz. in the folder", FileNotFoundError)
    with pytest.raises(ValueError, match="--data must name the folder"):
        load_dataset("mnist")
    with pytest.raises(ValueError, match="data set must be one of"):
        load_dataset("imagenet")
    write_cifar(tmp_path / "c", cifar_batches(), "bin")
    (tmp_path / "c" / "test_batch.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"CIFAR-10: no test_batch\.bin in the folder"):
        load_dataset("cifar10", tmp_path / "c")


@pytest.mark.parametrize("content", [b"", b"1234", bytes(3074)])
def test_damaged_binary_cifar_files_are_named(tmp_path, content):
    write_cifar(tmp_path, cifar_batches(), "bin")
    (tmp_path / "data_batch_2.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"data_batch_2\.bin: a CIFAR-10 batch has 3073 bytes an image"):
        load_dataset("cifar10", tmp_path)


def test_labels_beyond_nine_are_refused(tmp_path):
    batches = cifar_batches()
    batches[4][1][0] = 10
    for kind, message in (("bin", r"labels must be 0\.\.9, got 10"), ("pickle", r"labels 0\.\.9")):
        write_cifar(tmp_path / kind, batches, kind)
        with pytest.raises(ValueError, match=message):
            load_dataset("cifar10", tmp_path / kind)


class _Calls:
    """Pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


PICKLES = {
    "an array of a terabyte": {b"data": _Calls(np.ndarray, ((10**9, 3072), "u1")), b"labels": [1] * 3},
    "an array of more than there is": {b"data": _Calls(np.ndarray, ((10**15, 3072), "u1")), b"labels": [1] * 3},
    "a codec that is none": {b"data": _Calls(codecs.encode, ("x", "nonsense")), b"labels": [1]},
    "a list in itself": None,
    "a function": _Calls(os.getcwd, ()),
}


@pytest.mark.parametrize("what", PICKLES)
def test_a_pickle_that_is_no_batch_is_refused_in_one_line(tmp_path, what):
    write_cifar(tmp_path, cifar_batches(), "pickle")
    (path,) = tmp_path.rglob("data_batch_3")
    path.write_bytes(b"\x80\x04" + b"]" * 10**6 + b"." if PICKLES[what] is None else pickle.dumps(PICKLES[what]))
    with pytest.raises(ValueError, match=r"data_batch_3: (not a CIFAR-10 batch|a CIFAR-10 batch holds)") as caught:
        load_dataset("cifar10", tmp_path)
    assert "\n" not in str(caught.value)


def test_no_more_is_unpacked_than_the_header_says(tmp_path):
    """A file of a megabyte may unpack to a gigabyte."""
    path = tmp_path / (FILES[1] + ".gz")
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(idx(np.zeros(12, np.uint8)))
        for _ in range(100):
            file.write(bytes(10**6))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="takes 12 bytes after the header, the file has more"):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    for header, message in (
        (b"\0\0\x08\x03" + b"\xff" * 12, "of memory, and .* are free"),
        (b"\0\0\x08\xff", "rank 3 at most"),
    ):
        (tmp_path / "x").write_bytes(header)
        with pytest.raises(ValueError, match=message):
            read_idx(tmp_path / "x")


def test_torn_gzip_files_are_named(tmp_path):
    write_mnist(tmp_path, packed=True)
    path = tmp_path / (FILES[0] + ".gz")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_idx(path)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real MNIST files are not at hand")
def test_the_real_mnist():
    data = load_dataset("mnist", REAL)
    assert (data.train_x.shape, data.test_x.shape) == ((60000, 784), (10000, 784))
    assert np.bincount(data.test_y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.train_y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
