"""Walks that take all packets of a word at once: tables of states and combinations, and the tallies they lead to."""

from __future__ import annotations

import numpy as np
import pytest

from tests.cases import problems
from uepgpu import codes
from uepgpu_kernels import cpu
from uepgpu_kernels import reference as numpy_backend
from uepgpu_kernels.automaton import automaton_of, undecoded_classes
from uepgpu_kernels.cpu import nests
from uepgpu_kernels.reference import decode
from uepgpu_kernels.steps import MOST_ENTRIES, chain_states, steps_of

COUNT = 1500
"""Fewer than 1,025 realizations share tiles by another way."""
FIRST = 2**32 - 700
WALKED = ["ew", "now", "ew class 1 never", "ew class 3 never", "now class 2 never", "one packet", "two sub-products"]
WALKED += ["eight classes now", "lossy", "W = 255"]


def job_of(name):
    return problems.PROBLEMS[name].plan("count").job


def by_numpy(job):
    return numpy_backend.run(job, decode.match, "patterns", FIRST, COUNT).patterns


def by_words(job, nest):
    return cpu.run(job, nest, "patterns", FIRST, COUNT, 1).patterns


@pytest.mark.parametrize("name", WALKED)
@pytest.mark.parametrize("decoder", ["count", "match"])
def test_word_by_word_is_packet_by_packet(name, decoder, monkeypatch):
    job = job_of(name)
    assert steps_of(job, *chain_states(job)) is not None
    automaton = automaton_of(job)
    assert steps_of(job, automaton.following, undecoded_classes(automaton, job)) is not None
    monkeypatch.setattr(nests, "run_chains", lambda way: None)
    monkeypatch.setattr(nests, "run_automaton", lambda way: None)
    assert np.array_equal(by_words(job, getattr(nests, decoder)(job)), by_numpy(job))


def test_windows_that_a_code_lists_in_another_order_are_walked_by_their_numbers():
    supports, gamma = [range(9), range(3), range(6), range(3)], (0.4, 0.2, 0.3, 0.1)
    code = codes.Windows([list(s) for s in supports], gamma)
    job = problems.Problem(code, problems.line(3, 3, 3), problems.unit(11)).plan("count").job
    assert job.cell_window[0].tolist() == [2, 0, 1, 0]
    assert steps_of(job, *chain_states(job)) is not None
    for nest in (nests.count(job), nests.match(job)):
        assert np.array_equal(by_words(job, nest), by_numpy(job))


@pytest.mark.parametrize("name", ["ew", "now", "ew class 3 never", "eight classes now"])
def test_a_table_walks_as_its_automaton(name):
    job = job_of(name)
    following, undecoded = chain_states(job)
    table, m, cells, width = steps_of(job, following, undecoded), job.per_word, job.cell_window.shape[1], 16 // job.n_classes
    n = cells**m
    for state in range(len(following)):
        for combination in range(n):
            at, left = state, [0] * job.n_classes
            for i in range(m):
                at = following[at, job.cell_window[0, combination // cells**i % cells]]
                left = [x + int(open_) for x, open_ in zip(left, undecoded[at], strict=True)]
            entry = int(table[state * n + combination])
            assert entry >> 16 == at * n
            assert [(entry >> width * c) & ((1 << width) - 1) for c in range(job.n_classes)] == left


@pytest.mark.parametrize("name", ["ew", "now", "ew class 1 never", "eight classes now"])
def test_states_of_chains_decode_as_those_of_matching(name):
    job = job_of(name)
    following, undecoded = chain_states(job)
    automaton = automaton_of(job)
    classes = undecoded_classes(automaton, job)
    met = {(0, 0)}
    todo = [(0, 0)]
    while todo:
        mine, its = todo.pop()
        assert np.array_equal(undecoded[mine], classes[its])
        for s in range(job.capacity.size):
            then = int(following[mine, s]), int(automaton.following[its, s])
            if then not in met:
                met.add(then)
                todo.append(then)
    assert {a for a, _ in met} == set(range(len(following)))
    assert len(following) <= len(automaton.following)


def test_large_tables_are_not_made():
    job = job_of("K = 64")
    assert chain_states(job) is None
    small = job_of("ew")
    states = MOST_ENTRIES // 81 + 1
    assert steps_of(small, np.zeros((states, 3), dtype=np.int64), np.ones((states, 3), dtype=np.bool_)) is None
    seven = job_of("ew class 3 never")  # packets a word: three bits count them
    for n_classes, fits in ((5, True), (6, False)):
        table = steps_of(seven, np.zeros((1, 2), dtype=np.int64), np.ones((1, n_classes), dtype=np.bool_))
        assert (table is not None) == fits
    assert steps_of(small._replace(per_word=1), np.zeros((1, 3), dtype=np.int64), np.ones((1, 3), dtype=np.bool_)) is None


def off_by_one(table):
    """Yield tables with one entry wrong: the next state, and what each class counts."""
    for change in (81 << 16, 1, 1 << 5, 1 << 10):
        wrong = table.copy()
        wrong[40] += np.uint32(change)
        yield wrong


def test_a_wrong_entry_shows_in_the_tally(monkeypatch):
    job = job_of("ew")
    table, expected = steps_of(job, *chain_states(job)), by_numpy(job)
    for wrong in off_by_one(table):
        monkeypatch.setattr(nests, "steps_of", lambda *_, table=wrong: table)
        assert not np.array_equal(by_words(job, nests.count(job)), expected)
    monkeypatch.setattr(nests, "steps_of", lambda *_: table)
    assert np.array_equal(by_words(job, nests.count(job)), expected)


@pytest.mark.parametrize("fault", ["last packet first", "combination off by one", "word off by one"])
def test_wrong_cells_of_a_combination_show_in_times(fault, monkeypatch):
    job = job_of("ew")
    right = nests.cells_of_columns(3, 4)
    wrong = {
        "last packet first": (right >> 12) | ((right >> 4) & 0xF0) | ((right << 4) & 0xF00) | ((right << 12) & 0xF000),
        "combination off by one": np.roll(right, 1),
        "word off by one": right >> 4,
    }[fault]
    expected = numpy_backend.decode_times(job, decode.match, FIRST, 300)
    assert np.array_equal(cpu.decode_times(job, nests.count(job), FIRST, 300), expected)
    monkeypatch.setattr(nests, "cells_of_columns", lambda *_: wrong.astype(np.uint32))
    assert not np.array_equal(cpu.decode_times(job, nests.count(job), FIRST, 300), expected)
