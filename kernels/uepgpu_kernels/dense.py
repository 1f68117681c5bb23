"""Array work on real blocks through one namespace: NumPy, CuPy, or any other of the array API standard.

Blocks are stacked along the first axis and padded with zeros to one size. Every function takes the namespace `xp`
first and uses nothing beyond the standard.
"""

from __future__ import annotations

from typing import Any

__all__ = ["assemble", "combine", "encode", "gram", "multiply", "stack", "subproducts"]


def encode(xp: Any, coefficients: Any, blocks: Any) -> Any:
    """Combine blocks: (F, n) coefficients and (n, a, b) blocks give (F, a, b). One matrix product, whatever F is."""
    n, a, b = blocks.shape
    return xp.reshape(xp.matmul(coefficients, xp.reshape(blocks, (n, a * b))), (coefficients.shape[0], a, b))


def stack(xp: Any, coefficients: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """Concatenate scaled factors: coefficients (F, n), left (n, a, h), right (n, h, b) give (F, a, n h) and (n h, b)."""
    f, n = coefficients.shape
    _, a, h = left.shape
    scaled = xp.reshape(coefficients, (f, 1, n, 1)) * xp.permute_dims(left, (1, 0, 2))[None, ...]
    return xp.reshape(scaled, (f, a, n * h)), xp.reshape(right, (n * h, right.shape[2]))


def multiply(xp: Any, left: Any, right: Any) -> Any:
    """Multiply pairs of encoded factors and add them up: (F, r, a, h) and (F, r, h, b) give (F, a, b).

    The r pairs of a packet are laid side by side, so that a worker's job is one product.
    """
    f, r, a, h = left.shape
    wide = xp.reshape(xp.permute_dims(left, (0, 2, 1, 3)), (f, a, r * h))
    tall = xp.reshape(right, (f, r * h, right.shape[3]))
    return xp.matmul(wide, tall)


def subproducts(xp: Any, left: Any, right: Any, paradigm: str) -> Any:
    """Return all sub-products (K, a, b): every pair of blocks (rxc, K = N P; one product) or block by block (cxr)."""
    if paradigm == "cxr":
        return xp.matmul(left, right)
    n, u, h = left.shape
    p, _, q = right.shape
    product = xp.matmul(xp.reshape(left, (n * u, h)), xp.reshape(xp.permute_dims(right, (1, 0, 2)), (h, p * q)))
    return xp.reshape(xp.permute_dims(xp.reshape(product, (n, u, p, q)), (0, 2, 1, 3)), (n * p, u, q))


def combine(xp: Any, weights: Any, payloads: Any) -> Any:
    """Form linear combinations: weights (R, m, n) and payloads (n, a, b), or (R, n, a, b) of their own, give (R, m, a, b)."""
    r, m, n = weights.shape
    a, b = payloads.shape[-2:]
    if payloads.ndim == 3:
        flat = xp.matmul(xp.reshape(weights, (r * m, n)), xp.reshape(payloads, (n, a * b)))
    else:
        flat = xp.matmul(weights, xp.reshape(payloads, (r, n, a * b)))
    return xp.reshape(flat, (r, m, a, b))


def gram(xp: Any, products: Any) -> Any:
    """Return the inner products of sub-products (K, a, b) as matrices, shape (K, K)."""
    flat = xp.reshape(products, (products.shape[0], -1))
    return xp.matmul(flat, flat.T)


def assemble(xp: Any, products: Any, shape: tuple[int, ...], heights: list[int], widths: list[int]) -> Any:
    """Put decoded sub-products (R, K, a, b) into Ĉ: tiles, cropped to their true sizes (rxc), or their sum (cxr).

    `shape` is that of the partition: (N, P) or (M,).
    """
    if len(shape) == 1:
        return xp.sum(products, axis=1)
    cols = shape[1]
    rows = [
        xp.concat([products[:, n * cols + p, :height, :width] for p, width in enumerate(widths)], axis=2)
        for n, height in enumerate(heights)
    ]
    return xp.concat(rows, axis=1)
