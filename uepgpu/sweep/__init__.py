"""Sweeps: a specification in TOML, the points that it asks for, their simulation, their table and figure.

Data flows one way: :func:`spec.read_spec` makes complete, frozen points; :func:`run.run_points` simulates them;
:func:`curve.curve_of` puts simulated and exact loss side by side; ``table``, ``summary`` and ``plot`` show them;
:func:`job.run_job` is all of that for the command line.

A specification::

    title = "my comparison"                 # of the figure; default: the file's name
    realizations = 100_000                  # of every point; this is the default
    seed = 1                                # this is the default
    deadlines = { start = 0, stop = 1.05, step = 0.05 }       # or a list of times
    show = [0.3, 0.6]                       # deadlines that the printed table prefers; optional
    gamma = [0.40, 0.35, 0.25]              # for every now and ew code that gives none of its own

    [workers]                               # of every series; a series may replace any key
    count = 30                              # or a list: a grid; likewise omega, work and latency
    latency = { law = "exponential", rate = 1.0 }             # or shifted-exponential, weibull, pareto, log-normal,
    omega = "fair"                          # or a number               deterministic, empirical (samples: list or .npy)
    work = ["unit", "true"]                 # optional too: loss_probability, speeds

    [partitions.measured]                   # any name; real matrices, paths relative to this file
    paradigm = "rxc"                        # or "cxr" with blocks = 9 instead of rows and cols
    a = "left.npy"                          # .npy, .npz or file.npz:key
    b = "right.npy"
    rows = 3
    cols = 3
    classes = [3, 3, 3]                     # sizes, a table of class numbers, or "auto"
    order = "norm"                          # or "mean_abs", "none"; optional too: row_levels, col_levels

    [partitions.model]                      # or a model
    paradigm = "cxr"
    left_variances = [10, 10, 10, 1, 1, 1, 0.1, 0.1, 0.1]
    right_variances = [10, 10, 10, 1, 1, 1, 0.1, 0.1, 0.1]
    shape = [900, 100, 900]                 # optional too: left_means, right_means
    classes = [3, 3, 3]

    [[series]]
    label = "EW max-rectangle"
    code = { name = "ew", encoding = "factored", window = "max-rectangle" }   # or just "ew"; now, mds, uncoded,
    partitions = ["measured"]               # default: all                    repetition, lt, windows, generator
    workers = { count = 15 }                # keys that differ from [workers]

Every key of a code is an argument of its class in :mod:`uepgpu.codes`, every key of a law one in :mod:`uepgpu.latency`.
"""

from __future__ import annotations
