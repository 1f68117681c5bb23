"""The runtime that is pretended."""

from __future__ import annotations

from typing import Any

from cupy import arrays

_blocks: dict[int, int] = {}


def getDeviceCount() -> int:
    return 1


def getDeviceProperties(number: int) -> dict[str, Any]:
    name = b"PRETENDED, no GPU: Numba's simulator"
    return {"name": name, "major": 9, "minor": 0, "multiProcessorCount": 1, "totalGlobalMem": arrays.TOTAL}


def driverGetVersion() -> int:
    return 13000


def runtimeGetVersion() -> int:
    return 13000


def memGetInfo() -> tuple[int, int]:
    return arrays.free(), arrays.TOTAL


def malloc(size: int) -> int:
    arrays.take(size)
    pointer = max(_blocks, default=0) + 1
    _blocks[pointer] = size
    return pointer


def free(pointer: int) -> None:
    arrays.take(-_blocks.pop(pointer))
