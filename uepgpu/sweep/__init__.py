"""Sweeps: a specification in TOML, the points that it asks for, their simulation, their table and figure.

``read_spec`` makes a :class:`Sweep` of complete, frozen points; ``run_points`` simulates them; ``curve_of`` puts the
simulated and the exact loss side by side; :mod:`~uepgpu.sweep.table`, :mod:`~uepgpu.sweep.summary` and
:mod:`~uepgpu.sweep.plot` show them.
"""

from __future__ import annotations
