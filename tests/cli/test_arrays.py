"""Array files of whomever: a matrix, or one line that says what is wrong; nothing large is allocated for a promise."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from uepgpu.files import read_array
from uepgpu.partition import load_matrix

MATRIX = np.arange(12.0).reshape(3, 4)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)
    return content.getvalue()


def header(text: str, data: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + data


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def encrypted() -> bytes:
    content = bytearray(npz({"a.npy": npy(MATRIX)}))
    content[6] |= 1  # the flags of the member, and those of the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def damaged_inside() -> bytes:
    content = bytearray(npz({"a.npy": npy(MATRIX)}, zipfile.ZIP_STORED))
    content[content.index(npy(MATRIX)[-8:])] ^= 1
    return bytes(content)


BAD = {
    "empty": (b"", ""),
    "text": (b"hello", "no NumPy file"),
    "half a header": (npy(MATRIX)[:20], ""),
    "cut": (npy(MATRIX)[:-1], "95 bytes follow"),
    "huge shape": (header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 12), }"), "0 bytes follow"),
    "shape beyond 64 bits": (
        header("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000000000,), }"),
        "bytes follow",
    ),
    "negative shape": (header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3), }"), "shape (-1, 3)"),
    "shape of bools": (header("{'descr': '<f8', 'fortran_order': False, 'shape': (True, 3), }", bytes(24)), "shape (True, 3)"),
    "no dictionary": (header("[1, 2]"), ""),
    "keys": (header("{'descr': '<f8'}"), ""),
    "dtype": (header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1, 3), }"), ""),
    "dtype of no length": (header("{'descr': '|V0', 'fortran_order': False, 'shape': (1, 3), }"), ""),
    "nested": (header("(" * 5000), ""),
    "nested brackets": (header("[" * 5000 + "]" * 5000), ""),
    "not a header": (header("{'descr': "), ""),
    "version": (b"\x93NUMPY\x03\x00" + npy(MATRIX)[8:], "format 3.0"),
    "pickle": (npy(np.array([{}], dtype=object)), "Python objects instead of numbers"),
    "no zip": (b"PK\x03\x04 and no more", ""),
    "zip of text": (npz({"a.npy": b"hello"}), ""),
    "encrypted": (encrypted(), "encrypted"),
    "other compression": (npz({"a.npy": npy(MATRIX)}, zipfile.ZIP_BZIP2), "compressed in another way"),
    "bit flip": (damaged_inside(), "CRC"),
    "empty zip": (b"PK\x05\x06" + bytes(18), ""),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_file_that_is_not_what_it_says_is_refused_in_one_line(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    file = tmp_path / f"x{suffix}"
    file.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="A: cannot read") as caught:
            load_matrix("A", str(file))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    assert "allow_pickle" not in text
    assert len(text) <= 300


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uepgpu.checks.free_memory", lambda: 10**8)
    data = header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000, 5000), }", bytes(8 * 5_000_000))
    (tmp_path / "bomb.npz").write_bytes(npz({"a.npy": data}))
    assert (tmp_path / "bomb.npz").stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"an array of shape \(1000, 5000\) needs 114 MiB of memory, and 95.4 MiB are free"):
            load_matrix("A", str(tmp_path / "bomb.npz"))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2", "<i8", "|u1", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_as_numpy_reads_them(tmp_path: Path, dtype: str, order: str) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 2, dtype=dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", array)
    np.savez(tmp_path / "one.npz", array)
    np.savez_compressed(tmp_path / "two.npz", a=array, b=-1)
    for name, key in (("x.npy", ""), ("one.npz", ""), ("two.npz", "a")):
        found = read_array("A", tmp_path / name, key)
        assert found.dtype == array.dtype
        assert np.array_equal(found, array)
        assert found.flags.writeable
    with pytest.raises(ValueError, match="it holds the arrays"):
        read_array("A", tmp_path / "two.npz")
    with pytest.raises(ValueError, match="it holds no array 'c'"):
        read_array("A", tmp_path / "two.npz", "c")
    with pytest.raises(ValueError, match="it holds a single array"):
        read_array("A", tmp_path / "x.npy", "c")
