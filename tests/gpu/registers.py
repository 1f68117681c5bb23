"""The table of registers, stack and spills of every kernel variant and compute capability. ``python registers.py --update``."""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "kernels")]

TABLE = Path(__file__).with_name("registers.json")
CAPABILITIES = ((7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0))
TOOLS = ("numba", "numba-cuda", "nvidia-nvvm", "nvidia-cuda-nvcc")
PATTERN = r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads[\s\S]*?Used (\d+) registers"


def tools():
    """Return the versions that decide the numbers."""
    return {name: metadata.version(name) for name in TOOLS}


DRAWS = "descent-draws"
"""The kernel that draws gradient coding, which has no shape."""


def assemble(name, ptxas):
    """Return {capability: [registers, stack bytes, spilled bytes]} of one kernel."""
    from uepgpu_kernels.cuda import VARIANTS, descent_draws
    from uepgpu_kernels.cuda.ptx import compile_for, compile_function_for

    rows, draws = {}, (descent_draws.draw_iterations, descent_draws.TYPES)
    texts = compile_function_for(*draws, CAPABILITIES) if name == DRAWS else compile_for(VARIANTS[name], CAPABILITIES)
    for cc, ptx in texts.items():
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "kernel.ptx"
            source.write_text(ptx)
            command = [ptxas, "-v", f"-arch=sm_{cc[0]}{cc[1]}", str(source), "-o", str(Path(folder) / "kernel.cubin")]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{name}, {cc}: {done.stderr}"
        stack, stores, loads, registers = map(int, re.search(PATTERN, done.stderr).groups())
        rows[f"{cc[0]}.{cc[1]}"] = [registers, stack, stores + loads]
    return rows


def measure(ptxas, workers=2):
    """Return the whole table."""
    from uepgpu_kernels.cuda import VARIANTS

    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        names = [*VARIANTS, DRAWS]
        rows = dict(zip(names, pool.map(assemble, names, [ptxas] * len(names)), strict=True))
    return {"tools": tools(), "columns": ["registers", "stack bytes", "spilled bytes"], "kernels": rows}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write registers.json instead of printing")
    parser.add_argument("--ptxas", default=None)
    arguments = parser.parse_args()
    found = arguments.ptxas or next(str(p) for x in sys.path for p in Path(x).glob("nvidia/*/bin/ptxas"))
    table = measure(found)
    text = json.dumps(table, indent=1)
    text = re.sub(r"\[\s+(\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text) + "\n"
    if arguments.update:
        TABLE.write_text(text)
    else:
        print(text)
