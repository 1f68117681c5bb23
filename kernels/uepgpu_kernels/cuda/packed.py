"""Steps of a walk whose state and times lie in registers, packed in 8-bit fields.

The time at which something is decoded is that of the first packet, plus the distance to the next packet's time for every
packet after which it is still undecoded: a sum, so one multiply-add serves all fields, without branches or a second pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uepgpu_kernels.bodies.count import packed_open, packed_take
from uepgpu_kernels.cuda import decode
from uepgpu_kernels.cuda.shape import Shape
from uepgpu_kernels.cuda.stage import stage

__all__ = ["ONES", "packed_class_times", "packed_move", "packed_step", "word_type"]

SHIFT = np.uint64(32)
ZERO = np.uint64(0)
BYTE = np.uint64(0xFF)
ONES = 0x0101010101010101


def word_type(shape: Shape) -> Any:
    """Return the type that holds all fields: uint32 where four are enough."""
    fields = shape.n_windows if shape.decoder is decode.count else shape.n_classes
    return np.uint32 if fields <= 4 else np.uint64


def packed_step(shape: Shape) -> Any:
    """Return the step ``(walk, inner, state, when, move, distance) -> (state, when)`` of one packet.

    `walk` is the automaton, wherever it lies; `move` is what :func:`packed_move` makes of the packet's window.
    """
    word = word_type(shape)

    @stage
    def count(walk: Any, inner: Any, state: Any, when: Any, hit: Any, distance: Any) -> Any:
        state = packed_take(state, hit, inner, word)
        return state, word(when + word(packed_open(state, word) * word(distance)))

    @stage
    def follow(walk: Any, inner: Any, state: Any, when: Any, window: Any, distance: Any) -> Any:
        entry = walk[np.uint32(state + window)]
        return np.uint32(entry), np.uint32(when + np.uint32(np.uint32(entry >> SHIFT) * distance))

    return count if shape.decoder is decode.count else follow


def packed_move(shape: Shape) -> Any:
    """Return the step that turns a window's code into what :func:`packed_step` takes: 1 in its field, or its number."""
    word = word_type(shape)

    @stage
    def hit(code: Any) -> Any:
        return word(word(1) << word(code))

    @stage
    def number(code: Any) -> Any:
        return code

    return hit if shape.decoder is decode.count else number


def packed_class_times(shape: Shape) -> Any:
    """Return the step ``(t, when, n_times) -> times``, uint64: times of classes, 8 bits each, from those of the walk."""
    n_windows, n_classes = shape.n_windows, shape.n_classes

    @stage
    def of_windows(t: Any, when: Any, n_times: Any) -> Any:
        # An increment is decoded as soon as its own window or a later one of its chain is full.
        rest = np.uint64(when)
        whole = ZERO
        later = BYTE
        for back in range(n_windows):
            s = np.uint64(8 * (n_windows - 1 - back))
            own = (rest >> s) & BYTE
            later = min(own, later) if (t.inner >> s) & BYTE != ZERO else own
            whole |= later << s
        times = ZERO
        for c in range(n_classes):
            unit = t.class_unit[np.uint32(c)]
            time = (whole >> np.uint64(8 * max(unit, 0))) & BYTE if unit >= 0 else np.uint64(n_times)
            times |= time << np.uint64(8 * c)
        return times

    @stage
    def of_classes(t: Any, when: Any, n_times: Any) -> Any:
        return np.uint64(when)

    return of_windows if shape.decoder is decode.count else of_classes
