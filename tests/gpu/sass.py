"""Instructions a thread issues per realization, in machine code of sm_90, by pipe. ``python tests/gpu/sass.py --update``.

ptxas makes the machine code and nvdisasm writes it out; neither needs a device. What is counted is the loop over
realizations, with loops inside it as often as they run. A block of draws and a packet of a walk are known by what they must
do, so that it does not matter how far the compiler unrolls them. Code that a branch skips is counted as if it ran, except
the search of a bucket that holds several thresholds, which counts as often as words fall into one.
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
        name = code[i][0]
        pipe = "ALU" if ALU.fullmatch(name) else "product" if name.startswith("IMAD") else "other"
        total[pipe] += often[i] * (several(tables) if i in rare else 1.0)
    return {pipe: round(total[pipe], 1) for pipe in ("ALU", "product", "other")}


def is_search(body):
    """Return whether a jump over `body` is one over the search of a bucket: that reads global memory, draws nothing, keeps nothing."""
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
