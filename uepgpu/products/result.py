"""What a coded multiplication gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from uepgpu.text.html import html_table
from uepgpu.text.variables import dataset as labelled

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ProductResult"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class ProductResult:
    """Realizations of a coded product; made by :func:`uepgpu.multiply`.

    Attributes
    ----------
    loss : (R,) float64
        ‖C - Ĉ‖².
    decoded : (R, K) bool
        Sub-products that are decodable, alone or as terms of a sum, as the tally of :func:`uepgpu.simulate` decides. Ĉ of
        linear decoding is made of these.
    arrived : (R, W) bool
    condition : (R,) float64
        Frobenius norm of the packets used, at unit size, times that of their decoding weights.
    residual : (R,) float64
        How far weights times coefficients are from the unit rows, or rows of ones, that decoding needs.
    ill_conditioned : (R,) bool
        Realizations that floating point cannot decode as exact arithmetic does: condition times rounding above 10 %, where
        rounding grows as packets underflow the workers' arithmetic; or a residual above 1e-6.
    flagged : (R,) bool
        Realizations whose decode is numerically hopeless: ill-conditioned ones; noise that is expected to make more than 10 %
        of ‖C‖ in Ĉ; an overflow of the workers' arithmetic; or floating point that finds another decodable set.
    disagreements : int
        Realizations in which floating point finds another decodable set.
    product : (R, U, Q) float64 array, NumPy or CuPy, or None
        Ĉ, in the user's order of rows and columns.
    norm2 : float
        ‖C‖².
    classes : (K,) int64
    backend : str
    seconds : dict
        Time spent by stage: encode, multiply, decode.
    """

    loss: Floats
    decoded: Bools
    arrived: Bools
    condition: Floats
    residual: Floats
    ill_conditioned: Bools
    flagged: Bools
    disagreements: int
    product: Any
    norm2: float
    classes: NDArray[np.int64]
    backend: str
    seconds: dict[str, float]

    @property
    def normalized_loss(self) -> Floats:
        """``loss`` / ‖C‖², 0 where C is zero."""
        return self.loss / self.norm2 if self.norm2 > 0 else np.zeros_like(self.loss)

    @property
    def decoded_classes(self) -> Bools:
        """Whether each class is decoded whole, shape (R, L)."""
        return np.stack([self.decoded[:, self.classes == c].all(axis=1) for c in range(1, int(self.classes.max()) + 1)], axis=1)

    def __repr__(self) -> str:
        realizations, packets = self.arrived.shape
        kept = "" if self.product is None else f", product {' × '.join(map(str, self.product.shape))}"
        facts = f"normalized loss {float(self.normalized_loss.mean()):.4g}, {int(self.flagged.sum()):,} flagged"
        size = f"{realizations:,} realizations of {packets} packets, {self.classes.size} sub-products"
        return f"ProductResult({size}, {facts}, backend={self.backend!r}{kept})"

    def _repr_html_(self) -> str:
        mean = self.summary()
        rows = [("realizations", f"{self.loss.size:,}"), ("normalized loss", f"{float(mean.normalized_loss):.4g}")]
        decoded = ", ".join(f"{p:.1%}" for p in mean.decoding_probability.values)
        rows += [("decoded by class", decoded), ("packets in time", f"{float(mean.arrived):.3g} of {self.arrived.shape[1]}")]
        rows += [("flagged", f"{float(mean.flagged):.1%}"), ("backend", self.backend)]
        return html_table("ProductResult", rows)

    def summary(self) -> xr.Dataset:
        """Return means over realizations with standard errors.

        Returns
        -------
        xarray.Dataset
            ``loss``, ``normalized_loss`` and their ``_stderr`` (nan for one realization), the median ``condition``, ``flagged``,
            ``ill_conditioned`` and ``arrived`` per realization; ``decoding_probability`` over ``class``.
        """
        n = self.loss.size
        error = float(self.loss.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
        scale = 1.0 / self.norm2 if self.norm2 > 0 else 0.0
        values = {
            "loss": float(self.loss.mean()),
            "loss_stderr": error,
            "normalized_loss": float(self.loss.mean()) * scale,
            "normalized_loss_stderr": error * scale,
            "condition": float(np.median(self.condition)),
            "flagged": float(self.flagged.mean()),
            "ill_conditioned": float(self.ill_conditioned.mean()),
            "arrived": float(self.arrived.sum(axis=1).mean()),
        }
        classes = np.arange(1, int(self.classes.max()) + 1)
        return labelled(
            {**values, "decoding_probability": ("class", self.decoded_classes.mean(axis=0))},
            coords={"class": classes},
            attrs={"realizations": n, "backend": self.backend},
        )

    @staticmethod
    def joined(parts: Sequence[ProductResult], product: Any, seconds: dict[str, float]) -> ProductResult:
        """Put consecutive realizations together, with the products of all of them."""
        names = ("loss", "decoded", "arrived", "condition", "residual", "ill_conditioned", "flagged")
        arrays: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
        disagreements = sum(p.disagreements for p in parts)
        return replace(parts[0], **arrays, disagreements=disagreements, product=product, seconds=seconds)
