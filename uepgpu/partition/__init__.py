"""What is multiplied: two matrices cut into blocks, and how important each sub-product is."""

from __future__ import annotations

from uepgpu.partition.importance import Classes, assign_classes
from uepgpu.partition.matrices import block_bounds, load_matrix
from uepgpu.partition.partition import Partition

__all__ = ["Classes", "Partition", "assign_classes", "block_bounds", "load_matrix"]
