"""What N received packets can decode, against every set of N packets decoded by ranks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.cases import problems
from tests.oracles.brute_force import Decoder
from uepgpu import Partition, codes
from uepgpu.plan.possible import possible_counts

LINE = Partition.model("cxr", left_variances=range(6, 0, -1), right_variances=np.ones(6), classes=(1, 2, 3))
SPLIT = Partition.model("cxr", left_variances=range(4, 0, -1), right_variances=np.ones(4), classes=[[1], [2], [1], [2]])
GAMMA = (0.4, 0.35, 0.25)

CASES = {
    "now": (codes.NonOverlappingWindow(GAMMA), LINE, 8),
    "now without a class": (codes.NonOverlappingWindow((0.5, 0.0, 0.5)), LINE, 8),
    "now fixed": (codes.NonOverlappingWindow(GAMMA, windows="fixed"), LINE, 9),
    "ew": (codes.ExpandingWindow(GAMMA), LINE, 8),
    "ew without its largest": (codes.ExpandingWindow((0.5, 0.5, 0.0)), LINE, 8),
    "ew fixed": (codes.ExpandingWindow(GAMMA, windows="fixed"), LINE, 9),
    "ew fixed, few": (codes.ExpandingWindow(GAMMA, windows="fixed"), LINE, 5),
    "mds": (codes.MDS(), LINE, 8),
    "own, two alike": (codes.Windows([[0, 1], [1, 0], range(6)], (0.2, 0.3, 0.5)), LINE, 8),
    "own, some in none": (codes.Windows([[0], [1, 2]], (0.5, 0.5)), LINE, 6),
    "own, two chains": (codes.Windows([[0], [0, 1, 2], [3], [3, 4, 5]], (0.2, 0.3, 0.1, 0.4)), LINE, 7),
    "uncoded": (codes.Uncoded(), LINE, 6),
    "repetition": (codes.Repetition(2), SPLIT, 8),
    "classes that windows split": (codes.Windows([[0, 1], [0, 1, 2, 3]], (0.5, 0.5)), SPLIT, 6),
}
SPLIT_CLASSES = {"own, two alike", "own, some in none", "own, two chains", "uncoded"}


def outcomes(code, part, n_workers):
    """Return, for every N, the 0/1 rows of what may be undecoded."""
    law = code.law(part, n_workers)
    decoder = Decoder(law.supports)
    for n in range(n_workers + 1):
        if law.window is not None:
            sets = itertools.combinations(law.window.tolist(), n)
        else:
            sets = itertools.combinations_with_replacement(np.flatnonzero(law.probabilities).tolist(), n)
        yield n, np.array(sorted({decoder.undecoded(windows) for windows in sets}), dtype=bool)


@pytest.mark.parametrize("name", CASES)
def test_what_can_happen_is_what_some_packets_do(name):
    code, part, n_workers = CASES[name]
    law = code.law(part, n_workers)
    left, right = np.tril_indices(part.n_subproducts)
    pairs = possible_counts(law, part.classes, n_workers, "pairs", "count")
    single = possible_counts(law, part.classes, n_workers, "marginals", "count")
    patterns = (
        possible_counts(law, part.classes, n_workers, "patterns", "count") if part is LINE and name not in SPLIT_CLASSES else None
    )
    for n, undecoded in outcomes(code, part, n_workers):
        both = undecoded[:, left] & undecoded[:, right]
        assert np.array_equal(pairs[:, 1] >= n, both.any(axis=0)), n
        assert np.array_equal(pairs[:, 0] <= n, (~both).any(axis=0)), n
        assert np.array_equal(single[:, 1] >= n, undecoded.any(axis=0)), n
        assert np.array_equal(single[:, 0] <= n, (~undecoded).any(axis=0)), n
        if patterns is not None:
            decoded = np.stack([~undecoded[:, part.classes == c].any(axis=1) for c in range(1, part.n_classes + 1)], axis=1)
            found = set((decoded << np.arange(part.n_classes)).sum(axis=1).tolist())
            assert found == set(np.flatnonzero((patterns[:, 0] <= n) & (n <= patterns[:, 1])).tolist()), n


def test_nothing_is_said_of_other_codes():
    for name in ("lt", "windows gf2", "generator", "level-pair", "windows"):
        problem = problems.PROBLEMS[name]
        law = problem.code.law(problem.part, problem.workers.count)
        known = possible_counts(law, problem.part.classes, problem.workers.count, "pairs", "match")
        assert (known is None) == (name != "level-pair"), name
    # Elimination modulo a prime fails now and then where real coefficients would not.
    assert possible_counts(codes.MDS().law(LINE, 6), LINE.classes, 6, "patterns", "eliminate") is None
