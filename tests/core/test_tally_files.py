"""Tallies survive files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.problems import RXC
from tests.cases.tallies import TIMES, run
from uepgpu import Tally


@pytest.mark.parametrize("options", [{}, {"deadlines": TIMES, "tally": "pairs"}, {"tally": "marginals"}], ids=str)
def test_files_hold_all_of_a_tally(tmp_path, options):
    tally = run(2**63, 20, seed=2**64 - 1, **options) + run(2**64 - 20, 20, seed=2**64 - 1, **options)
    path = tmp_path / "tally"
    tally.save(path)
    assert [f.name for f in tmp_path.iterdir()] == ["tally"]
    loaded = Tally.load(str(path))
    assert loaded == tally
    for name in ("problem", "code", "decoder", "backend", "domain", "seed", "n_packets", "tied", "packet_work", "class_wise"):
        assert getattr(loaded, name) == getattr(tally, name)
    assert loaded.ranges == tally.ranges
    assert loaded + run(0, 5, seed=2**64 - 1, **options) == tally + run(0, 5, seed=2**64 - 1, **options)
    for name, values in tally.loss(RXC).items():
        np.testing.assert_array_equal(values, loaded.loss(RXC)[name])


def _npz(path, header, **arrays):
    with path.open("wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)


def test_files_that_are_no_tallies_are_refused(tmp_path):
    path = tmp_path / "t.npz"
    with pytest.raises(FileNotFoundError):
        Tally.load(path)
    run().save(path)
    whole = path.read_bytes()
    with np.load(path) as file:
        header, arrays = json.loads(str(file["header"])), {n: file[n] for n in file.files if n != "header"}

    def refused():
        with pytest.raises(ValueError, match=r"t\.npz") as error:
            Tally.load(path)
        assert "\n" not in str(error.value)
        assert "pickle" not in str(error.value)

    for broken in (b"", b"nonsense", whole[:100], whole[: len(whole) // 2], whole[:-30], whole[:400] + b"x" * 40 + whole[440:]):
        path.write_bytes(broken)
        refused()
    np.savez(path, a=np.arange(3))
    refused()
    for other in (
        {"format": 2},
        header | {"format": 1},
        header | {"stranger": 1},
        [1],
        {k: v for k, v in header.items() if k != "seed"},
        header | {"seed": 3.0},
        header | {"ranges": [[10, 0]]},
        header | {"ranges": [[-1, 9]]},
        header | {"ranges": [[0, 10], [0, 0]]},
        header | {"ranges": [[1, 11]]},  # of other sub-batches
        header | {"domain": "deadline"},
    ):
        _npz(path, other, **arrays)
        refused()
    for missing in ("patterns", "classes"):
        _npz(path, header, **{n: a for n, a in arrays.items() if n != missing})
        refused()
    moved = arrays["patterns"].copy()
    moved[0, :, 0] += 1
    moved[0, :, 7] -= 1  # the sum stays
    for patterns in (arrays["patterns"][:, :5], moved):
        _npz(path, header, **arrays | {"patterns": patterns})
        refused()
    _npz(path, header, **arrays | {"classes": np.where(arrays["classes"] == 2, 1, arrays["classes"])})
    refused()


@pytest.mark.parametrize("format_number", [2, 3])
def test_files_keep_their_format(tmp_path, format_number):
    """What is written here is what every version has written since format 2, which does not know what is possible."""
    part, patterns = problems.line(1, 1), np.zeros((32, 3, 4), dtype=np.int64)
    patterns[5] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    header = {
        "format": format_number,
        "problem": "ab12",
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
    if format_number == 3:
        arrays["possible"] = np.array([[0, 2], [1, 2], [0, -1], [0, 2]])
    _npz(tmp_path / "before.npz", header, **arrays)
    loaded = Tally.load(tmp_path / "before.npz")
    assert loaded.loss(part).loss.values.tolist() == [part.norm2, part.energy[1], 0.0]
    loaded.save(tmp_path / "after.npz")
    with np.load(tmp_path / "after.npz") as file:
        assert json.loads(str(file["header"])) == header | {"format": 3}
        assert set(file.files) == {"header", *arrays}


def test_saving_fails_without_leaving_anything(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        run().save(tmp_path / "nowhere" / "t.npz")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        run().save(tmp_path / "folder")
    assert [f.name for f in tmp_path.iterdir()] == ["folder"]
