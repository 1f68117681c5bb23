"""How probable it is that each sub-product is decoded, and what debiasing divides by."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from uepgpu.train.scheme import Scheme

__all__ = ["decoding_scale", "subproduct_probability"]

Floats = NDArray[np.float64]

SIMULATED = 1 << 21
"""Realizations where there is no closed form: the standard error of a probability is then at most 0.00035."""


def subproduct_probability(scheme: Scheme) -> Floats:
    """Return Pr[X_k is decoded by the deadline], shape (K,): exact where theory has a closed form, else simulated.

    Examples
    --------
    >>> import uepgpu as uep
    >>> workers = uep.Workers(15, latency=uep.latency.Exponential(0.5), omega="fair", work="unit")
    >>> code = uep.codes.ExpandingWindow((0.45, 0.35, 0.20))
    >>> subproduct_probability(Scheme(code, workers, deadline=0.5, paradigm="cxr")).round(3)[[0, 1, 8]].tolist()
    [0.636, 0.111, 0.0]
    """
    from uepgpu import theory
    from uepgpu.monte_carlo import simulate

    part = scheme.partition
    k = part.n_subproducts
    try:
        # If one sub-product has all the energy, the loss is the probability that it is undecoded.
        alone = (dataclasses.replace(part, gram=np.diag(np.arange(k) == i).astype(np.float64)) for i in range(k))
        lost = [float(theory.loss(scheme.code, p, scheme.workers, deadlines=[scheme.time]).loss[0]) for p in alone]
        return np.asarray(1.0 - np.array(lost), dtype=np.float64)
    except NotImplementedError:
        tally = simulate(scheme.code, part, scheme.workers, deadlines=[scheme.time], realizations=SIMULATED, seed=0)
        return np.asarray(tally.subproduct_probability().probability[0], dtype=np.float64)


def decoding_scale(scheme: Scheme) -> Floats:
    """Return the factor of each decoded sub-product, shape (K,): 1, or 1/P_k where debiased and P_k >= p_min."""
    if scheme.estimator != "debiased":
        return np.ones(scheme.partition.n_subproducts)
    p = subproduct_probability(scheme)
    return np.where(p >= scheme.p_min, 1.0 / np.maximum(p, scheme.p_min), 1.0)
