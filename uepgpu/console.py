"""What every command says with: one error line, one progress bar, one table."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LONGEST", "Table", "plain", "progress", "say", "show"]

LONGEST = 300
"""Characters of a message."""
NOTE_WIDTH = 110
"""Of a table's note in a pipe; tables take what they need."""


def say(message: object, command: str = "") -> None:
    """Write one line to stderr, ``uepgpu: `` before it.

    Parameters
    ----------
    message : object
        Its text; white space, line breaks included, becomes single spaces, and what makes it longer than :data:`LONGEST` is cut.
    command : str
        What the reader may want to copy, whole.
    """
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(str(message).split()))
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    # One write: other threads may write too, and must not come between the text and its line break.
    print(" ".join(filter(None, ("uepgpu:", text, command))) + "\n", end="", file=sys.stderr, flush=True)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    get = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get is not None and type(get()).__name__ == "ZMQInteractiveShell"


@contextmanager
def progress(
    description: str, total: int, compiling: Callable[[], bool] = lambda: False, *, quiet: bool = False
) -> Iterator[Callable[..., None]]:
    """Show a progress bar on stderr while the block runs: on a terminal and in notebooks; nothing in a pipe.

    Parameters
    ----------
    description : str
        What stands beside the bar at first.
    total : int
        Units of work.
    compiling : callable
        Whether kernels are being compiled, which the bar says: it does not move then.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        ``advance(count, description=None)``: `count` more units are done; a new description replaces the old one.
    """
    if quiet or (not sys.stderr.isatty() and not in_notebook()):
        yield lambda count, description=None: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Description(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.description}, compiling kernels" if compiling() else task.description)

    columns = (Description(), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda count, description=None: bar.update(task, advance=count, description=description)


@dataclass(frozen=True)
class Table:
    """Cells to print in columns.

    Attributes
    ----------
    rows : sequence of tuples of str
    header : tuple of str
        Empty for a list of names and values.
    title, note : str
        Lines above the table; empty for none.
    text : sequence of int
        Columns that hold text, from 0; the others hold numbers, which stand to the right.
    """

    rows: Sequence[tuple[str, ...]]
    header: tuple[str, ...] = ()
    title: str = ""
    note: str = ""
    text: Sequence[int] = (0,)


def plain(table: Table) -> str:
    """Return a table as aligned lines without control codes.

    Parameters
    ----------
    table : Table

    Examples
    --------
    >>> print(plain(Table([("EW", "0.25"), ("NOW", "0.5")], ("code", "loss"), title="by deadline")))
    by deadline
    code  loss
    EW    0.25
    NOW    0.5
    """
    lines = [line for line in (table.title, *textwrap.wrap(table.note, NOTE_WIDTH)) if line]
    rows = [*([table.header] if table.header else []), *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(w) if i in table.text else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def show(parts: Sequence[str | Table], console: Console | None = None) -> None:
    """Print remarks and tables one below the other to stdout: with bold and dim words on a terminal, plain in a pipe.

    Parameters
    ----------
    parts : sequence of str or Table
    console : rich Console, optional
        The terminal to print on, whatever stdout is.
    """
    if console is None and not sys.stdout.isatty():
        print("\n\n".join(part if isinstance(part, str) else plain(part) for part in parts))
        return
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    for number, part in enumerate(parts):
        if number:
            console.print()
        if isinstance(part, str):
            console.print(Text(part, style="dim"))
        else:
            _show_rich(part, console)


def _show_rich(table: Table, console: Console) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    for line, style in ((table.title, "bold"), (table.note, "dim")):
        if line:
            console.print(Text(line, style=style))
    if not table.header:
        grid = RichTable.grid(padding=(0, 2))
        for first, *rest in table.rows:
            grid.add_row(Text(first, style="bold"), *map(Text, rest))
        console.print(grid)
        return
    body = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, name in enumerate(table.header):
        # Long text is folded in its column; a number never is, and neither are the names of rows.
        body.add_column(Text(name), justify="left" if i in table.text else "right", no_wrap=i == 0 or i not in table.text)
    for row in table.rows:
        body.add_row(*map(Text, row))
    console.print(body)
