"""Instructions a thread issues per realization, in machine code of sm_90, by pipe. ``python tests/gpu/sass.py --update``.

ptxas makes the machine code and nvdisasm writes it out; neither needs a device. What is counted is the loop over
realizations, with loops inside it as often as they run. A block of draws and a packet of a walk are known by what they must
do, so that it does not matter how far the compiler unrolls them. Code that a branch skips is counted as if it ran, except
the search of a bucket that holds several thresholds, which counts as often as words fall into one.

Where lanes of a warp eliminate together, each executes what the warp does: an instruction counts once a lane, as often as its loop
runs in a realization all of whose packets raise the rank (:func:`counted_together`).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "kernels")]

TABLE = Path(__file__).with_name("sass.json")
TOOLS = ("numba", "numba-cuda", "nvidia-nvvm", "nvidia-cuda-nvcc", "nvidia-cuda-nvdisasm")
JOBS = {f"{decoder}{when}": (decoder, bool(when)) for when in ("", ", 22 deadlines") for decoder in ("count", "match")}
"""Name, decoder and whether there are deadlines: UEP-30."""

ALU = re.compile("BMSK|FMNMX|FSEL|FSETP|IADD3|IMNMX|ISETP|LEA|LOP3|MOV|P2R|PLOP3|POPC|PRMT|R2P|SEL|SGXT|SHF|VIADD|VIADDMNMX|VIMNMX")
"""What the ALU pipe takes, 64 lanes a cycle and multiprocessor; products, and what is written as one, have their own pipe."""

PIPES = ("ALU", "product", "other")

TOGETHER = "eliminate, K = 64"
"""Modulo 2^31-1, 64 packets of all sub-products."""

PHILOX = re.compile("-0x2daee0ad|-0x326172a9")
"""The multipliers, as nvdisasm writes them."""

PRODUCTS_OF_A_BLOCK = 20
"""Of four words, less one or two that need no block number."""


def tools():
    """Return the versions that decide the numbers."""
    return {name: metadata.version(name) for name in TOOLS}


def disassembled(ptx, ptxas):
    """Return (text of the machine code, spilled bytes)."""
    with tempfile.TemporaryDirectory() as folder:
        source, binary = Path(folder) / "kernel.ptx", Path(folder) / "kernel.cubin"
        source.write_text(ptx)
        command = [ptxas, "-v", "-arch=sm_90", str(source), "-o", str(binary)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        command = [str(Path(ptxas).with_name("nvdisasm")), "-c", "-novliw", str(binary)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text, sum(int(n) for n in re.findall(r"(\d+) bytes spill", said))


def parsed(text):
    """Return instructions, each (name, text), and jumps, each (from, to)."""
    code, labels, jumps = [], {}, []
    for line in text.splitlines():
        if label := re.match(r"\s*(\.L_x_\d+):", line):
            labels[label[1]] = len(code)
        elif found := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)(.*);", line):
            if found[1] == "BRA" and (target := re.search(r"`\((\.L_x_\d+)\)", found[2])):
                jumps.append((target[1], len(code)))
            code.append((found[1], found[0]))
    return code, [(at, labels[to]) for to, at in jumps]


def counted(code, jumps, job, tables):
    """Return instructions of a thread per realization, by pipe."""
    loops = [(to, at) for at, to in jumps if to < at]
    outer = max(loops, key=lambda loop: loop[1] - loop[0])
    inside = [x for x in loops if outer[0] <= x[0] and x[1] <= outer[1] and x != outer]
    often = [1.0] * len(code)
    for first, last in inside:
        for i in range(first, last + 1):
            often[i] *= trips(code[first : last + 1], job, tables)
    rare = {i for at, to in jumps if outer[0] <= at < to <= outer[1] and is_search(code[at:to]) for i in range(at + 1, to)}
    total = Counter()
    for i in range(outer[0], outer[1] + 1):
        total[pipe_of(code[i][0])] += often[i] * (several(tables) if i in rare else 1.0)
    return {pipe: round(total[pipe], 1) for pipe in PIPES}


def counted_together(code, jumps, shape, job):
    """Return instructions of the lanes that decode one realization, by pipe, where packet n meets n rows and K - n places.

    A loop is known by what is in it: lists of packets are made outside of the loop that votes, once a lane; in it, loops over rows
    read two entries a row and write one (clearing), or read three (reducing); loops over places hold one of those; one that draws
    has a block a lane; the others go over rows by lanes. In lists every loop counts as if it ran once a packet.
    """
    loops = sorted({(to, at) for at, to in jumps if to < at})
    names = [Counter(name for name, _ in code[a : b + 1]) for a, b in loops]
    votes = [x for x, found in zip(loops, names, strict=True) if found["SHFL"]]
    outer, turn, packets = sorted(votes, key=lambda x: x[0] - x[1])[:3]
    k, lanes, n = job.k, shape.lanes, range(job.n_packets)
    places = {"reduce": [-(-(k - i) // lanes) for i in n], "clear": [-(-(k - 1 - i) // lanes) for i in n]}

    def inside(x, y):
        return y[0] <= x[0] and x[1] <= y[1] and x != y

    def kind(x, found):
        return "clear" if found["STS"] >= found["LDS"] else "reduce"

    rows = {
        x: kind(x, c) for x, c in zip(loops, names, strict=True) if inside(x, packets) and c["LDS"] >= 8 and not contains(x, loops)
    }
    assert sorted(rows.values()) == ["clear", "reduce"], "the loops over rows"
    often = [0.0] * len(code)
    for x, found in zip(loops, names, strict=True):
        draws = any(PHILOX.search(text) for _, text in code[x[0] : x[1] + 1])
        within = [y for y in rows if inside(y, x)]
        if x == outer:
            runs = 1.0
        elif x == turn:
            runs = float(lanes)
        elif x == packets:
            runs = lanes * len(n)
        elif x in rows:
            each = found["LDS"] // (2 if rows[x] == "clear" else 3)
            runs = lanes * sum(-(-i // each) * p for i, p in zip(n, places[rows[x]], strict=True))
        elif inside(x, packets) and within:
            runs = lanes * sum(places[rows[within[0]]])
        elif inside(x, packets) and draws:
            runs = lanes * len(n) * -(-k // (4 * lanes))
        elif inside(x, packets):
            runs = lanes * sum(-(-(i + 3) // lanes) for i in n)
        elif inside(x, turn):
            runs = lanes * -(-k // lanes)
        else:
            runs = len(n) if inside(x, outer) else 0.0
        for i in range(x[0], x[1] + 1):
            if smallest(i, loops) == x:
                often[i] = runs
    total = Counter()
    for i, (name, _) in enumerate(code):
        total[pipe_of(name)] += often[i]
    return {pipe: round(total[pipe]) for pipe in PIPES}


def contains(x, loops):
    """Return whether a loop has another one in it."""
    return any(x[0] <= y[0] and y[1] <= x[1] and x != y for y in loops)


def smallest(i, loops):
    """Return the innermost loop around an instruction, or None."""
    return min((x for x in loops if x[0] <= i <= x[1]), key=lambda x: x[1] - x[0], default=None)


def pipe_of(name):
    """Return the pipe of an instruction."""
    return "ALU" if ALU.fullmatch(name) else "product" if name.startswith("IMAD") else "other"


def is_search(body):
    """Return whether a jump over `body` is one over the search of a bucket: that reads global memory, draws and keeps nothing."""
    names = {name for name, _ in body}
    return "LDG" in names and not names & {"STS", "STL"} and not any(PHILOX.search(text) for _, text in body)


def several(tables):
    """Return how often a word falls into a bucket with several thresholds."""
    return float(((tables.bucket >> np.uint64(16) & np.uint64(0xFFFF)) == np.uint64(0xFFFF)).mean()) if tables.bucket.size else 0.0


def trips(body, job, tables):
    """Return how often a loop runs, by what it must do."""
    names = Counter(name for name, _ in body)
    blocks = round(sum(name == "IMAD" and PHILOX.search(text) is not None for name, text in body) / PRODUCTS_OF_A_BLOCK)
    if blocks >= 1:
        return int(tables.n_blocks) / blocks
    if names["ATOMS"]:  # a second try of an atomic that another thread came before
        return 0.0
    if names["LDL"]:
        return job.n_packets / names["LDL"]
    if names["STL"]:
        return (32 - job.n_packets) / names["STL"]
    assert names["LDG"], f"a loop that nothing is known of: {names}"
    return int(tables.halvings) / names["LDG"]


def measure(ptxas):
    """Return the whole table."""
    from tests.cases import problems
    from uepgpu.plan import DECODERS, make_plan
    from uepgpu_kernels.automaton import automaton_of
    from uepgpu_kernels.cuda import compile_shape, make_tables, shape_of

    rows, machine_code = {}, {}
    for name, (decoder, timed) in JOBS.items():
        problem = problems.PROBLEMS["ew"]
        times = problems.DEADLINES if timed else None
        job = make_plan(problem.code, problem.part, problem.workers, seed=1, deadlines=times).job
        automaton = automaton_of(job) if decoder == "match" else None
        shape = shape_of(job, DECODERS[decoder].implementation("cuda"), "patterns", automaton)
        if shape not in machine_code:
            machine_code[shape] = disassembled(compile_shape(shape, (9, 0))[0], ptxas)
        text, spilled = machine_code[shape]
        rows[name] = counted(*parsed(text), job, make_tables(job, shape, automaton)) | {"spilled bytes": spilled}
    job = make_plan(problems.MDS, problems.line(4, 20, 40), problems.unit(64, omega=1.0), seed=1).job
    shape = shape_of(job, DECODERS["eliminate"].implementation("cuda"), "patterns")
    text, spilled = disassembled(compile_shape(shape, (9, 0))[0], ptxas)
    rows[TOGETHER] = counted_together(*parsed(text), shape, job) | {"spilled bytes": spilled}
    return {"tools": tools(), "kernels": rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write sass.json instead of printing")
    arguments = parser.parse_args()
    found = next(str(p) for x in sys.path for p in Path(x).glob("nvidia/*/bin/ptxas"))
    text = json.dumps(measure(found), indent=1) + "\n"
    if arguments.update:
        TABLE.write_text(text)
    else:
        print(text)
