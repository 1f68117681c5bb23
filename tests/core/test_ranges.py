"""A tally does not depend on how its realizations were cut into batches, threads, ranges and merges."""

from __future__ import annotations

import functools
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cases import problems
from uepgpu import simulate

CHOSEN = [
    ("ew", "count", "count"),
    ("ew", "deadline", "count"),
    ("max-rectangle", "deadline", "match"),
    ("lt", "count", "match"),
    ("uncoded", "count", "count"),
    ("windows gf256", "deadline", "eliminate"),
    ("generator", "count", "eliminate"),
    ("nested", "count", "peel"),
]
TOTAL = 1300
START = 2**32 - 611


def run(case, first=START, realizations=TOTAL, **options):
    name, domain, decoder = case
    p = problems.PROBLEMS[name]
    options = {"seed": 11, "decoder": decoder, "first_realization": first, "realizations": realizations} | options
    return simulate(p.code, p.part, p.workers, deadlines=p.times(domain), **options)


@functools.cache
def whole(case):
    return run(case, batch=TOTAL)


@pytest.mark.parametrize("case", CHOSEN)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_tallies_do_not_depend_on_the_batch(case, backend):
    for batch in (7, 100, 1000, 10**6):
        assert run(case, batch=batch, backend=backend) == whole(case)
    assert run(case, realizations=70, batch=1, backend=backend) == run(case, realizations=70, batch=70)


@pytest.mark.slow
@pytest.mark.parametrize("case", CHOSEN[:2])
def test_a_million_realizations_do_not_depend_on_the_batch(case):
    large = {"first": 2**40 + 3, "realizations": 10**6 + 1}
    at_once = run(case, **large, batch=10**7, threads=1)
    for batch in (10**6, 300_007, None):
        assert run(case, **large, batch=batch, threads=2) == at_once
    if case[1] == "deadline":
        assert run(case, **large, batch=1000) == at_once


@pytest.mark.parametrize("case", CHOSEN)
@pytest.mark.parametrize("threads", [1, 2, 5, 64])
def test_tallies_do_not_depend_on_the_threads(case, threads):
    assert run(case, threads=threads) == whole(case)


@given(st.sampled_from(CHOSEN), st.sets(st.integers(1, TOTAL - 1), max_size=6), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=25)
def test_ranges_add_up_to_the_whole_in_any_order(case, cuts, random):
    edges = [0, *sorted(cuts), TOTAL]
    parts = [
        run(case, START + a, b - a, batch=random.choice([None, 17]), backend=random.choice(["numba", "numpy"]))
        for a, b in pairwise(edges)
    ]
    random.shuffle(parts)
    while len(parts) > 1:  # any tree of additions
        i = random.randrange(len(parts) - 1)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    assert parts[0] == whole(case)
    assert parts[0].ranges == ((START, START + TOTAL),)


def test_every_realization_has_its_own_sub_batch():
    for first in (0, 5, 2**64 - 40):
        tally = run(CHOSEN[0], first, 40)
        sizes = tally.patterns[:, 0].sum(axis=1)
        expected = np.bincount([(first + i) % 32 for i in range(40)], minlength=32)
        assert np.array_equal(sizes, expected)
        assert np.all(tally.patterns.sum(axis=2) == expected[:, None])


def test_progress_accounts_for_every_realization():
    seen = []
    run(CHOSEN[0], batch=300, progress=seen.append)
    assert seen == [300, 300, 300, 300, 100]


def test_a_cuda_backend_that_cannot_run_says_so():
    from uepgpu import BackendUnavailable

    with pytest.raises(BackendUnavailable, match="cuda"):
        run(CHOSEN[0], backend="cuda")
    with pytest.raises(ValueError, match="backend"):
        run(CHOSEN[0], backend="gpu")
    for name in ("batch", "threads", "realizations"):
        with pytest.raises(ValueError, match=name):
            run(CHOSEN[0], **{name: 0})
