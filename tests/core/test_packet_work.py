"""A count-domain tally charges packets the work of windows that occur."""

from __future__ import annotations

import numpy as np
import pytest

import uepgpu as uep
from tests.cases import problems
from uepgpu import codes


@pytest.mark.parametrize("gamma", [(0.0, 0.0, 1.0), (0.0, 0.5, 0.5), (1.0, 0.0, 0.0)])
def test_windows_of_probability_zero_do_not_set_the_work(gamma: tuple[float, ...]) -> None:
    # The free EW windows of RXC have true work 2, 3, 3.
    code, workers, times = codes.ExpandingWindow(gamma), uep.Workers(30, omega="fair"), [0.5, 1.0, 2.0, 4.0]
    tally = uep.simulate(code, problems.RXC, workers, realizations=20_000, seed=5)
    found = tally.loss(problems.RXC, workers=workers, deadlines=times)
    exact = uep.theory.loss(code, problems.RXC, workers, deadlines=times)["normalized_loss"].values
    error = found["normalized_loss_stderr"].values
    assert tally.packet_work == (2 if gamma[0] else 3)
    # Four standard errors; where nothing varies, rounding.
    assert np.all(np.abs(found["normalized_loss"].values - exact) <= 4 * error + 1e-12)
