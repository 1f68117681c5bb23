"""Keys of the tables under ``[workers]``: racks, states, second tries."""

from __future__ import annotations

from uepgpu.specification.keys import LAW, NUMBER, NUMBERS, WHOLES, Key, Type, list_of

__all__ = ["BACKUP", "RACKS", "STATES"]

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
