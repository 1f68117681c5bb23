"""The hot kernels issue few enough instructions, in machine code of sm_90, and spill nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cases.requirements import missing
from tests.gpu import sass

LARGEST = {"count": 220, "match": 220, "count, 22 deadlines": 700, "match, 22 deadlines": 700, sass.TOGETHER: 930_000}
"""ALU-pipe instructions per realization: of a thread for UEP-30, of all lanes for 64 sub-products."""


@pytest.fixture(scope="module")
def measured(numba_cuda, ptxas):
    try:
        versions = sass.tools()
    except ModuleNotFoundError as error:
        missing(f"{error} (pip install nvidia-cuda-nvdisasm)")
    stored = json.loads(sass.TABLE.read_text())
    if stored["tools"] != versions:
        missing(f"the table was made with {stored['tools']}, not {versions} (python tests/gpu/sass.py --update)")
    return sass.measure(ptxas)["kernels"]


def test_instructions_per_realization_are_those_on_record(measured, capsys):
    stored = json.loads(sass.TABLE.read_text())["kernels"]
    assert list(measured) == list(stored)
    for name, row in measured.items():
        with capsys.disabled():
            print(f"\n  {name}: {row['ALU']:.0f} ALU-pipe instructions per realization (SASS, sm_90)")
        assert row["ALU"] <= LARGEST[name]
        assert row["spilled bytes"] == 0
        # Compilers of one version agree to the instruction; a hundredth lets a harmless change of order pass.
        assert row["ALU"] == pytest.approx(stored[name]["ALU"], rel=0.01)
        assert row["product"] == pytest.approx(stored[name]["product"], rel=0.03)


CODE = """
        /*0000*/                   S2R R6, SR_TID.X ;
.L_x_0:
        /*0010*/                   IADD3 R1, R1, R2, RZ ;
.L_x_1:
        /*0020*/                   IMAD.WIDE.U32 R4, R5, -0x2daee0ad, RZ ;
        /*0030*/                   SHF.R.U64 R8, R8, 0x13, RZ ;
        /*0040*/              @!P1 BRA `(.L_x_2) ;
        /*0050*/                   LDG.E R12, desc[UR8][R12.64] ;
        /*0060*/                   SEL R1, R2, R3, P0 ;
.L_x_2:
        /*0070*/               @P0 BRA `(.L_x_1) ;
        /*0080*/                   LOP3.LUT R1, R2, R3, RZ, 0x3c, !PT ;
        /*0090*/               @P0 BRA `(.L_x_0) ;
        /*00a0*/                   EXIT ;
"""


class Tables:
    n_blocks = np.int64(5)
    halvings = np.int64(3)
    bucket = np.array([0xFFFF << 16, 1, 2, 3], dtype=np.uint64)  # a quarter of the words


def test_loops_count_as_often_as_they_run_and_searches_as_often_as_words_need_one(monkeypatch):
    monkeypatch.setattr(sass, "PRODUCTS_OF_A_BLOCK", 1)
    code, jumps = sass.parsed(CODE)
    assert jumps == [(4, 7), (7, 2), (9, 1)]
    # IADD3 and LOP3 once, SHF with each of five blocks, SEL with a quarter of them.
    assert sass.counted(code, jumps, None, Tables) == {"ALU": 1 + 1 + 5 + 1.2, "product": 5.0, "other": 10 + 1.2 + 1}
    unknown = CODE.replace("-0x2daee0ad", "R3")
    with pytest.raises(AssertionError, match="nothing is known of"):
        sass.counted(*sass.parsed(unknown.replace("LDG", "LDS")), None, Tables)
