"""The exact theory against the tables of docs/mathematics.md §3, §5 and §6."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases.paper import CXR, EW, GAMMA, LEVEL_PAIR, MDS, NOW, PAPER, RXC
from uepgpu import Workers, codes, theory


def printed(value, digits):
    """The value to as many significant digits as a table prints."""
    return f"{value:.{digits - 1}e}"


def significant(text):
    """Number of significant digits of a printed number."""
    return len(text.split("e")[0].replace(".", "").lstrip("0"))


def test_decoding_probabilities_equal_the_check_values_of_section_3():
    now = [[0.4557, 0.3529, 0.1694], [0.7682, 0.6627, 0.3993], [0.9166, 0.8487, 0.6093], [0.9729, 0.9383, 0.7639]]
    ew = [[0.5061, 0.1053, 0], [1, 0.7359, 0.2737], [1, 0.9290, 0.5651], [1, 0.9858, 0.7538]]
    for part in (RXC, CXR):
        for code, table in ((NOW, now), (EW, ew)):
            result = theory.decoding_probability(code, part, received=[6, 9, 12, 15])
            assert result.probability.dims == ("received", "class")
            np.testing.assert_array_equal(result.probability.values.round(4), table)


@pytest.mark.parametrize(
    "code, part, row",
    [
        (NOW, RXC, [".7689", ".3886", ".1719", "7.50e-2", "3.39e-2", "1.62e-2", "8.27e-3"]),
        (EW, RXC, [".7511", ".2841", "6.20e-2", "9.92e-3", "1.76e-3", "5.49e-4", "2.80e-4"]),
        (NOW, CXR, [".7679", ".3868", ".1702", "7.38e-2", "3.31e-2", "1.57e-2", "7.92e-3"]),
        (EW, CXR, [".7478", ".2790", "5.88e-2", "8.39e-3", "1.03e-3", "1.63e-4", "4.75e-5"]),
        (MDS, RXC, [".9822", ".6300", ".1849", "3.03e-2", "3.39e-3", "2.93e-4", "2.12e-5"]),
        (MDS, CXR, [".9822", ".6300", ".1849", "3.03e-2", "3.39e-3", "2.93e-4", "2.12e-5"]),
    ],
)
def test_losses_equal_the_table_of_section_5(code, part, row):
    result = theory.loss(code, part, PAPER, deadlines=[0.15, 0.30, 0.45, 0.60, 0.75, 0.90, 1.05])
    for value, text in zip(result.normalized_loss.values, row, strict=True):
        assert printed(value, significant(text)) == printed(float(text), significant(text))


def test_losses_equal_the_exact_rows_of_section_6():
    received = [3, 6, 9, 12, 20]
    rows = [
        (NOW, [".937", ".547", ".235", ".0856", "4.0e-3"]),
        (EW, [".938", ".504", "7.7e-3", "2.5e-3", "1.7e-4"]),
        (LEVEL_PAIR, [".652", ".425", ".277", ".181", "5.80e-2"]),
    ]
    for code, row in rows:
        values = theory.loss(code, RXC, received=received).normalized_loss.values
        for value, text in zip(values, row, strict=True):
            assert printed(value, significant(text)) == printed(float(text), significant(text))


@pytest.mark.parametrize(
    "code, count, work, row",
    [
        (EW, 30, "unit", [0.7511, 0.2841, 0.0099]),
        (EW, 30, "true", [0.9462, 0.7674, 0.3575]),
        (MDS, 30, "unit", [0.9822, 0.6300, 0.0303]),
        (codes.Uncoded(), 9, "true", [0.6065, 0.3679, 0.1353]),
        (codes.Repetition(2), 18, "true", [0.6065, 0.3679, 0.1353]),
    ],
)
def test_fair_load_losses_equal_section_6(code, count, work, row):
    values = theory.loss(code, RXC, Workers(count, work=work, omega="fair"), deadlines=[0.5, 1, 2]).normalized_loss.values
    np.testing.assert_array_equal(values.round(4), row)


def test_level_pair_has_its_published_formula():
    result = theory.loss(LEVEL_PAIR, RXC, received=range(31))
    share = RXC.energy / RXC.norm2
    gamma = np.asarray(GAMMA)[RXC.classes - 1]
    expected = [(share * (1 - gamma / 3) ** n).sum() for n in range(31)]
    np.testing.assert_allclose(result.normalized_loss, expected, rtol=1e-12)


def test_the_published_cxr_bound_is_m_times_the_exact_loss_of_uncorrelated_blocks():
    result = theory.loss(EW, CXR, PAPER, deadlines=np.arange(22) * 0.05)
    np.testing.assert_allclose(result.loss_bound, 9 * result.loss, rtol=1e-12)
    result = theory.loss(EW, RXC, PAPER, deadlines=np.arange(22) * 0.05)
    np.testing.assert_array_equal(result.loss_bound, result.loss)
