"""Sweeps: from a specification in TOML to points that have been simulated as far as their stop rules ask.

Data flows one way. :func:`uepgpu.sweep.spec.read_spec` makes complete, frozen points. :func:`uepgpu.points.identity.identify`
gives each the id of its tally and its own. :class:`uepgpu.sweep.collect.Collection` sends ranges of realizations to a runner
(:class:`uepgpu.sweep.local.Local`, :class:`uepgpu.sweep.dask_cluster.DaskCluster`) until each point's
:class:`uepgpu.points.stop.StopRule` is met, and writes the integers that come back to a :class:`uepgpu.store.store.Store`.
:func:`uepgpu.store.stored.read_points` reads them, :func:`uepgpu.results.curve.curve_of` puts simulated and exact loss side by
side, and the tables, charts and reports are made from such curves. :func:`uepgpu.commands.sweep.run_job` does all of that for
the command line.

A specification::

    title = "my comparison"                 # of the figure; default: the file's name
    realizations = 100_000                  # of every point; this is the default
    seed = 1                                # this is the default
    deadlines = { start = 0, stop = 1.05, step = 0.05 }       # or a list of times that do not decrease
    show = [0.3, 0.6]                       # deadlines that the printed table prefers; optional
    gamma = [0.40, 0.35, 0.25]              # for every now and ew code that gives none of its own

    [workers]                               # of every series; a series may replace any key
    count = 30                              # or a list: a grid; likewise omega, work and latency
    latency = { law = "exponential", rate = 1.0 }             # or shifted-exponential, weibull, pareto, log-normal,
                                            #                            deterministic, empirical (samples: list or .npy)
    omega = "fair"                          # K / W; or a number; default: 1.0, latencies as they are given
    work = ["unit", "true"]                 # optional too: loss_probability, speeds
    # Stages: latency = { law = "staged", compute = "exponential", send = { law = "weibull", shape = 2.0 }, start = 0.1 }
    # Second tries: backup = { name = "backup", after = 0.3 }, or "relaunch"
    # Racks: racks = { of = [0, 0, 1, 1], probability = 0.1 }; optional: latency, a law of racks that are slow instead of dark
    # Samples in a file: latency = { law = "empirical", samples = "times.csv", column = "seconds" }; likewise .parquet
    # A recorded trace: latency = { law = "trace", latencies = "trace.csv", round = "step", worker = "node", latency = "seconds" }
    # A law of every worker: latency = { each = ["exponential", { law = "pareto", shape = 2.0 }], counts = [20, 10] }

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

    [stop]                                  # of every point, whichever comes first; optional, and every key is
    realizations = 10_000_000               # instead of the one at the top
    relative_error = 0.01                   # half of the 95 % interval / 1.96 / loss
    interval_width = 1e-3                   # of the 95 % interval of the normalized loss
    failures = 100                          # realizations seen that lost something
    exceeding = 0.01                        # of Pr[normalized loss > 0.01]:
    exceedance_width = 1e-3                 # width of its 95 % interval, for codes that decode class by class
    seconds = 600
    deadlines = [0.3, 0.6]                  # at these, that is at the worst of them; default: all
    first = 10_000                          # asked at 10_000, 15_000, 22_500, ... realizations
    growth = 1.5

    [grid]                                  # every combination, for every series; a series may have a grid of its own
    gamma = [[0.40, 0.35, 0.25], [0.6, 0.3, 0.1]]
    workers = [15, 30]                      # code, gamma, encoding, window, classes, latency, omega, deadlines, seed, ...

    [zip]                                   # taken together, first with first
    latency = ["exponential", { law = "weibull", shape = 0.7 }]
    omega = [1.0, 0.8]
    labels = ["light tail", "heavy tail"]   # optional

    [[series]]
    label = "EW max-rectangle"              # default: the code's name
    code = { name = "ew", encoding = "factored", window = "max-rectangle" }   # or just "ew"; now, mds, uncoded,
    partitions = ["measured"]               # default: all                    repetition, lt, windows, generator
    workers = { count = 15 }                # keys that differ from [workers]; likewise deadlines, stop, grid, zip
    optimize = { gamma = 0.6 }              # optional, for now and ew: the best Γ of every point at this deadline, or at a list of
                                            # them; also across, objective, q and x of :func:`uepgpu.design.gamma`

    [design]                                # what "uepgpu design" finds besides the best Γ; a sweep passes over it
    find = ["gamma", "fixed", "repetition", "windows"]

Every key of a code is an argument of its class in :mod:`uepgpu.codes`, every key of a law one in :mod:`uepgpu.latency`.
"""

from __future__ import annotations
