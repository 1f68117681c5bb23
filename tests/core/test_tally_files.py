"""A tally's file gives back the tally; a file that says anything else is refused in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from uepgpu import Tally
from uepgpu.tally.counts import ARRAYS


def tally(name="ew", deadlines=None):
    p = problems.PROBLEMS[name]
    return uep.simulate(p.code, p.part, p.workers, realizations=200, seed=5, deadlines=deadlines, backend="numpy")


@pytest.fixture
def written(tmp_path):
    made = tally()
    made.save(tmp_path / "t.npz")
    with np.load(tmp_path / "t.npz") as archive:
        return made, tmp_path / "t.npz", json.loads(str(archive["header"])), {k: archive[k] for k in archive if k != "header"}


def rewrite(path, header, arrays):
    np.savez_compressed(path, header=np.array(json.dumps(header)), **arrays)


@pytest.mark.parametrize("deadlines", [None, [0.5, 1.0]])
@pytest.mark.parametrize("name", ["ew", "lt"])
def test_a_tally_comes_back(tmp_path, name, deadlines):
    made = tally(name, deadlines)
    made.save(tmp_path / "t.npz")
    assert Tally.load(tmp_path / "t.npz") == made


def test_files_of_the_format_without_a_checksum_are_read(written):
    made, path, header, arrays = written
    del header["checksum"]
    rewrite(path, header | {"format": 2}, arrays)
    assert Tally.load(path) == made


CHANGES = {
    "another problem": {"problem": "0" * 64},
    "another code": {"code": "MDS()"},
    "other work": {"packet_work": 7},
    "another seed": {"seed": 6},
    "no checksum": {"checksum": ""},
    "another format": {"format": 4},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_header_that_was_changed_is_noticed(written, change):
    _, path, header, arrays = written
    rewrite(path, header | change, arrays)
    with pytest.raises(ValueError, match="is no tally written by") as caught:
        Tally.load(path)
    assert len(str(caught.value)) <= 300


WRONG = {
    "problem": ("x", 7, None, "0" * 63, "G" * 64),
    "code": (7, None, [1]),
    "decoder": (7, None),
    "backend": (7, None),
    "paradigm": ("cxc", 1, None),
    "packet_work": ("7", 0, -1, 1.5, True, [1]),
    "n_packets": (0, -1, "30", 10**30, None),
    "tied": (0, "no", None),
    "class_wise": (1, None),
    "seconds": (-1, "1", float("nan"), None),
    "seed": (-1, 2**64, "1", None),
    "domain": ("time", 1, None),
    "ranges": ([], [[0, 0]], [[5, 1]], [[0, 2**65]], 7, [["a", "b"]]),
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_header_that_says_nonsense_is_refused_without_a_checksum_too(written, field, value):
    _, path, header, arrays = written
    del header["checksum"]
    rewrite(path, header | {"format": 2, field: value}, arrays)
    with pytest.raises(ValueError, match="is no tally written by"):
        Tally.load(path)


def test_arrays_that_were_changed_are_noticed(written):
    _, path, header, arrays = written
    for name in set(ARRAYS) & set(arrays):
        changed = arrays[name].copy()
        changed.flat[0] += 1
        rewrite(path, header, arrays | {name: changed})
        with pytest.raises(ValueError, match="its checksum does not fit"):
            Tally.load(path)


def test_files_of_format_2_are_read(tmp_path):
    """They have no checksum and do not know what is possible."""
    part, patterns = problems.line(1, 1), np.zeros((32, 3, 4), dtype=np.int64)
    patterns[5] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    header = {
        "format": 2,
        "problem": "ab" * 32,
        "code": "MDS()",
        "decoder": "count",
        "backend": "numba",
        "domain": "count",
        "seed": 7,
        "n_packets": 2,
        "tied": False,
        "packet_work": None,
        "paradigm": "rxc",
        "class_wise": True,
        "ranges": [[37, 38]],
        "seconds": 0.5,
    }
    arrays = {"patterns": patterns, "classes": np.array([1, 2])}
    rewrite(tmp_path / "before.npz", header, arrays)
    loaded = Tally.load(tmp_path / "before.npz")
    assert loaded.loss(part).loss.values.tolist() == [part.norm2, part.energy[1], 0.0]
    loaded.save(tmp_path / "after.npz")
    with np.load(tmp_path / "after.npz") as file:
        written = json.loads(str(file["header"]))
        assert written.pop("checksum")
        assert written == header | {"format": 3, "sums": False}
        assert set(file.files) == {"header", *arrays}


def test_a_file_that_unpacks_to_more_than_memory_is_refused(written, monkeypatch):
    _, path, header, arrays = written
    rewrite(path, header, arrays | {"pairs": np.zeros((32, 1000, 100), dtype=np.int64)})
    monkeypatch.setattr("uepgpu.checks.free_memory", lambda: 10**7)
    with pytest.raises(ValueError, match=r"MiB of memory, and 9\.54 MiB are free"):
        Tally.load(path)


@pytest.mark.parametrize("path", [None, 7, ["x"], "", "n" * 5000, "a\0b", "~nouser/x"])
def test_a_path_that_is_none_is_refused(path):
    for use in (tally().save, Tally.load):
        with pytest.raises((ValueError, FileNotFoundError)):
            use(path)
