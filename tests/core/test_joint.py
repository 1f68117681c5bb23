"""One word for the windows of several packets: its table has the probabilities that it should, by enumeration."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import problems
from tests.oracles import naive
from uepgpu import codes
from uepgpu_kernels.cpu.draw import draw_combinations
from uepgpu_kernels.job import BY_INDEX
from uepgpu_kernels.joint import joint_draws, joint_words, packets_per_word, words_of_columns
from uepgpu_kernels.reference.sample import arrivals

WORDS = 2**32
MOST = Fraction(1, 2**30)


def widths(threshold):
    return np.diff([0, *threshold.tolist(), WORDS]).tolist()


def enumerated(table, n_cells, m):
    """Return how many words draw each combination, shape (S,)·m with the first packet first, by walking along every column."""
    count = np.zeros(n_cells**m, dtype=np.int64)
    for column, entry in enumerate(table.tolist()):
        own, alias = entry >> 7, entry & 127
        for number, words in ((column, own), (alias, 2**25 - own)):
            if words:
                count[number] += words  # raises beyond S^m: such a column is never drawn
    return count.reshape((n_cells,) * m).T


def check(threshold, probabilities=None):
    """Assert that a table draws each packet's cells to 2^-30, and combinations to 2^-31 with the product of their probabilities."""
    own = widths(threshold)
    m, table = joint_draws(threshold)
    count = enumerated(table, len(own), m)
    assert count.sum() == WORDS
    for place in range(m):
        each = count.sum(axis=tuple(i for i in range(m) if i != place))
        assert each.tolist() == own  # exactly what a word for this packet alone would draw
        if probabilities is not None:
            assert all(abs(Fraction(int(n), WORDS) - p) < MOST for n, p in zip(each, probabilities, strict=True))
    for c in itertools.product(range(len(own)), repeat=m):
        product = Fraction(1)
        for s in c:
            product *= Fraction(own[s], WORDS)
        assert abs(Fraction(int(count[c]), WORDS) - product) <= MOST / 2


DRAWN = [
    name
    for name, p in problems.PROBLEMS.items()
    if (plan := p.plan("count")) is not None and plan.job.order == BY_INDEX and plan.job.n_threshold[0] and plan.job.per_word > 1
]


@pytest.mark.parametrize("name", DRAWN)
def test_tables_of_codes_draw_their_probabilities(name):
    plan = problems.PROBLEMS[name].plan("count")
    job = plan.job
    threshold = job.threshold[0, : job.n_threshold[0]]
    exact = [Fraction(float(p)) for p in plan.law.probabilities][: threshold.size + 1]
    check(threshold, exact)
    assert np.array_equal(job.alias, joint_draws(threshold)[1])


def test_codes_with_joint_draws_are_among_the_problems():
    assert {"ew", "now", "lt", "windows", "nested", "ew gf256", "one packet"} <= set(DRAWN)
    assert {problems.PROBLEMS[name].plan("count").job.per_word for name in DRAWN} == {2, 3, 4, 7}


cuts = st.integers(1, 10).flatmap(lambda n: st.lists(st.integers(0, WORDS - 1), min_size=n, max_size=n)).map(sorted)


@given(cuts)
@settings(deadline=None, max_examples=40)
def test_any_table_draws_its_probabilities_and_is_that_of_the_oracle(limits):
    threshold = np.array(limits, dtype=np.uint32)
    check(threshold)
    m, table = joint_draws(threshold)
    assert m == naive.packets_of_a_word(threshold.size + 1)
    own = tuple(widths(threshold))
    assert joint_words(own, m) == tuple(naive.shares(own, m).values())
    assert [(x >> 7, x & 127) for x in table.tolist()] == naive.columns(own, m)


@pytest.mark.parametrize(
    "n_cells, m", [(1, 1), (2, 7), (3, 4), (4, 3), (5, 3), (6, 2), (11, 2), (12, 1), (128, 1), (129, 1), (5000, 1)]
)
def test_a_word_decides_as_many_packets_as_columns_allow(n_cells, m):
    assert packets_per_word(n_cells) == m
    assert n_cells**m <= 128 or m == 1
    assert n_cells == 1 or n_cells ** (m + 1) > 128
    threshold = np.linspace(1, WORDS - 1, n_cells - 1).astype(np.uint32)
    found, table = joint_draws(threshold)
    assert (found, table.size) == (m, 128 if m > 1 else 0)


@pytest.mark.parametrize("fault", ["own one less", "own one more", "alias one less", "alias one more"])
def test_a_wrong_entry_of_a_table_is_found(fault):
    # Every entry in turn: a change by one of it moves words between combinations, and the enumeration sees that.
    threshold = np.array([0.4, 0.75]) * WORDS
    threshold = threshold.astype(np.uint32)
    _, table = joint_draws(threshold)
    right = words_of_columns(table)
    step = {"own one less": -128, "own one more": 128, "alias one less": -1, "alias one more": 1}[fault]
    for column, entry in enumerate(table.tolist()):
        full = entry == column  # without words of its own: all are the alias's
        if (step == -128 and entry < 128) or (step == 128 and full):
            continue
        wrong = table.copy()
        wrong[column] = (entry & ~127) | ((entry + step) & 127) if abs(step) == 1 else entry + step
        assert not np.array_equal(words_of_columns(wrong), right)


@pytest.mark.parametrize("name", ["ew", "ew class 3 never", "lt", "windows"])
def test_a_prefix_of_packets_does_not_depend_on_how_many_there_are(name):
    p = problems.PROBLEMS[name]
    realizations = np.arange(2**32 - 20, 2**32 + 20, dtype=np.uint64)
    several = {}
    for w in range(1, 16):
        job = problems.Problem(p.code, p.part, problems.unit(w)).plan("count").job
        several[w] = arrivals(job, realizations)[0]
    for w, window in several.items():
        assert np.array_equal(window, several[15][:, :w])
    assert not np.array_equal(several[15][:, 0], several[15][:, 1])


@pytest.mark.parametrize("backend, decoder", [("numba", "count"), ("numpy", "count"), ("numpy", "match"), ("numpy", "eliminate")])
def test_what_is_decoded_by_a_prefix_does_not_depend_on_how_many_packets_there_are(backend, decoder):
    code = codes.ExpandingWindow(gamma=(0.5, 0.3, 0.2))
    all_times = problems.Problem(code, problems.CXR, problems.unit(15)).decode_times("count", decoder, 7, 20, 3, backend)
    for w in range(3, 15):
        times = problems.Problem(code, problems.CXR, problems.unit(w)).decode_times("count", decoder, 7, 20, 3, backend)
        assert np.array_equal(times, np.where(all_times <= w, all_times, w + 1))


def test_rows_of_words_become_those_of_combinations():
    job = problems.PROBLEMS["ew"].plan("count").job
    words = np.empty((4, 5), dtype=np.uint32)
    threshold = job.threshold[0, : job.n_threshold[0]]
    for i in range(5):
        draw_combinations(job, np.uint64(2**32 - 2), np.uint64(3), words, i)
        for lane in range(5):
            word = naive.word(int(job.seed), 2**32 - 2 + 3 * lane, 0, i)
            cells = naive.cells_together(word, widths(threshold))
            assert words[i % 4, lane] == sum(c * 3**place for place, c in enumerate(cells))
