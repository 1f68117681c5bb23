"""The paper's setting (docs/mathematics.md §3, §5) and what several test files measure with."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

import uepgpu as uep

if TYPE_CHECKING:
    from uepgpu.codes.supports import SupportLaw

relaxed = settings(deadline=None, max_examples=40)

VARIANCES = (10.0, 1.0, 0.1)
GAMMA = (0.40, 0.35, 0.25)
RXC = uep.Partition.model("rxc", left_variances=VARIANCES, right_variances=VARIANCES, shape=(300, 900, 300), classes=(3, 3, 3))
CXR = uep.Partition.model(
    "cxr", left_variances=np.repeat(VARIANCES, 3), right_variances=np.repeat(VARIANCES, 3), shape=(900, 100, 900), classes=(3, 3, 3)
)
TABLE = np.array([[1, 1, 2], [1, 2, 3], [2, 3, 3]])
PAPER = uep.Workers(30, omega=1.0, work="unit")
NOW, EW, MDS = uep.codes.NonOverlappingWindow(GAMMA), uep.codes.ExpandingWindow(GAMMA), uep.codes.MDS()
LEVEL_PAIR = uep.codes.NonOverlappingWindow(GAMMA, encoding="factored")
FIXED = [
    uep.codes.NonOverlappingWindow(GAMMA, windows="fixed"),
    uep.codes.ExpandingWindow(GAMMA, windows="fixed"),
    uep.codes.ExpandingWindow((0.2, 0.2, 0.6), windows="fixed"),
]


def close(value, expected, rtol=1e-12):
    """Equal to rounding: sums of a few hundred float64 products of like size."""
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol * np.max(np.abs(expected), initial=0.0))


def random_factors(shape, seed):
    rng = np.random.default_rng(seed)
    u, h, q = shape
    return rng.normal(size=(u, h)) * rng.lognormal(size=(u, 1)), rng.normal(size=(h, q)) * rng.lognormal(size=(1, q))


def windows_of(law: SupportLaw) -> Counter:
    """Probability of every (support, work)."""
    result: Counter = Counter()
    for support, probability, work in zip(law.supports, law.probabilities, law.work, strict=True):
        result[frozenset(np.flatnonzero(support).tolist()), int(work)] += float(probability)
    return result


def same_windows(law, expected):
    found = windows_of(law)
    assert found.keys() == expected.keys()
    for key, probability in expected.items():
        assert found[key] == pytest.approx(probability, abs=1e-15)
