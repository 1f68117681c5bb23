"""Codes: unequal error protection (NOW, EW), the baselines, and your own codes."""

from uepgpu.codes.baselines import LT, MDS, Repetition, Uncoded
from uepgpu.codes.cost import CostWarning
from uepgpu.codes.in_turn import InTurn
from uepgpu.codes.law import Code
from uepgpu.codes.own import Generator, Windows
from uepgpu.codes.supports import SupportLaw
from uepgpu.codes.uep import ExpandingWindow, NonOverlappingWindow

__all__ = [
    "LT",
    "MDS",
    "Code",
    "CostWarning",
    "ExpandingWindow",
    "Generator",
    "InTurn",
    "NonOverlappingWindow",
    "Repetition",
    "SupportLaw",
    "Uncoded",
    "Windows",
]
