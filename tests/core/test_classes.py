"""Importance classes and levels against rankings by hand and all groupings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uepgpu as uep
from tests.cases.paper import CXR, RXC, TABLE, VARIANCES, random_factors, relaxed


def test_the_papers_classes():
    assert np.array_equal(RXC.classes.reshape(3, 3), TABLE)
    assert CXR.classes.tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.data())
@relaxed
def test_class_sizes_take_the_most_important_first_and_ties_by_index(class_sizes, data):
    k = sum(class_sizes)
    variances = data.draw(st.lists(st.sampled_from([0.1, 0.3, 1.0, 7.0]), min_size=k, max_size=k))
    part = uep.Partition.model("cxr", left_variances=variances, right_variances=[2.0] * k, classes=class_sizes)
    ranking = sorted(range(k), key=lambda m: (-variances[m], m))
    expected = np.empty(k, dtype=int)
    expected[ranking] = np.repeat(np.arange(1, len(class_sizes) + 1), class_sizes)
    assert part.classes.tolist() == expected.tolist()
    assert part.class_sizes == tuple(class_sizes)


def test_equal_scores_tie_although_their_roundings_differ():
    # In float64 0.1·3 is above 0.3·1: a comparison of raw scores would put sub-product 1 first.
    part = uep.Partition.model("cxr", left_variances=(0.3, 0.1), right_variances=(1.0, 3.0), classes=(1, 1))
    assert part.classes.tolist() == [1, 2]


@given(st.integers(1, 4), st.integers(1, 4), st.data(), st.integers(0, 10**6))
@relaxed
def test_classes_of_matrices_go_by_the_product_of_block_norms(rows, cols, data, seed):
    A, B = random_factors((6, 5, 7), seed)
    scores = [np.linalg.norm(a) * np.linalg.norm(b) for a in np.array_split(A, rows) for b in np.array_split(B, cols, axis=1)]
    first = data.draw(st.integers(1, rows * cols))
    class_sizes = (first, rows * cols - first)[: 1 + (first < rows * cols)]
    part = uep.Partition.rxc(A, B, rows=rows, cols=cols, classes=class_sizes, order=None)
    assert set(np.flatnonzero(part.classes == 1)) == set(np.argsort(scores)[::-1][:first])
    for level, blocks in [(part.row_level, np.array_split(A, rows)), (part.col_level, np.array_split(B, cols, axis=1))]:
        norms = [np.linalg.norm(block) for block in blocks]
        assert level.tolist() == [1 + sum(other > norm for other in norms) for norm in norms]
    scores = [
        np.linalg.norm(a) * np.linalg.norm(b) for a, b in zip(np.array_split(A, rows, axis=1), np.array_split(B, rows), strict=True)
    ]
    part = uep.Partition.cxr(A, B, blocks=rows, classes=(1, rows - 1)[: 1 + (rows > 1)], order=None)
    assert np.flatnonzero(part.classes == 1).tolist() == [np.argmax(scores)]


def test_a_table_of_classes_is_taken_as_it_is():
    table = [[2, 1, 2], [1, 2, 2], [2, 2, 1]]
    part = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, classes=table)
    assert part.classes.reshape(3, 3).tolist() == table
    part = uep.Partition.model("cxr", left_variances=VARIANCES, right_variances=VARIANCES, classes=[[2], [1], [2]])
    assert part.classes.tolist() == [2, 1, 2]


@given(st.lists(st.sampled_from([1e-6, 0.01, 0.5, 1.0, 2.0, 30.0, 1e4]), min_size=1, max_size=8))
@relaxed
def test_auto_classes_have_the_least_spread_of_all_groupings(variances):
    part = uep.Partition.model("cxr", left_variances=variances, right_variances=[1.0] * len(variances), classes="auto")
    logs = sorted((0.5 * math.log(v) for v in variances), reverse=True)

    def spread(groups):
        return sum(sum((x - sum(g) / len(g)) ** 2 for x in g) for g in groups)

    n, wanted = len(logs), min(3, len(set(variances)))
    cuts = itertools.combinations(range(1, n), wanted - 1)
    best = min(spread([logs[i:j] for i, j in itertools.pairwise((0, *c, n))]) for c in cuts)
    assert part.n_classes == wanted
    found = [
        [0.5 * math.log(v) for v, c in zip(variances, part.classes, strict=True) if c == label] for label in range(1, wanted + 1)
    ]
    assert spread(found) <= best + 1e-9
    for group, following in itertools.pairwise(found):
        assert min(group) > max(following)  # equal scores are never split between classes


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_auto_classes_find_separate_groups_of_many_blocks(groups):
    rng = np.random.default_rng(groups)
    label = rng.integers(1, groups + 1, size=1024)
    part = uep.Partition.model("cxr", left_variances=100.0**-label * rng.uniform(1, 1.1, 1024), right_variances=np.ones(1024))
    if groups > 1:
        # Three classes are always made; those of fewer groups are split, never mixed.
        assert all(len(set(label[part.classes == c])) == 1 for c in range(1, 4))
    if groups == 3:
        assert np.array_equal(part.classes, label)
    assert part.n_classes == 3


def test_auto_classes_take_blocks_of_no_energy():
    part = uep.Partition.model("cxr", left_variances=(1.0, 0.0, 5e-324, 0.0), right_variances=(1.0,) * 4)
    assert part.classes.tolist() == [1, 3, 2, 3]
    part = uep.Partition.model("cxr", left_variances=(0.0, 0.0), right_variances=(1.0, 1.0))
    assert part.classes.tolist() == [1, 1]
