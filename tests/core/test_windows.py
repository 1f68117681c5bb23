"""Window laws of NOW and EW in every encoding against docs/mathematics.md §1, §2 and §6."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.paper import CXR, GAMMA, RXC, TABLE, relaxed, same_windows
from tests.oracles import naive


def rectangle(rows, cols):
    return frozenset(3 * n + p for n in rows for p in cols)


def up_to(label):
    return frozenset(np.flatnonzero(TABLE.ravel() <= label).tolist())


def only(label):
    return frozenset(np.flatnonzero(TABLE.ravel() == label).tolist())


def test_free_windows_cost_their_generic_rank():
    now = uep.codes.NonOverlappingWindow(GAMMA).law(RXC, 30)
    same_windows(now, {(only(label), r): g for label, r, g in zip((1, 2, 3), (2, 3, 2), GAMMA, strict=True)})
    ew = uep.codes.ExpandingWindow(GAMMA).law(RXC, 30)
    same_windows(ew, {(up_to(label), r): g for label, r, g in zip((1, 2, 3), (2, 3, 3), GAMMA, strict=True)})
    assert now.encoding == ew.encoding == "free"
    assert not now.tied
    assert not now.equal_work
    assert not ew.equal_work


@pytest.mark.parametrize("part", [RXC, CXR])
def test_stacked_windows_cost_their_size(part):
    now = uep.codes.NonOverlappingWindow(GAMMA, encoding="stacked").law(part, 30)
    ew = uep.codes.ExpandingWindow(GAMMA, encoding="stacked").law(part, 30)
    assert now.work.tolist() == [3, 3, 3]
    assert ew.work.tolist() == [3, 6, 9]
    assert now.equal_work
    assert not ew.equal_work
    assert uep.codes.MDS(encoding="stacked").law(part, 30).work.tolist() == [9]


def test_auto_is_free_for_rxc_and_stacked_for_cxr():
    for code in (uep.codes.NonOverlappingWindow(GAMMA), uep.codes.ExpandingWindow(GAMMA), uep.codes.MDS()):
        assert code.law(RXC, 30).encoding == "free"
        assert code.law(CXR, 30).encoding == "stacked"


@given(st.integers(1, 4), st.integers(1, 4), st.data())
@relaxed
def test_window_laws_on_any_table_of_classes(rows, cols, data):
    k = rows * cols
    labels = data.draw(st.lists(st.integers(1, 3), min_size=k, max_size=k))
    dense = {label: i + 1 for i, label in enumerate(sorted(set(labels)))}
    table = np.array([dense[label] for label in labels]).reshape(rows, cols)
    weights = data.draw(st.lists(st.integers(0, 9), min_size=len(dense), max_size=len(dense)).filter(any))
    gamma = [w / sum(weights) for w in weights]
    part = uep.Partition.model("rxc", left_variances=[1.0] * rows, right_variances=[1.0] * cols, classes=table)
    for code, inside in [
        (uep.codes.NonOverlappingWindow(gamma), np.equal),
        (uep.codes.ExpandingWindow(gamma), np.less_equal),
    ]:
        law = code.law(part, 7)
        assert law.probabilities.tolist() == pytest.approx(gamma)
        for label, (support, work) in enumerate(zip(law.supports, law.work, strict=True), start=1):
            assert np.array_equal(support.reshape(rows, cols), inside(table, label))
            assert work == naive.matching_size([np.flatnonzero(row).tolist() for row in support.reshape(rows, cols)])


def test_max_rectangles_are_those_of_math_section_6():
    law = uep.codes.ExpandingWindow(GAMMA, encoding="factored").law(RXC, 30)
    g1, g2, g3 = GAMMA
    expected = Counter(
        {
            (rectangle([0], [0, 1]), 1): g1 / 2,
            (rectangle([0, 1], [0]), 1): g1 / 2,
            (rectangle([0], [0, 1, 2]), 1): g2 / 3,
            (rectangle([0, 1], [0, 1]), 1): g2 / 3,
            (rectangle([0, 1, 2], [0]), 1): g2 / 3,
            (rectangle([0, 1, 2], [0, 1, 2]), 1): g3,
        }
    )
    same_windows(law, expected)
    same_windows(uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="max-rectangle").law(RXC, 30), expected)
    assert law.equal_work


def test_nested_rectangles_draw_their_two_sides_independently():
    other = (0.2, 0.3, 0.5)
    for gamma_b, columns in [(None, GAMMA), (other, other)]:
        code = uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="nested", gamma_b=gamma_b)
        expected = {(rectangle(range(i + 1), range(j + 1)), 1): GAMMA[i] * columns[j] for i in range(3) for j in range(3)}
        same_windows(code.law(RXC, 30), expected)


def test_bounding_boxes_hold_all_blocks_of_a_window():
    law = uep.codes.ExpandingWindow(GAMMA, encoding="factored", window="bounding-box").law(RXC, 30)
    same_windows(law, {(rectangle([0, 1], [0, 1]), 1): 0.40, (rectangle([0, 1, 2], [0, 1, 2]), 1): 0.60})


def test_a_bounding_box_takes_rows_and_columns_apart():
    part = uep.Partition.model("rxc", left_variances=(2.0, 1.0), right_variances=(4.0, 2.0, 1.0), classes=[[1, 1, 2], [2, 2, 2]])
    law = uep.codes.ExpandingWindow((0.3, 0.7), encoding="factored", window="bounding-box").law(part, 5)
    same_windows(law, {(frozenset([0, 1]), 1): 0.3, (frozenset(range(6)), 1): 0.7})


def test_level_pairs_share_their_class_evenly():
    for window in (None, "level-pair"):
        law = uep.codes.NonOverlappingWindow(GAMMA, encoding="factored", window=window).law(RXC, 30)
        same_windows(law, {(frozenset([k]), 1): GAMMA[TABLE.ravel()[k] - 1] / 3 for k in range(9)})


def test_levels_may_hold_several_blocks_in_any_place():
    # Row blocks by variance: block 1 is level 1, blocks 0 and 2 are level 2.
    part = uep.Partition.model(
        "rxc",
        left_variances=(1.0, 9.0, 1.0),
        right_variances=(1.0, 4.0),
        row_levels=(1, 2),
        col_levels=(1, 1),
        classes=[[2, 2], [2, 1], [2, 2]],
    )
    assert part.row_level.tolist() == [2, 1, 2]
    assert part.col_level.tolist() == [2, 1]
    everything = frozenset(range(6))
    top, top_row, top_col, rest = frozenset([3]), frozenset([2, 3]), frozenset([1, 3, 5]), frozenset([0, 4])
    ew = uep.codes.ExpandingWindow((0.5, 0.5), encoding="factored").law(part, 8)
    same_windows(ew, {(top, 1): 0.5, (everything, 1): 0.5})
    now = uep.codes.NonOverlappingWindow((0.4, 0.6), encoding="factored").law(part, 8)
    same_windows(now, {(top, 1): 0.4, (top_row - top, 1): 0.2, (top_col - top, 1): 0.2, (rest, 1): 0.2})
    nested = uep.codes.ExpandingWindow((0.9, 0.1), encoding="factored", window="nested").law(part, 8)
    same_windows(nested, {(top, 1): 0.81, (top_row, 1): 0.09, (top_col, 1): 0.09, (everything, 1): 0.01})


def test_fixed_windows_follow_largest_remainders():
    # 30 Γ = (12, 10.5, 7.5): the tie goes to the first. 9 Γ = (3.6, 3.15, 2.25).
    for workers, counts in [(30, (12, 11, 7)), (9, (4, 3, 2)), (1, (1, 0, 0)), (20, (8, 7, 5))]:
        for code in (uep.codes.NonOverlappingWindow, uep.codes.ExpandingWindow):
            law = code(GAMMA, windows="fixed").law(RXC, workers)
            assert law.tied
            assert law.window.tolist() == np.repeat([0, 1, 2], counts).tolist()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any), st.integers(1, 2000))
@relaxed
def test_fixed_window_counts_are_within_one_of_their_share(weights, workers):
    gamma = [w / sum(weights) for w in weights]
    k = len(weights)
    part = uep.Partition.model("cxr", left_variances=[1.0] * k, right_variances=[1.0] * k, classes=[1] * k)
    counts = np.bincount(uep.codes.NonOverlappingWindow(gamma, windows="fixed").law(part, workers).window, minlength=k)
    assert counts.sum() == workers
    assert np.all(np.abs(counts - np.array(gamma) * workers) < 1)
    assert all(c == 0 for c, w in zip(counts, weights, strict=True) if w == 0)
