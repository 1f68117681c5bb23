"""Every key of a specification of sweeps and designs: what readers allow, the reference prints and the schema checks."""

from __future__ import annotations

from uepgpu.specification.axes import AXES
from uepgpu.specification.keys import (
    DEADLINES,
    FILE,
    FLAG,
    INDICES,
    LAW,
    NUMBER,
    NUMBERS,
    SEED,
    TEXT,
    TEXTS,
    WHOLE,
    WHOLES,
    Key,
    Section,
    Type,
    either,
    list_of,
    one_of,
    table_of,
)
from uepgpu.specification.names import CODES, LAUNCHES, LAWS
from uepgpu.specification.worker_keys import BACKUP, OMEGA, RACKS, STATES, WORK, WORKERS
from uepgpu.workers import Markov, Racks

__all__ = ["SWEEP_SECTIONS", "TYPES_OF_AXES"]


def _tables(name: str) -> Type:
    return Type("tables by name", {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": f"#/$defs/{name}"}})


_CODE = Type("code", {"$ref": "#/$defs/code"})
_WORKERS = Type("table of keys of `[workers]`", {"$ref": "#/$defs/workers"})
_STOP = Type("table of keys of `[stop]`", {"$ref": "#/$defs/stop"})
_GRID, _ZIP = (Type(f"table as `[{name}]`", {"$ref": f"#/$defs/{name}"}) for name in ("grid", "zip"))
_TIMES = either(NUMBER, DEADLINES)
_CLASSES = Type(
    'list of sizes, table of class numbers, or `"auto"`',
    {"anyOf": [{"const": "auto"}, WHOLES.schema, list_of(WHOLES, "").schema]},
)
_ROWS = Type("list of lists of numbers", list_of(NUMBERS, "").schema)
_ENCODING = one_of("auto", "free", "factored", "stacked")
_WINDOW = one_of("level-pair", "max-rectangle", "nested", "bounding-box")
_WINDOWS = one_of("drawn", "fixed")
_COEFFICIENTS = one_of("generic", "gf2", "gf256")
_ORDER = one_of("norm", "mean_abs", "none")
_OBJECTIVE = one_of("loss", "quantile", "exceedance", "debiased")
_ACROSS = one_of("mean", "geometric", "minimax")
_NUMBER_OR_LIST = Type("number or list of numbers", {"anyOf": [NUMBER.schema, NUMBERS.schema]})
_WHOLE_OR_LIST = Type("integer or list of integers", {"anyOf": [WHOLE.schema, WHOLES.schema]})

TOP = (
    Key("title", TEXT, "the name of the file", "Title of figures.", '"my comparison"'),
    Key("realizations", WHOLE, "100_000", "Realizations of every point at most; may stand in `[stop]` instead.", "1e6"),
    Key("seed", SEED, "1", "Seed of all draws. Points with one seed share random numbers.", "7"),
    Key("deadlines", DEADLINES, "required", "Deadlines, in the unit of the latency law; must not decrease.", "[0.3, 0.6]"),
    Key("show", DEADLINES, "an even choice", "Deadlines that the printed table prefers.", "[0.3]"),
    Key(
        "rounds",
        WHOLE,
        "none: single rounds",
        "With states or a trace: rounds of every trajectory, of which the mean is reported ([stragglers.md](stragglers.md)).",
        "20",
    ),
    Key("gamma", NUMBERS, "none", "Γ of every `now` and `ew` code that gives none of its own.", "[0.40, 0.35, 0.25]"),
    Key(
        "workers",
        table_of("workers"),
        "those of series and grids",
        "The table `[workers]`; a series may replace any key of it.",
        "{ count = 12 }",
    ),
    Key(
        "partitions",
        _tables("partition"),
        "required",
        "The tables `[partitions.NAME]`, at least one.",
        '{ mine = { paradigm = "rxc", left_variances = [10, 1, 0.1], right_variances = [10, 1, 0.1] } }',
    ),
    Key(
        "series",
        list_of(table_of("series"), "list of tables"),
        "required",
        "The tables `[[series]]`, at least one.",
        '[{ code = "mds" }]',
    ),
    Key(
        "grid",
        table_of("grid"),
        "none",
        "The table `[grid]`: every combination of values, for every series.",
        "{ omega = [1.0, 0.8] }",
    ),
    Key("zip", table_of("zip"), "none", "The table `[zip]`: values taken together.", "{ seed = [1, 2] }"),
    Key(
        "stop",
        table_of("stop"),
        "`realizations` alone",
        "The table `[stop]`: when a point has been simulated enough.",
        "{ failures = 100 }",
    ),
    Key(
        "design",
        table_of("design"),
        "the best Γ",
        "The table `[design]`, for `uepgpu design`; a sweep passes over it.",
        '{ find = ["gamma"] }',
    ),
)

PARTITION = (
    Key("paradigm", one_of("rxc", "cxr"), "required", "Row-times-column (tiles) or column-times-row (summands).", '"rxc"'),
    Key(
        "a",
        FILE,
        "required with `b`",
        "Left matrix: `.npy`, `.npz`, or `FILE.npz:KEY`; relative to the specification.",
        '"left.npy"',
    ),
    Key("b", FILE, "required with `a`", "Right matrix.", '"right.npy"'),
    Key("rows", WHOLE, "3", "Of rxc files: into how many blocks the rows of A are cut.", "3"),
    Key("cols", WHOLE, "3", "Of rxc files: into how many blocks the columns of B are cut.", "3"),
    Key("blocks", WHOLE, "9", "Of cxr files: into how many blocks the inner dimension is cut.", "9"),
    Key("order", _ORDER, '"norm"', "How rows and columns of the files are sorted before they are cut.", '"none"'),
    Key("left_variances", NUMBERS, "required for a model", "Variance of the entries of every block of A.", "[10, 1, 0.1]"),
    Key("right_variances", NUMBERS, "required for a model", "Variance of the entries of every block of B.", "[10, 1, 0.1]"),
    Key("shape", WHOLES, "[1, 1, 1]", "Sizes U, H, Q of one pair of blocks of a model.", "[300, 900, 300]"),
    Key("left_means", _NUMBER_OR_LIST, "0.0", "Mean of the entries of every block of A of a model.", "[0.1, 0, 0]"),
    Key("right_means", _NUMBER_OR_LIST, "0.0", "Mean of the entries of every block of B of a model.", "[0.1, 0, 0]"),
    Key(
        "classes",
        _CLASSES,
        '"auto"',
        "Classes of importance: sizes, most important first; or the class of every product.",
        "[1, 2, 6]",
    ),
    Key("row_levels", WHOLES, "one block each", "Sizes of the levels of blocks of A that factored windows use (rxc).", "[1, 1, 1]"),
    Key("col_levels", WHOLES, "one block each", "Sizes of the levels of blocks of B (rxc).", "[1, 1, 1]"),
)

SERIES = (
    Key("label", TEXT, "the code's name and keys", "Name of the curve.", '"EW"'),
    Key("code", _CODE, "required, or by a grid", "What is sent.", '{ name = "ew", gamma = [0.6, 0.3, 0.1] }'),
    Key("partitions", TEXTS, "all", "Names of the partitions.", '["mine"]'),
    Key("workers", _WORKERS, "`[workers]`", "Keys that differ from `[workers]`.", '{ work = "unit" }'),
    Key("deadlines", DEADLINES, "those of the top", "Deadlines of this series.", "{ start = 0, stop = 1, step = 0.5 }"),
    Key("rounds", WHOLE, "those of the top", "Rounds of every trajectory of this series.", "20"),
    Key(
        "grid", _GRID, "none", "A grid of its own; what it varies replaces what `[grid]` varies.", "{ gamma = [[0.4, 0.35, 0.25]] }"
    ),
    Key("zip", _ZIP, "none", "Values taken together, of its own.", "{ seed = [1, 2] }"),
    Key("stop", _STOP, "`[stop]`", "Keys that differ from `[stop]`.", "{ first = 1000 }"),
    Key(
        "optimize",
        Type("table", {"$ref": "#/$defs/optimize"}),
        "none",
        "For `now` and `ew`: the best Γ of every point.",
        "{ gamma = 0.6 }",
    ),
)

CODE = (
    Key("gamma", NUMBERS, "that of the top", "Window probabilities Γ, one a class.", "[0.40, 0.35, 0.25]"),
    Key("encoding", _ENCODING, '"auto"', "How a packet is made; auto: free for rxc, stacked for cxr.", '"factored"'),
    Key("window", _WINDOW, "by the code", "Of factored codes: what replaces a window.", '"max-rectangle"'),
    Key("windows", _WINDOWS, '"drawn"', "Windows drawn for every packet, or given to fixed numbers of workers.", '"fixed"'),
    Key("coefficients", _COEFFICIENTS, '"generic"', "Real coefficients from a continuous law, or of a finite field.", '"gf256"'),
    Key("gamma_b", NUMBERS, "`gamma`", 'Of `window = "nested"`: probabilities of the column levels.', "[0.6, 0.3, 0.1]"),
    Key("copies", _WHOLE_OR_LIST, "2", "Copies of every product, or of each.", "2"),
    Key("c", NUMBER, "0.1", "Scales the ripple of the robust soliton law.", "0.05"),
    Key("delta", NUMBER, "0.5", "Failure probability that the soliton is designed for.", "0.1"),
    Key(
        "supports",
        INDICES,
        "required",
        "The sub-products of every window, counted from 0.",
        "[[0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8]]",
    ),
    Key("probabilities", NUMBERS, "required", "Probability of every window.", "[0.5, 0.5]"),
    Key("work", _WHOLE_OR_LIST, "what the packets combine", "True work of a packet of every window, or of every row.", "1"),
    Key(
        "matrix", either(FILE, _ROWS), "required", "Generator matrix, W rows of K coefficients, or a file of it.", '"generator.npy"'
    ),
    Key("field", one_of("real", "gf2", "gf256"), '"real"', "What the coefficients of a generator matrix are.", '"gf2"'),
)

LAW_KEYS = (
    Key("rate", NUMBER, "1.0", "Answers per unit of time.", "2.0"),
    Key("shift", NUMBER, "0.0", "The least possible latency.", "0.2"),
    Key("shape", NUMBER, "required", "Of Weibull and Pareto: the lower, the heavier the tail.", "0.7"),
    Key("scale", NUMBER, "1.0", "Unit of time of the law; of Pareto the least possible latency.", "0.5"),
    Key("mu", NUMBER, "0.0", "Mean of the logarithm of the latency.", "0.1"),
    Key("sigma", NUMBER, "1.0", "Standard deviation of the logarithm of the latency.", "0.5"),
    Key("time", NUMBER, "1.0", "What every answer takes.", "0.3"),
    Key("samples", either(NUMBERS, FILE), "required", "Measured latencies: a list, `.npy`, CSV or Parquet.", "[0.2, 0.3, 0.9]"),
    Key("column", TEXT, "the only one", "Column of the file that has the samples.", '"seconds"'),
    Key("compute", LAW, "required", "Law of the time that one unit of work takes.", '"exponential"'),
    Key("send", LAW, "none", "Law of the time that sending one packet takes.", '{ law = "weibull", shape = 2.0 }'),
    Key("start", NUMBER, "0.0", "Time that every worker needs before it computes.", "0.1"),
    Key("latencies", either(_ROWS, FILE), "required", "Rounds × workers, or a file of them.", "[[0.2, 0.5, 0.9], [0.3, 0.4, 7.0]]"),
    Key("replay", one_of("random", "order", "blocks"), '"random"', "Rounds drawn, each in its turn, or in blocks.", '"order"'),
    Key("block", NUMBER, "none", 'Mean length of blocks, with `replay = "blocks"`.', "5.0"),
    Key("shuffle", FLAG, "false", "Whether the latencies of a round are given to workers at random.", "true"),
    Key("round", TEXT, "none", "Column of the file that numbers the rounds.", '"step"'),
    Key("worker", TEXT, "none", "Column of the file that names the worker.", '"node"'),
    Key("latency", TEXT, "none", "Column of the file that has the latency.", '"seconds"'),
)

LAWS_OF_EACH = (
    Key(
        "each",
        list_of(LAW, "list of laws"),
        "required",
        "A law of every worker.",
        '["exponential", { law = "pareto", shape = 2.0 }]',
    ),
    Key("counts", WHOLES, "one each", "How many workers have each law.", "[2, 1]"),
)

STOP = (
    Key("realizations", WHOLE, "that of the top", "At most so many.", "10_000_000"),
    Key("relative_error", NUMBER, "none", "Half of the 95 % interval / 1.96 / loss is at most this.", "0.01"),
    Key("interval_width", NUMBER, "none", "Width of the 95 % interval of the normalized loss is at most this.", "1e-3"),
    Key("failures", WHOLE, "none", "Realizations seen that lost something.", "100"),
    Key("seconds", NUMBER, "none", "Seconds that the point's ranges have taken.", "600"),
    Key("deadlines", DEADLINES, "all", "Deadlines at which that is asked, that is at the worst of them.", "[0.6]"),
    Key("first", WHOLE, "10_000", "Realizations at which it is first asked.", "20_000"),
    Key("growth", NUMBER, "1.5", "Each time after so many times as many realizations.", "2.0"),
    Key("exceeding", NUMBER, "none", "x of Pr[normalized loss > x]; with `exceedance_width`.", "0.01"),
    Key("exceedance_width", NUMBER, "none", "Width of the 95 % interval of that is at most this.", "1e-3"),
)

OPTIMIZE = (
    Key("gamma", _TIMES, "required", "The deadline, or deadlines, at which Γ is to be best.", "[0.3, 0.6]"),
    Key("objective", _OBJECTIVE, '"loss"', "What is to be least.", '"loss"'),
    Key("q", NUMBER, "none", 'Of `objective = "quantile"`: which.', "0.9"),
    Key("x", NUMBER, "none", 'Of `objective = "exceedance"`: the loss that is exceeded.', "0.1"),
    Key("across", _ACROSS, '"mean"', "What is made of several deadlines.", '"minimax"'),
)

DESIGN = (
    Key("find", TEXTS, '["gamma"]', "What is found: `gamma`, `fixed`, `repetition`, `windows`.", '["gamma", "repetition"]'),
    Key("objective", _OBJECTIVE, '"loss"', "What is to be least.", '"loss"'),
    Key("q", NUMBER, "none", 'Of `objective = "quantile"`: which.', "0.9"),
    Key("x", NUMBER, "none", 'Of `objective = "exceedance"`: the loss that is exceeded.', "0.1"),
    Key("across", _ACROSS, "none", "Also one Γ for all deadlines.", '"minimax"'),
    Key("realizations", WHOLE, "200_000", "Of the comparison of windows.", "100_000"),
)

TYPES_OF_AXES: dict[str, tuple[Type, str]] = {
    "code": (_CODE, '["now", "ew"]'),
    "gamma": (NUMBERS, "[[0.40, 0.35, 0.25], [0.6, 0.3, 0.1]]"),
    "gamma_b": (NUMBERS, "[[0.40, 0.35, 0.25], [0.6, 0.3, 0.1]]"),
    "encoding": (_ENCODING, '["free", "factored"]'),
    "window": (_WINDOW, '["max-rectangle", "bounding-box"]'),
    "windows": (_WINDOWS, '["drawn", "fixed"]'),
    "coefficients": (_COEFFICIENTS, '["generic", "gf2"]'),
    "copies": (_WHOLE_OR_LIST, "[2]"),
    "workers": (WHOLE, "[15, 30]"),
    "latency": (LAW, '["exponential", { law = "weibull", shape = 0.7 }]'),
    "omega": (OMEGA, '[1.0, "fair"]'),
    "work": (WORK, '["unit", "true"]'),
    "loss_probability": (NUMBER, "[0.0, 0.1]"),
    "partitions": (TEXT, '["mine"]'),
    "classes": (_CLASSES, "[[3, 3, 3], [1, 4, 4]]"),
    "order": (_ORDER, '["norm", "none"]'),
    "rows": (WHOLE, "[3]"),
    "cols": (WHOLE, "[3]"),
    "blocks": (WHOLE, "[9]"),
    "row_levels": (WHOLES, "[[1, 1, 1]]"),
    "col_levels": (WHOLES, "[[1, 1, 1]]"),
    "deadlines": (DEADLINES, "[[0.3], [0.6]]"),
    "rounds": (WHOLE, "[1, 20]"),
    "seed": (SEED, "[1, 2]"),
}
"""Type of one value of each axis, and an example of the list that it takes."""

GRID = tuple(
    Key(axis, list_of(TYPES_OF_AXES[axis][0], "list of what the key takes elsewhere"), "none", "", TYPES_OF_AXES[axis][1])
    for axis in AXES
)
ZIP = (*GRID, Key("labels", TEXTS, "what varies", "Names of the rows, for labels.", '["light tail", "heavy tail"]'))

SWEEP_SECTIONS: dict[str, Section] = {
    "sweep": Section("The top of the file", "Before any table.", TOP),
    "workers": Section("Workers: `[workers]`", "Who answers when ([stragglers.md](stragglers.md)).", WORKERS),
    "law": Section(
        "Latency laws",
        'A law is a name, `"exponential"`, or a table, `{ law = "weibull", shape = 0.7 }`. Times are in the unit of the deadlines.',
        LAW_KEYS,
        LAWS,
    ),
    "each": Section("A law of every worker", "`latency = { each = [...], counts = [...] }`.", LAWS_OF_EACH),
    "racks": Section("Racks", "`racks = { of = [...], probability = ... }` under `[workers]`.", RACKS, {"": Racks}),
    "states": Section("States", "`states = { transition = [...], laws = [...] }` under `[workers]`.", STATES, {"": Markov}),
    "backup": Section("Second tries", '`backup = { name = "backup", after = 0.3 }` under `[workers]`.', BACKUP, LAUNCHES),
    "partition": Section(
        "Partitions: `[partitions.NAME]`", "What is multiplied: the matrices of two files, or a model (no files).", PARTITION
    ),
    "series": Section("Series: `[[series]]`", "One table a curve.", SERIES),
    "code": Section("Codes", 'A code is a name, `"mds"`, or a table, `{ name = "ew", gamma = [0.6, 0.3, 0.1] }`.', CODE, CODES),
    "optimize": Section("The best Γ: `optimize`", "Of a series, as the arguments of `uepgpu.design.gamma`.", OPTIMIZE),
    "stop": Section("Stop rules: `[stop]`", "Whichever comes first ([sweeps.md](sweeps.md)).", STOP),
    "grid": Section("Grids: `[grid]`", "Every combination. An axis takes a list of values that its key takes elsewhere.", GRID),
    "zip": Section(
        "Values taken together: `[zip]`", "First with first; lists of one length. The axes of `[grid]`, and `labels`.", ZIP
    ),
    "design": Section("Designs: `[design]`", "What `uepgpu design` finds ([design.md](design.md)).", DESIGN),
}
