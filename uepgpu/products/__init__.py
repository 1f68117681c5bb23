"""Coded products of real matrices: encoded, multiplied by workers, decoded from what has arrived."""

from __future__ import annotations

from uepgpu.products.conditioning import condition
from uepgpu.products.multiplication import multiply
from uepgpu.products.result import ProductResult

__all__ = ["ProductResult", "condition", "multiply"]
