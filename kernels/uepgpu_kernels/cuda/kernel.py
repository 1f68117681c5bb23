"""One kernel per shape, compiled when first launched."""

from __future__ import annotations

import functools
from typing import Any

from uepgpu_kernels.cuda.binned import binned_kernel
from uepgpu_kernels.cuda.by_words import by_words_kernel
from uepgpu_kernels.cuda.listed import listed_kernel
from uepgpu_kernels.cuda.rounds import rounds_kernel
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.sorted import sorted_kernel
from uepgpu_kernels.cuda.streamed import streamed_kernel
from uepgpu_kernels.cuda.warped import warped_kernel

__all__ = ["kernel_of"]


@functools.cache
def kernel_of(shape: Shape) -> Any:
    """Return the kernel ``(seed, first, count, n_times, n_bins, t, out, record)`` of a shape."""
    if shape.rounds:
        return rounds_kernel(shape)
    makers = {
        "binned": binned_kernel,
        "by_words": by_words_kernel,
        "streamed": streamed_kernel,
        "sorted": sorted_kernel,
        "listed": listed_kernel,
        "warped": warped_kernel,
    }
    return makers[shape.nest](shape)
