"""Training of networks by coded back-propagation; needs PyTorch (``pip install "uepgpu[train]"``).

:func:`coded` makes the dense layers of any PyTorch model compute their backward products through a code and stragglers;
:class:`Stack` trains many replicas at once; ``uepgpu train`` runs the experiment of the paper (docs/mathematics.md §7).
"""

from __future__ import annotations

try:
    import torch  # noqa: F401 - everything here needs it, and its absence is told once
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('uepgpu.train needs PyTorch, which is not installed: pip install "uepgpu[train]"') from None

from uepgpu.train.coded import coded
from uepgpu.train.layer import CodedLinear
from uepgpu.train.replicas import Member, Stack
from uepgpu.train.scheme import Scheme
from uepgpu.train.waited import simulated_time

__all__ = ["CodedLinear", "Member", "Scheme", "Stack", "coded", "simulated_time"]
