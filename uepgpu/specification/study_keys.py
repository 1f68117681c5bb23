"""Every key of a specification of gradient coding: what readers allow, the reference prints and the schema checks."""

from __future__ import annotations

from uepgpu.gradient_coding.losses import LOSSES
from uepgpu.specification.keys import (
    DEADLINES,
    FILE,
    FLAG,
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
)

__all__ = ["STUDY_SECTIONS"]

TOP = (
    Key("kind", one_of("gradient-coding"), "required", "Makes it a specification of gradient coding.", '"gradient-coding"'),
    Key("title", TEXT, "the name of the file", "Title of figures.", '"my comparison"'),
    Key("iterations", WHOLE, "required", "Steps of gradient descent.", "300"),
    Key("realizations", WHOLE, "200", "Realizations of every point.", "1000"),
    Key("seed", SEED, "1", "Seed of all draws.", "7"),
    Key("blocks", WHOLE, "required, here or with the data", "K: into how many blocks rows are cut.", "6"),
    Key("step", NUMBER, "1.0", "Step size, in units of 1/L, L the largest curvature; a series may replace it.", "0.5"),
    Key("decay", NUMBER, "0.0", "Step n is divided by 1 + decay·n; a series may replace it.", "0.02"),
    Key("deadlines", DEADLINES, "required", "Times at which the error is known, in the unit of the latency law.", "[5, 20, 60]"),
    Key("show", DEADLINES, "an even choice", "Deadlines that the printed table prefers.", "[20]"),
    Key("show_iterations", WHOLES, "an even choice", "Iterations that the printed table prefers.", "[5, 10]"),
    Key(
        "workers",
        Type("table", {"$ref": "#/$defs/workers"}),
        "required",
        "The table `[workers]`, as for sweeps, of one kind.",
        "{ count = 12 }",
    ),
    Key(
        "data",
        Type("tables by name", {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/data"}}),
        "required",
        "The tables `[data.NAME]`, at least one.",
        '{ mine = { source = "gaussian", rows = 60, columns = 3, seed = 1 } }',
    ),
    Key(
        "series",
        list_of(Type("", {"$ref": "#/$defs/study-series"}), "list of tables"),
        "required",
        "The tables `[[series]]`.",
        '[{ scheme = "exact-gradient" }]',
    ),
)

DATA = (
    Key("source", one_of("multivariate-t", "gaussian", "scikit-learn", "file"), "required", "Where the rows come from.", '"file"'),
    Key("loss", one_of(*LOSSES), '"least-squares"', "What is minimised.", '"logistic"'),
    Key("ridge", NUMBER, "0.0", "Weight of the ridge term.", "1.0"),
    Key("blocks", WHOLE, "that of the top", "K of this data set.", "3"),
    Key("path", FILE, "required for file", "`.npy`, `.npz` or `.csv`, relative to the specification.", '"table.csv"'),
    Key("target", WHOLE, "-1", "Column of a file that is the target; negative from the end.", "0"),
    Key("name", TEXT, "required for scikit-learn", "A table that comes with scikit-learn.", '"diabetes"'),
    Key("rows", WHOLE, "required for synthetic data", "Number of rows.", "60"),
    Key("columns", WHOLE, "required for synthetic data", "Number of columns.", "3"),
    Key("seed", SEED, "required for synthetic data", "Seed of the data.", "1"),
    Key("degrees", NUMBER, "required for multivariate-t", "Degrees of freedom: the fewer, the more coherent.", "2.0"),
    Key("correlation", NUMBER, "0.5", "Columns of synthetic data have scale correlation to the power of their distance.", "0.2"),
    Key("noise", NUMBER, "1.0", "Standard deviation of the noise of synthetic targets.", "0.1"),
    Key("by_norm", FLAG, "false", "Whether long rows of synthetic data come first, and share blocks.", "true"),
)

SERIES = (
    Key("label", TEXT, "the scheme's name and keys", "Name of the curve.", '"exact"'),
    Key("scheme", Type("scheme", {"$ref": "#/$defs/scheme"}), "required", "Who computes what.", '"exact-gradient"'),
    Key("data", TEXTS, "all", "Names of the data sets.", '["mine"]'),
    Key("step", NUMBER, "that of the top", "Step size of this series.", "0.4"),
    Key("decay", NUMBER, "that of the top", "Decay of this series.", "0.02"),
)

SCHEME = (
    Key("fastest", WHOLE, "one rule is required", "Wait for so many answers.", "5"),
    Key("until", NUMBER, "one rule is required", "Wait until this time.", "2.0"),
    Key("factor", NUMBER, "one rule is required", "Wait for so many times what the fastest server takes.", "1.5"),
    Key(
        "law", either(TEXT, NUMBERS), '"leverage"', 'Law of the blocks: `"leverage"`, `"uniform"`, or K probabilities.', '"uniform"'
    ),
    Key("every_block", FLAG, "true", "Whether each block is held by at least one server.", "false"),
    Key("sketch", one_of("fresh", "fixed"), '"fresh"', "A sketch for every iteration, or that of the first for all.", '"fixed"'),
    Key("samples", WHOLE, "required", "How many blocks are sampled.", "5"),
    Key("stragglers", WHOLE, "required", "How many servers need not answer.", "2"),
    Key("construction", one_of("auto", "circulant", "random"), '"auto"', "How the cyclic code is made.", '"random"'),
    Key("seed", SEED, "1", "Seed of a random cyclic code.", "2"),
)

STUDY_SECTIONS: dict[str, Section] = {
    "study": Section("The top of the file", "Before any table.", TOP),
    "data": Section("Data: `[data.NAME]`", "Rows and their targets ([gradient-coding.md](gradient-coding.md)).", DATA),
    "study-series": Section("Series: `[[series]]`", "One table a curve.", SERIES),
    "scheme": Section("Schemes", 'A name, `"exact-gradient"`, or a table, `{ name = "cyclic-code", stragglers = 2 }`.', SCHEME),
}
