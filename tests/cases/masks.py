"""Masked products as one would write them down: every sub-product by itself, in float64, with loops."""

from __future__ import annotations

import numpy as np

import uepgpu as uep
from uepgpu.train import Scheme

GAMMA = (0.45, 0.35, 0.20)
LATENCY = uep.latency.Exponential(0.5)
CODES = {
    "now": (uep.codes.NonOverlappingWindow(GAMMA), 15),
    "ew": (uep.codes.ExpandingWindow(GAMMA), 15),
    "mds": (uep.codes.MDS(), 15),
    "uncoded": (uep.codes.Uncoded(), 9),
    "repetition": (uep.codes.Repetition(2), 18),
}
FACTORED = {
    "now-factored": (uep.codes.NonOverlappingWindow(GAMMA, encoding="factored"), 15),
    "ew-factored": (uep.codes.ExpandingWindow(GAMMA, encoding="factored"), 15),
}


def scheme(name, deadline, *, work="unit", **options):
    code, count = (CODES | FACTORED)[name]
    return Scheme(code, uep.Workers(count, latency=LATENCY, work=work, omega="fair"), deadline, **options)


def cut(length, blocks):
    """Sizes as numpy.array_split has them."""
    return [part.tolist() for part in np.array_split(np.arange(length), blocks)]


def order_of(order, *scores):
    if order is None:
        return np.arange(scores[0][0].shape[scores[0][1]])
    total = 1.0
    for matrix, axis in scores:
        other = 1 - axis
        total = total * (np.sqrt((matrix**2).sum(axis=other)) if order == "norm" else np.abs(matrix).sum(axis=other))
    return np.argsort(-total, kind="stable")


def subproducts(left, right, scheme):
    """All X_k as (U, Q) arrays, zero elsewhere, by sorting, cutting and multiplying blocks one pair at a time."""
    left, right = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    found = []
    if scheme.paradigm == "rxc":
        rows, columns = order_of(scheme.order, (left, 0)), order_of(scheme.order, (right, 1))
        for some in cut(left.shape[0], scheme.shape[0]):
            for others in cut(right.shape[1], scheme.shape[1]):
                tile = np.zeros((left.shape[0], right.shape[1]))
                tile[np.ix_(rows[some], columns[others])] = left[rows[some]] @ right[:, columns[others]]
                found.append(tile)
        return np.stack(found)
    inner = order_of(scheme.order, (left, 1), (right, 0))
    return np.stack([left[:, inner[some]] @ right[inner[some]] for some in cut(left.shape[1], scheme.shape[0])])
