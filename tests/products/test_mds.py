"""The real MDS generator: any K packets decode, and decode well."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import uepgpu as uep
from tests.cases.products import factors
from uepgpu.products.decoding_weights import selected_weights
from uepgpu.products.mds_generator import harmonic_generator, mds_generator, worst_condition

DECIBEL_100 = 1e-5
"""Relative size of noise at a signal-to-noise ratio of 100 dB."""


def worst_error(generator, seed=0):
    """Relative Frobenius error of Ĉ over every set of K packets, at 100 dB: the largest."""
    n, k = generator.shape
    rng = np.random.default_rng(seed)
    tiles = rng.normal(size=(k, 400))
    payloads = generator @ tiles
    size = np.sqrt((payloads**2).mean(axis=1, keepdims=True))
    noisy = payloads + DECIBEL_100 * size * rng.normal(size=payloads.shape)
    sets = list(itertools.combinations(range(n), k))
    arrived = np.zeros((len(sets), n), dtype=np.bool_)
    for row, members in zip(arrived, sets, strict=True):
        row[list(members)] = True
    coefficients = np.broadcast_to(generator, (len(sets), n, k))
    weights, found, *_ = selected_weights(coefficients, arrived, np.ones((len(sets), k), dtype=np.bool_), 1, compiled=True)
    assert found.all()
    error = weights @ noisy - tiles
    return np.sqrt((error**2).sum(axis=(1, 2)) / (tiles**2).sum()).max()


def test_the_worst_12_of_14_packets_cost_less_than_a_thousandth_at_100_db():
    ours = worst_error(mds_generator(14, 12))
    assert ours < 1e-3
    assert ours == pytest.approx(5e-5, rel=0.5)
    # What equispaced real polynomial codes do: the reason for another generator.
    vandermonde = np.vander(np.linspace(-1, 1, 14), 12, increasing=True)
    assert worst_error(vandermonde / np.linalg.norm(vandermonde, axis=1, keepdims=True)) == pytest.approx(0.15, rel=0.3)


def test_so_it_is_in_a_coded_product():
    A, B = factors(60, 40, 60)
    part = uep.Partition.rxc(A, B, rows=3, cols=4, classes=(4, 4, 4))
    workers = uep.Workers(14, omega=1.0, work="unit")
    result = uep.multiply(
        part, uep.codes.MDS(), workers, deadline=1.9, realizations=2_000, seed=1, faithful=True, noise=DECIBEL_100
    )
    twelve = result.arrived.sum(axis=1) == 12
    assert len(np.unique(result.arrived[twelve], axis=0)) > 85  # of 91 sets
    assert math.sqrt(result.normalized_loss[twelve].max()) < 1e-3


@pytest.mark.parametrize(("n", "k"), [(7, 2), (9, 3), (6, 4), (8, 4), (10, 9), (12, 9), (14, 12)])
def test_fewer_packets_than_sub_products_decode_nothing(n, k):
    generator = mds_generator(n, k)
    for size in range(1, k):
        sets = list(itertools.islice(itertools.combinations(range(n), size), 200))
        for members in sets:
            _, _, basis = np.linalg.svd(generator[list(members)], full_matrices=False)
            covered = (basis**2).sum(axis=0)  # 1 where the unit vector lies in the span
            # A remainder below 1e-7, squared 1e-14, would count as decoded.
            assert covered.max() < 1 - 1e-12


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 1), (3, 3), (9, 9), (10, 9), (12, 9), (14, 12), (9, 2), (9, 3), (13, 8)])
def test_every_set_of_packets_decodes(n, k):
    generator = mds_generator(n, k)
    assert generator.shape == (n, k)
    assert not generator.flags.writeable
    assert np.allclose(generator.T @ generator, np.eye(k) * n / k)  # orthogonal columns
    assert math.isfinite(worst_condition(generator))
    for members in itertools.combinations(range(n), k):
        assert np.linalg.cond(generator[list(members)]) < 1e6
    rows = harmonic_generator(n, k)
    for members in itertools.combinations(range(n), k):
        assert np.linalg.matrix_rank(rows[list(members)]) == k
