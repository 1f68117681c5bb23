"""The command line: what may be called, and which exit code an outcome has.

Exit codes: 0 done, 1 the results could not be written, 2 a wrong call (one line on stderr, nothing written), 130 Ctrl-C
(with everything finished so far kept).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter, Token, UnusedCliTokensError

from uepgpu import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

DESCRIPTION = """Straggler mitigation by unequal error protection codes in distributed approximate matrix multiplication.

How much of a matrix product is lost when slow workers miss the deadline? uepgpu answers by exact formulas where there
are any, and by simulation with error bars everywhere.

Start with: uepgpu sweep paper
"""

app = App(name="uepgpu", help=DESCRIPTION, help_format="markdown", version=__version__)


def _integer(text: str, least: int, most: int | None) -> int | None:
    """Read an integer written as 100000, 1e5 or 1_000_000; None if it is not one in range."""
    try:
        value = int(text)
    except ValueError:
        try:
            real = float(text)
        except ValueError:
            return None
        if not real.is_integer():
            return None
        value = int(real)
    return value if value >= least and (most is None or value <= most) else None


def _reader(least: int, most: int | None, allowed: str) -> Any:
    def read(type_: Any, tokens: Sequence[Token]) -> int:
        value = _integer(tokens[0].value, least, most)
        if value is None:
            raise ValueError(f"{tokens[0].keyword} must be {allowed}, got {tokens[0].value!r}")
        return value

    return read


Realizations = Annotated[
    int,
    Parameter(
        converter=_reader(1, 2**64, "an integer from 1 to 2**64 such as 100000, 1e5 or 1_000_000"), allow_leading_hyphen=True
    ),
]
Seed = Annotated[int, Parameter(converter=_reader(0, 2**64 - 1, "an integer from 0 to 2**64 - 1"), allow_leading_hyphen=True)]
Threads = Annotated[int, Parameter(converter=_reader(1, None, "an integer >= 1"), allow_leading_hyphen=True)]


@app.command
def sweep(
    spec: str,
    /,
    *,
    out: str | None = None,
    realizations: Realizations | None = None,
    seed: Seed | None = None,
    backend: str = "auto",
    threads: Threads | None = None,
) -> int:
    """Simulate loss against deadline for many codes, beside the exact loss; write table.csv and loss.png.

    Ctrl-C ends it early and keeps everything finished so far.

    Parameters
    ----------
    spec
        A TOML file, or a bundled specification: "paper" (the UEP paper's setting), "fair" (all codes under equal total
        work), "backprop" (the same on a real weight gradient). A TOML file may name your own matrices, .npy or .npz.
    out
        Folder for the results, made if needed; files of an earlier run in it are replaced. Default: uepgpu-NAME in the
        current folder, NAME being that of the specification.
    realizations
        Realizations of every point, e.g. 100000, 1e5 or 1_000_000. Default: what the specification says.
    seed
        Seed of all draws: the same seed gives the same results on every machine. Default: what the specification says.
    backend
        What computes: auto (the fastest that runs here) or a name from "uepgpu info". It does not change the results.
    threads
        CPU threads. Default: all cores.
    """
    from uepgpu.sweep.job import run_job

    return run_job(spec, out=out, realizations=realizations, seed=seed, backend=backend, threads=threads)


@app.command
def multiply(
    a: str,
    b: str,
    /,
    *,
    code: str,
    deadline: float,
    gamma: str | None = None,
    workers: int = 30,
    paradigm: str = "rxc",
    rows: int = 3,
    cols: int = 3,
    blocks: int = 9,
    classes: str = "auto",
    order: str = "norm",
    encoding: str = "auto",
    window: str | None = None,
    copies: int = 2,
    rate: float = 1.0,
    omega: str = "fair",
    work: str = "true",
    decoder: str = "linear",
    prior: str = "gram",
    faithful: bool = False,
    noise: float = 0.0,
    dtype: str = "float64",
    keep: str = "loss",
    realizations: Realizations = 1000,
    seed: Seed = 1,
    backend: str = "auto",
    threads: Threads | None = None,
    output: Annotated[str | None, Parameter(name=("--output", "-o"))] = None,
) -> int:
    """Multiply two matrices as workers with stragglers would: encode, multiply, decode what has come back by a deadline.

    Prints the loss, the exact one where there is a formula, the classes that were decoded, conditioning, and time by stage.

    Parameters
    ----------
    a, b
        The factors: .npy files, .npz files of one array, or file.npz:key.
    code
        now, ew, mds, uncoded, repetition or lt.
    deadline
        What has not arrived by then is not used; "inf" waits for all.
    gamma
        Window probabilities of now and ew, e.g. .4,.35,.25.
    workers
        Number of workers W.
    paradigm
        rxc (row blocks times column blocks) or cxr (column blocks times row blocks).
    rows, cols
        Blocks of A and of B for rxc.
    blocks
        Blocks for cxr.
    classes
        Sizes of the importance classes, e.g. 3,3,3, or auto.
    order
        Order rows and columns by norm, mean_abs or none before cutting.
    encoding
        auto, free, factored or stacked.
    window
        For factored now and ew: level-pair, nested, max-rectangle or bounding-box.
    copies
        Copies for repetition.
    rate
        Rate of the exponential latency law.
    omega
        Load normalisation: a number, or fair (K / W).
    work
        true charges a packet what it really takes, unit charges one.
    decoder
        linear (what is decodable, zero for the rest), peel, or lmmse (the best linear estimate of everything).
    prior
        What lmmse knows: gram or energy.
    faithful
        Multiply the encoded factors of every packet, instead of combining sub-products computed once.
    noise
        Relative noise on payloads; needs --faithful.
    dtype
        Arithmetic of the workers: float64, float32 or float16.
    keep
        With -o: loss writes the product of the first realization, shape (U, Q); product those of all, (R, U, Q).
    realizations
        How many realizations, e.g. 1000 or 1e5.
    seed
        Seed of all draws.
    backend
        What computes: auto or a name from "uepgpu info".
    threads
        CPU threads. Default: all cores.
    output
        An .npy file for the product; replaced if it is there.
    """
    from uepgpu.multiply_job import run_multiply

    return run_multiply(**locals())


@app.command
def info(*, selftest: bool = False, backend: str = "auto") -> int:
    """Show versions, and which backends can run here; for those that cannot, why and what to do.

    Parameters
    ----------
    selftest
        Also compare the backend's tallies with NumPy's, integer for integer, on every decoder, and time it briefly:
        one page to paste into a bug report. Exit code 1 if a check fails.
    backend
        What the self-test tests: auto (the fastest that runs here) or a name from "uepgpu info".
    """
    from uepgpu.info import print_selftest, report

    print(report(), flush=True)
    return print_selftest(backend) if selftest else 0


@app.command
def bench(*, backend: str = "auto", quick: bool = False, threads: Threads | None = None, json: str | None = None) -> int:
    """Time the UEP-30 job on a backend: realizations per second, compilation apart, medians of several rounds.

    Parameters
    ----------
    backend
        What is timed: auto (the fastest that runs here) or a name from "uepgpu info".
    quick
        Three short rounds instead of seven of about a second.
    threads
        CPU threads. Default: all cores.
    json
        Also write the figures to this file.
    """
    from uepgpu.info import print_benchmark

    return print_benchmark(backend, quick=quick, threads=threads, json_path=json)


def _complaint(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected argument {' '.join(error.unused_tokens or ())!r}"
    cause = error.__cause__ if isinstance(error.__cause__, ValueError) else error
    return " ".join(str(cause).split())


def _call(arguments: list[str]) -> int:
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"uepgpu: {_complaint(error)} (see: uepgpu --help)", file=sys.stderr)
        return 2
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def _mute(stream: Any) -> None:
    """Send what is still buffered for a closed pipe nowhere, so that the interpreter does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def main() -> None:
    """Run the command line and exit; the entry point of ``uepgpu``."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal without Unicode shows '?' for Ω instead of failing.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _call(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, say `head`, has seen enough; files are written before anything is printed.
        _mute(sys.stdout)
        code = 0
    except KeyboardInterrupt:
        print("uepgpu: interrupted, nothing more is written", file=sys.stderr)
        code = 130
    if code == 130:
        # CPython remembers an interruption that passed through exec, as dataclasses have at import, and under `python -m`
        # would end with SIGINT instead of our code. A finished exec makes it forget.
        exec("")
    sys.exit(code)
