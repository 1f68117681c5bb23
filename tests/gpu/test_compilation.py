"""Every kernel variant compiles for every supported device, without spills and with the registers and stack that are on record."""

from __future__ import annotations

import json

import pytest

from tests.cases.requirements import missing
from tests.gpu import registers


@pytest.fixture(scope="module")
def measured(numba_cuda, ptxas):
    return registers.measure(ptxas)


@pytest.mark.slow
def test_nothing_spills(measured):
    spilled = {(name, cc): row for name, rows in measured["kernels"].items() for cc, row in rows.items() if row[2]}
    assert spilled == {}
    assert all(len(rows) == len(registers.CAPABILITIES) for rows in measured["kernels"].values())


@pytest.mark.slow
def test_registers_and_stack_are_those_on_record(measured):
    stored = json.loads(registers.TABLE.read_text())
    if stored["tools"] != measured["tools"]:
        missing(f"the table was made with {stored['tools']}, not {measured['tools']} (python tests/gpu/registers.py --update)")
    assert measured["kernels"] == stored["kernels"]


@pytest.mark.usefixtures("numba_cuda")
def test_compile_ptx_gives_text_and_arguments():
    from uepgpu_kernels.cuda import VARIANTS, Tables, compile_shape

    text, signature = compile_shape(VARIANTS["uep30"], (8, 0))
    assert ".target sm_80" in text
    assert text.count(".entry") == 1
    assert [name for name, _ in signature] == [
        *("seed", "first", "count", "n_times", "n_bins"),
        *(f"t.{name}" for name in Tables._fields),
        *("out", "record"),
    ]
