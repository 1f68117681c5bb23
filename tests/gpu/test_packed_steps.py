"""Counting along chains in packed fields is counting along chains."""

from __future__ import annotations

import numpy as np
import pytest

from uepgpu_kernels.bodies.count import packed_open, packed_take, rises


def step_by_step(room, starts, s):
    rising = False
    for i in range(len(room)):
        rising = rises(rising and not starts[i], i == s, room[i])
        room[i] -= rising


@pytest.mark.parametrize("word, most", [(np.uint32, 4), (np.uint64, 8)])
def test_packed_ranks_rise_as_single_ones_do(word, most):
    rng = np.random.default_rng(5)
    for _ in range(60):
        n = int(rng.integers(1, most + 1))
        starts = np.append(True, rng.random(n - 1) < 0.4)
        room = rng.integers(1, 65, size=n).tolist()
        fields = word(sum((127 + r) << (8 * i) for i, r in enumerate(room)))
        inner = word(sum(0x80 << (8 * i) for i in range(n - 1) if not starts[i + 1]))
        for s in rng.integers(n, size=150).tolist():
            step_by_step(room, starts, s)
            fields = word(packed_take(fields, word(1 << (8 * s)), inner, word))
            assert [(int(fields) >> (8 * i)) & 255 for i in range(n)] == [127 + r for r in room]
            open_ = int(packed_open(fields, word))
            assert [(open_ >> (8 * i)) & 255 for i in range(n)] == [int(r > 0) for r in room]
