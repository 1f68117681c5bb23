"""Array work on real blocks through one namespace: NumPy, CuPy, or any other of the array API standard.

Blocks are stacked along the first axis and padded with zeros to one size. A left factor's blocks are held transposed, so that
pairs of encoded factors lie one after the other in memory and no product needs a transposing copy. Every function takes the
namespace `xp` first and uses nothing beyond the standard.
"""

from __future__ import annotations

from typing import Any

__all__ = ["assemble", "combine", "encode", "gram", "multiply", "reorder", "squared_norms", "stack", "subproducts"]


def encode(xp: Any, coefficients: Any, blocks: Any) -> Any:
    """Combine blocks: (F, n) coefficients and (n, h, a) blocks give (F, h, a). One matrix product, whatever F is."""
    n, h, a = blocks.shape
    return xp.reshape(xp.matmul(coefficients, xp.reshape(blocks, (n, h * a))), (coefficients.shape[0], h, a))


def stack(xp: Any, coefficients: Any, left: Any, right: Any) -> tuple[Any, Any]:
    """Concatenate scaled factors: coefficients (F, n), left (n, h, a), right (n, h, b) give (F, n h, a) and (n h, b)."""
    f, n = coefficients.shape
    _, h, a = left.shape
    scaled = xp.reshape(coefficients, (f, n, 1, 1)) * left[None, ...]
    return xp.reshape(scaled, (f, n * h, a)), xp.reshape(right, (n * h, right.shape[2]))


def multiply(xp: Any, wide: Any, tall: Any) -> Any:
    """Multiply what workers hold: transposed left factors (F, m, a) and right ones (F, m, b), or one (m, b), give (F, a, b)."""
    return xp.matmul(xp.permute_dims(wide, (0, 2, 1)), tall)


def subproducts(xp: Any, left: Any, right: Any, paradigm: str) -> Any:
    """Return all sub-products (K, a, b) of blocks (n, h, a) and (p, h, b): every pair (rxc; one product) or each with its own."""
    if paradigm == "cxr":
        return multiply(xp, left, right)
    n, h, a = left.shape
    p, _, b = right.shape
    rows = xp.permute_dims(xp.reshape(xp.permute_dims(left, (1, 0, 2)), (h, n * a)), (1, 0))
    product = xp.matmul(rows, xp.reshape(xp.permute_dims(right, (1, 0, 2)), (h, p * b)))
    return xp.reshape(xp.permute_dims(xp.reshape(product, (n, a, p, b)), (0, 2, 1, 3)), (n * p, a, b))


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
    return xp.matmul(flat, xp.permute_dims(flat, (1, 0)))


def squared_norms(xp: Any, arrays: Any) -> Any:
    """Return the squared Frobenius norms of arrays (R, ...), shape (R,)."""
    r = arrays.shape[0]
    row = xp.reshape(arrays, (r, 1, -1))
    return xp.reshape(xp.matmul(row, xp.reshape(arrays, (r, -1, 1))), (r,))


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


def reorder(xp: Any, products: Any, rows: Any, columns: Any) -> Any:
    """Take rows and columns of products (R, U, Q) in the given orders, index arrays (U,) and (Q,)."""
    return xp.take(xp.take(products, rows, axis=1), columns, axis=2)
