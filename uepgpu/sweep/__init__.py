"""Sweeps: from a specification in TOML to points that have been simulated as far as their stop rules ask.

Data flows one way. :func:`uepgpu.sweep.spec.read_spec` makes complete, frozen points. :func:`uepgpu.points.identity.identify`
gives each the id of its tally and its own. :class:`uepgpu.sweep.collect.Collection` sends ranges of realizations to a runner
(:class:`uepgpu.sweep.local.Local`, :class:`uepgpu.sweep.dask_cluster.DaskCluster`) until each point's
:class:`uepgpu.points.stop.StopRule` is met, and writes the integers that come back to a :class:`uepgpu.store.store.Store`.
:func:`uepgpu.store.stored.read_points` reads them, :func:`uepgpu.results.curve.curve_of` puts simulated and exact loss side by
side, and the tables, charts and reports are made from such curves. :func:`uepgpu.commands.sweep.run_job` does all of that for
the command line.

docs/specification.md lists every key of a specification.
"""

from __future__ import annotations
