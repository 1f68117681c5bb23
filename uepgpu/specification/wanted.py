"""What ``uepgpu design`` is to find: the table [design] of a sweep's specification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uepgpu.checks import choice, integer
from uepgpu.design.objective import ACROSS, OBJECTIVES, check_choices
from uepgpu.design.rectangles import REALIZATIONS
from uepgpu.specification.describe import located
from uepgpu.specification.fields import SpecError, TomlTable, number, text, texts, whole
from uepgpu.specification.keys import names
from uepgpu.specification.sweep_keys import DESIGN

__all__ = ["FINDS", "Wanted", "parse_wanted"]

FINDS = ("gamma", "fixed", "repetition", "windows")


@dataclass(frozen=True)
class Wanted:
    """What is to be found.

    Attributes
    ----------
    find : tuple of str
        ``"gamma"`` and ``"fixed"`` for every series with ew or now, ``"repetition"`` and ``"windows"`` for every panel.
    objective, q, x
        As for :func:`uepgpu.design.gamma`.
    across : str or None
        Also one Γ for all deadlines: their ``"mean"``, ``"geometric"`` mean or ``"minimax"`` regret.
    realizations : int
        Of the comparison of windows.
    """

    find: tuple[str, ...] = ("gamma",)
    objective: str = "loss"
    q: float | None = None
    x: float | None = None
    across: str | None = None
    realizations: int = 200_000


def parse_wanted(data: dict[str, Any]) -> Wanted:
    """Return what the parsed specification wants; without a table [design] the best Γ.

    Raises
    ------
    SpecError
        With one line that says which key is wrong, what was given and what is allowed.

    Examples
    --------
    >>> parse_wanted({"design": {"find": ["repetition"], "across": "minimax"}})
    Wanted(find=('repetition',), objective='loss', q=None, x=None, across='minimax', realizations=200000)
    """
    table = TomlTable("[design]", data.get("design", {}), names(DESIGN))
    find = tuple(table.get("find", texts, ["gamma"]))
    objective = table.get("objective", text, "loss")
    q, x = table.get("q", number, None), table.get("x", number, None)
    across = table.get("across", text, None)
    with located("[design]"):
        for name in find:
            choice("find", name, FINDS)
        choice("objective", objective, OBJECTIVES)
        if across is not None:
            choice("across", across, ACROSS)
            if objective != "loss":
                raise SpecError(f"[design]: across is for objective = 'loss', got objective = {objective!r}")
        check_choices(objective, "mean", q, x)
        if "windows" in find and objective != "loss":
            raise SpecError(f"[design]: find = 'windows' is for objective = 'loss', got objective = {objective!r}")
        if "repetition" in find and objective not in ("loss", "debiased"):
            raise SpecError(f"[design]: find = 'repetition' is for objective = 'loss' or 'debiased', got objective = {objective!r}")
        realizations = integer("realizations", table.get("realizations", whole, 200_000), *REALIZATIONS)
    return Wanted(find, objective, q, x, across, realizations)
