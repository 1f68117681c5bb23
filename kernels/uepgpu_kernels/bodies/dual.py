"""Decoding a gradient code by the left null space of its matrix.

A code matrix B (R servers, rank R - s) has a particular a₀ with a₀B = 1 and a basis N (R, s) of {a : aB = 0}. Weights that avoid s
stragglers are a₀ + Nz with N_S z = -a₀_S: a system of s equations, however many servers there are.
"""

from __future__ import annotations

from typing import Any

from uepgpu_kernels.bodies.body import body

__all__ = ["avoid_stragglers"]


@body
def avoid_stragglers(answered: Any, left_null: Any, particular: Any, system: Any, out: Any) -> None:
    """Write weights a with aB = 1 into out (R,), zero for s servers among which are all that have not answered.

    `answered` (R,) has at least R - s ones. `system` is scratch of shape (s, s + 1).
    """
    n, s = left_null.shape
    m = 0
    for w in range(n):
        out[w] = 0.0
        if answered[w] == 0:
            for j in range(s):
                system[m, j] = left_null[w, j]
            system[m, s] = -particular[w]
            m += 1
            out[w] = 1.0  # marked: left out
    # Fewer stragglers than the code takes: the first servers that answered are not needed either.
    for w in range(n):
        if m < s and answered[w] != 0:
            for j in range(s):
                system[m, j] = left_null[w, j]
            system[m, s] = -particular[w]
            m += 1
            out[w] = 1.0
    for c in range(s):
        best = c
        for i in range(c + 1, s):
            if abs(system[i, c]) > abs(system[best, c]):
                best = i
        if best != c:
            for j in range(s + 1):
                held = system[c, j]
                system[c, j] = system[best, j]
                system[best, j] = held
        for i in range(c + 1, s):
            f = system[i, c] / system[c, c]
            for j in range(c, s + 1):
                system[i, j] -= f * system[c, j]
    # Back substitution: its residual stays at rounding where Gauss-Jordan's grows with the condition number.
    for k in range(s):
        c = s - 1 - k
        for j in range(c + 1, s):
            system[c, s] -= system[c, j] * system[j, s]
        system[c, s] /= system[c, c]
    for w in range(n):
        if out[w] != 0.0:
            out[w] = 0.0
        else:
            total = particular[w]
            for j in range(s):
                total += left_null[w, j] * system[j, s]
            out[w] = total
