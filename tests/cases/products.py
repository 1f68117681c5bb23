"""Real products that several test files multiply: uneven blocks, rectangular matrices, every code and encoding."""

from __future__ import annotations

import numpy as np

import uepgpu as uep
from uepgpu import codes

GAMMA = (0.40, 0.35, 0.25)
SIZES = (3, 3, 3)
NOW, EW = codes.NonOverlappingWindow, codes.ExpandingWindow
CODES = {
    "now free": (NOW(GAMMA, encoding="free"), 30),
    "now stacked": (NOW(GAMMA, encoding="stacked"), 30),
    "now fixed": (NOW(GAMMA, windows="fixed"), 30),
    "now level-pair": (NOW(GAMMA, encoding="factored"), 60),
    "ew free": (EW(GAMMA, encoding="free"), 30),
    "ew stacked": (EW(GAMMA, encoding="stacked"), 30),
    "ew max-rectangle": (EW(GAMMA, encoding="factored"), 30),
    "ew nested": (EW(GAMMA, encoding="factored", window="nested"), 40),
    "ew bounding-box": (EW(GAMMA, encoding="factored", window="bounding-box"), 30),
    "mds free": (codes.MDS(encoding="free"), 14),
    "mds stacked": (codes.MDS(encoding="stacked"), 14),
    "mds factored": (codes.MDS(encoding="factored"), 14),
    "uncoded": (codes.Uncoded(), 9),
    "repetition": (codes.Repetition(2), 18),
    "lt": (codes.LT(), 30),
    "windows": (codes.Windows([[0, 1, 4], [2, 3, 5, 8], [0, 6, 7], [4, 8]], [0.3, 0.3, 0.2, 0.2]), 40),
    "generator": (codes.Generator(np.random.default_rng(3).integers(-2, 3, size=(20, 9)) + np.eye(20, 9) * 5), 20),
    "real generator": (codes.Generator(np.random.default_rng(4).normal(size=(14, 9))), 14),
}
"""Code and number of workers, by name."""

CASES = [(name, paradigm) for name, (code, _) in CODES.items() for paradigm in ("rxc", "cxr")]
CASES = [c for c in CASES if c[1] == "rxc" or getattr(CODES[c[0]][0], "encoding", "stacked") in ("auto", "stacked")]


def factors(u=31, h=23, q=37, seed=5):
    """Return matrices whose rows and columns differ in size by orders of magnitude; no block count divides their shapes."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(u, h)) * rng.lognormal(size=(u, 1)), rng.normal(size=(h, q)) * rng.lognormal(size=(1, q))


def partition(paradigm, A, B, order="norm"):
    """Return nine sub-products in three classes."""
    if paradigm == "rxc":
        return uep.Partition.rxc(A, B, rows=3, cols=3, classes=SIZES, order=order)
    return uep.Partition.cxr(A, B, blocks=9, classes=SIZES, order=order)


def zero_filled(part, undecoded):
    """Return the losses uᵀ G u of zero-filling, for undecoded sub-products (R, K)."""
    u = undecoded.astype(np.float64)
    return np.einsum("rk,kl,rl->r", u, part.gram, u)
