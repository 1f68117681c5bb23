"""Values that nobody should give, as words of a command line, as TOML and as Python objects."""

from __future__ import annotations

import datetime
import math
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["NAMES", "NUMBERS", "OBJECTS", "TEXTS", "TOML_VALUES"]

NUMBERS = (
    *("0", "-1", "1", "2", "3", "1.5", "1e24", "1e3", "-1e24", "1e999"),
    *("nan", "inf", "-inf", "1e-320", "0x10", "1_000", "1__0"),
    *(
        "１２",
        "²",
        "",
        " ",
        "10" * 20,
        "9" * 5000,
        str(2**63),
        str(2**64),
        str(2**64 - 1),
        "1,2",
        "1+1j",
        "True",
        "--1",
        "+1",
        "1e",
    ),
)
"""Numbers, nearly numbers and far too large ones."""
TEXTS = (
    *(
        "",
        " ",
        "auto",
        "none",
        "ew",
        "EW",
        "x" * 5000,
        "ẞ",
        "日本語",
        "a\nb",
        "a\tb",
        "\x1b[31m",
        "\u202e",
        "😀",
        "%s",
        "{}",
        "{0}",
    ),
    *("..", "/", "-", "--", "=", ",", ",,", "[", "[1]", "$x", "*", "?", "o\udcff", "'", '"', "\\", "None", "fair", "inf"),
)
NAMES = (
    *("", ".", "..", "/", "~", "~nouser", "~nouser/x", "n" * 300),
    *("n/" * 3000, "n" * 5000, "o\udcff", "/dev/null", "/dev/full"),
    *("missing", "missing.npy", "A.npy", "B.npy", "both.npz"),
    *("both.npz:left", "both.npz:none", "store.db", "spec.toml", "folder"),
    *("text.txt", "text.npy", "text.db", "huge.npy", "link.npy"),
    *("loop", "pipe", "empty", "empty.npy", "nan.npy", "objects.npy"),
    *("C.npy", "new/C.npy", "x.png", "x.csv", "x.html", "x.json", "A.npy/x", "file:x.db", "x?y=1.db", ":memory:"),
)
"""Names of files: most are there in the folder of a case."""
TOML_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 2, 3, 7, 2**31, 2**63, 2**64, 10**30, -(10**30), 1.5),
    *(-0.5, 0.0, 1e24, 1e308, -1e308, 1e-320, math.inf, -math.inf),
    *(
        math.nan,
        True,
        False,
        "",
        "x",
        "ew",
        "auto",
        "none",
        "fair",
        "true",
        "n" * 5000,
        "日本語",
        "\x1b[31m",
        "a\nb",
        "~nouser/x.npy",
    ),
    *("A.npy", "nan.npy", "huge.npy", "text.npy", "folder", "missing.npy", "both.npz", "pipe"),
    *([], [[]], [0], [1, 2, 3], [1, "a"], [[1, 2], [3]], [0.4, 0.35, 0.25]),
    *([10**30], ["ew", "now"], [[[[1]]]], list(range(2000))),
    *({}, {"name": "ew"}, {"law": "weibull"}, {"x": {}}, {"start": 0, "stop": 1e9, "step": 1e-9}, [{}], [{"name": 1}]),
    *(datetime.date(2020, 1, 1), datetime.time(1, 2), datetime.datetime(2020, 1, 1, 1, 1)),
)


class Odd:
    """An object with a long and broken description of itself."""

    def __repr__(self) -> str:
        return "odd\n" * 1000


class Broken:
    """An object whose description fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no description")


OBJECTS: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 9, 10**30, -(10**30), 2**63),
    *(2**64, 2**64 - 1, 0.0, 0.5, -0.5, 1.5, 1e24, 1e308, 1e-320),
    *(math.nan, math.inf, -math.inf, 1j, Fraction(1, 3), 10**5000),
    *("", "x", "ew", "auto", "n" * 5000, b"x", "o\udcff", "a\0b"),
    *((), [], {}, set(), {"a": 1}, (1,), (1, 2, 3), (0.4, 0.35, 0.25)),
    *([[1, 2], [3]], [None], ["a"], [1j], range(3), [10**30]),
    *(np.float64(0.5), np.int64(3), np.uint8(3), np.bool_(True)),
    *(np.float32(1), np.array(2), np.array([1, 2, 3]), np.zeros((0, 3))),
    *(
        np.ones((3, 3)),
        np.full((3, 3), np.nan),
        np.array([1 + 2j]),
        np.array(["a"]),
        np.array([None]),
        np.ma.masked_array([1, 2], [0, 1]),
    ),
    *(
        np.array([1, 2], dtype="datetime64[s]"),
        np.zeros(3, dtype="V8"),
        object(),
        Odd(),
        Broken(),
        int,
        print,
        lambda: 1,
        iter([1]),
    ),
)
