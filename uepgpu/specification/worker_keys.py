"""Keys of ``[workers]``, and of the tables under it: racks, states, second tries."""

from __future__ import annotations

from uepgpu.specification.keys import (
    LAW,
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Key,
    Type,
    either,
    list_of,
    one_of,
    or_list,
    table_of,
)

__all__ = ["BACKUP", "OMEGA", "RACKS", "STATES", "WORK", "WORKERS"]

OMEGA = either(NUMBER, one_of("fair"))
WORK = one_of("true", "unit")
_PROGRESS = one_of("linear", "erlang")

WORKERS = (
    Key("count", or_list(WHOLE), "required, here or by a series or grid", "Number of workers W.", "30"),
    Key(
        "latency", or_list(LAW), '"exponential"', "Law of the time that one unit of work takes.", '{ law = "weibull", shape = 0.7 }'
    ),
    Key("omega", or_list(OMEGA), "1.0", 'Load normalisation Ω; `"fair"` is K/W ([mathematics.md](mathematics.md)).', '"fair"'),
    Key("work", or_list(WORK), '"true"', "What a packet is charged: the block products that it takes, or one.", '["unit", "true"]'),
    Key("loss_probability", NUMBER, "0.0", "Chance that a packet is lost in the channel.", "0.1"),
    Key("speeds", NUMBERS, "all 1", "Relative speed of every worker, W numbers.", "[1.0, 1.0, 0.5]"),
    Key(
        "racks",
        table_of("racks"),
        "none",
        "Workers that are struck together: `of`, `probability`, `latency`.",
        "{ of = [0, 0, 1], probability = 0.1 }",
    ),
    Key(
        "backup",
        Type("name or table", {"$ref": "#/$defs/backup"}),
        "none",
        "A second try at late packets.",
        '{ name = "backup", after = 0.3 }',
    ),
    Key(
        "states",
        table_of("states"),
        "none",
        "States that workers pass through, instead of `latency`: `transition`, `laws`; with `rounds` in trajectories.",
        '{ transition = [[0.9, 0.1], [0.3, 0.7]], laws = ["exponential", { law = "exponential", rate = 0.1 }] }',
    ),
    Key("messages", WHOLE, "1", "Packets that every worker returns in turn.", "3"),
    Key("progress", _PROGRESS, '"linear"', "The j-th comes at j times the time of the first, or each takes its own.", '"erlang"'),
    Key("time_unit", TEXT, "none", "What latencies and deadlines are measured in: a label, the same for all series.", '"ms"'),
)

RACKS = (
    Key("of", WHOLES, "required", "The rack of every worker, W numbers.", "[0, 0, 1]"),
    Key("probability", NUMBER, "required", "Chance that a rack is struck.", "0.1"),
    Key("latency", LAW, "none: it is dark", "Law of workers in a rack that is struck.", '{ law = "exponential", rate = 0.1 }'),
)

ROWS = Type("list of lists of numbers", list_of(NUMBERS, "").schema)

STATES = (
    Key("transition", ROWS, "required", "Chance of every next state, a row a state; rows sum to 1.", "[[0.9, 0.1], [0.3, 0.7]]"),
    Key(
        "laws", list_of(LAW, "list of laws"), "required", "Law in every state.", '["exponential", { law = "pareto", shape = 2.0 }]'
    ),
)

BACKUP = (Key("after", NUMBER, "required", "Age of a packet at which it is tried again, in the unit of deadlines.", "0.3"),)
