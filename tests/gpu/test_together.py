"""Lanes that eliminate together: the compiled PTX gives NumPy's tallies in any order, and loses them with a fault."""

from __future__ import annotations

import re

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from tests.gpu.emulation import Emulated, emulated
from uepgpu.plan import DECODERS, make_plan
from uepgpu_kernels import reference

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("numba_cuda")]

FIRST = 2**32 - 37
CLASSES = problems.line(3, 5, 10)
TABLE = np.zeros((5, 18), dtype=bool)
TABLE[0, 0] = TABLE[1, :3] = TABLE[2, 1:3] = TABLE[3, 2:5] = TABLE[4, :] = True
OVERLAPPING = uep.codes.Windows(TABLE, (0.25, 0.3, 0.25, 0.1, 0.1))
WINDOWS = problems.Problem(OVERLAPPING, problems.line(1, 2, 15), problems.unit(10, omega=1.0))
WIDE = np.pad(TABLE, ((0, 0), (0, 52)), mode="edge")
OVERLAPPING_BYTES = uep.codes.Windows(WIDE, (0.25, 0.3, 0.25, 0.1, 0.1), coefficients="gf256")
BYTES = problems.Problem(OVERLAPPING_BYTES, problems.line(1, 2, 67), problems.unit(8, omega=1.0))


def some_sums():
    """Return packets of 18 sub-products: single ones, and sums of two or three that are decoded as such."""
    rows = np.eye(18, dtype=np.int64)[np.arange(24) % 18]
    rows[18:] += np.roll(rows[18:], 3, axis=1)
    rows[:6] += 2 * np.roll(rows[:6], 5, axis=1)
    return rows


SUMS = problems.Problem(uep.codes.Generator(some_sums()), CLASSES, problems.unit(24, omega=1.0))


NUMBER = 8
"""A realization that decodes the first class with its second packet, and the next one by eliminating with its fourth."""


def wanted(compiled, first, count):
    """Return NumPy's patterns."""
    decoder = DECODERS["eliminate"].implementation("reference")
    return reference.run(compiled.job, decoder, "patterns", first, count).patterns


@pytest.fixture(scope="module")
def windows(interpreter):
    return emulated(interpreter, WINDOWS, "count", "eliminate")


@pytest.fixture(scope="module")
def few(windows):
    """The same kernel with four packets: one lane at a time, more would take minutes."""
    from uepgpu_kernels.cuda import make_tables

    job = make_plan(WINDOWS.code, WINDOWS.part, problems.unit(4, omega=1.0), seed=7).job
    other = object.__new__(Emulated)
    other.__dict__ |= windows.__dict__ | {"job": job, "tables": make_tables(job, windows.shape, None)}
    return other


def test_four_realizations_of_a_warp_give_the_tallies_of_numpy(windows):
    assert (windows.shape.nest, windows.shape.lanes, windows.shape.near) == ("warped", 8, True)
    found, _ = windows.launch(FIRST, 101)  # a warp takes three of them or four
    assert np.array_equal(found, wanted(windows, FIRST, 101))
    assert np.count_nonzero(found.sum(axis=(0, 1))) >= 3


def test_bytes_with_rows_in_global_memory_give_the_tallies_of_numpy(interpreter, monkeypatch):
    from uepgpu_kernels.cuda import choose

    monkeypatch.setattr(choose, "SHARED_BYTES", 0)
    job = emulated(interpreter, BYTES, "count", "eliminate")
    assert (job.shape.field, job.shape.lanes, job.shape.near) == (2, 32, False)
    found, _ = job.launch(FIRST, 40)  # a warp takes one or two, one after the other
    assert np.array_equal(found, wanted(job, FIRST, 40))
    assert np.count_nonzero(found.sum(axis=(0, 1))) >= 3
    unfilled = re.sub(r"^\s*st\.shared\.u8\s.*;$", "", job.ptx, flags=re.MULTILINE)
    assert unfilled != job.ptx
    assert not np.array_equal(job.launch(FIRST, 40, ptx=unfilled)[0], found)


def test_sums_that_count_as_decoded_give_the_tallies_of_numpy(interpreter):
    job = emulated(interpreter, SUMS, "deadline", "eliminate", deadlines=SUMS.deadlines)
    assert job.shape.nest == "warped"
    assert job.shape.given
    assert job.shape.targets > 0
    found, _ = job.launch(FIRST, 40)
    assert np.array_equal(found, wanted(job, FIRST, 40))


@pytest.mark.parametrize("order", ["thread", "threadrev"])
def test_no_order_of_lanes_changes_the_tallies(few, order):
    found, _ = few.launch(NUMBER, 1, sched=order, only=NUMBER)
    assert np.array_equal(found, wanted(few, NUMBER, 1))


BARRIER = re.compile(r"^\s*bar\.warp\.sync\s.*;$", re.MULTILINE)
LANE = re.compile(r"^\s*shfl\.sync\.idx\.b32\s+\S+\s+%r\d+,\s+(%r\d+),", re.MULTILINE)


def test_a_barrier_left_out_shows(few):
    # The one after factors are written; before a warp's first packet nothing depends on the pace of others.
    barrier = list(BARRIER.finditer(few.ptx))[2]
    ptx = few.ptx[: barrier.start()] + few.ptx[barrier.end() :]
    found, _ = few.launch(NUMBER, 1, sched="threadrev", only=NUMBER, ptx=ptx)
    assert not np.array_equal(found, wanted(few, NUMBER, 1))


def test_a_pivot_from_the_next_lane_shows(interpreter, few):
    shuffle = list(LANE.finditer(few.ptx))[-1]
    off = f"\nadd.s32 {shuffle[1]}, {shuffle[1]}, 1;\n"
    with pytest.raises(interpreter.PtxError, match="out of bounds"):  # that lane found none
        few.launch(NUMBER, 1, only=NUMBER, ptx=few.ptx[: shuffle.start()] + off + few.ptx[shuffle.start() :])
