"""What decoders are given: packets of many realizations in order of arrival."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uepgpu_kernels.job import Job
from uepgpu_kernels.reference.sample import coefficients, subsets

__all__ = ["Received"]

Ints = NDArray[np.int64]


class Received(NamedTuple):
    """The packets of R realizations; a decoder draws what it needs of them."""

    job: Job
    realizations: NDArray[np.uint64]  # (R,)
    window: Ints  # (R, W) by packet
    packet: Ints  # (R, W) packets in order of arrival

    def windows(self) -> Ints:
        """Return the window of each packet in order of arrival, shape (R, W)."""
        return np.take_along_axis(self.window, self.packet, axis=1)

    def supports(self) -> NDArray[np.bool_]:
        """Return the support of each packet in order of arrival, shape (R, W, K)."""
        return np.take_along_axis(subsets(self.job, self.realizations, self.window), self.packet[:, :, None], axis=1)

    def coefficients(self) -> NDArray[np.uint64]:
        """Return the coefficients of each packet in order of arrival, given or drawn, shape (R, W, K)."""
        if self.job.generator.shape[0]:
            given: NDArray[np.uint64] = self.job.generator[self.packet]
            return given
        return np.take_along_axis(coefficients(self.job, self.realizations, self.window), self.packet[:, :, None], axis=1)
