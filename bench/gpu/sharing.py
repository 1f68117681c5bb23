"""Sections about sharing a device: threads, streams, PyTorch beside it, and memory that others hold."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np

from bench.gpu.notes import Notes
from bench.gpu.problems import PROBLEMS, SEED, digest

__all__ = ["memory", "streams"]

PROBE = """
import cupy
with cupy.cuda.Stream(non_blocking=True):
    from uepgpu.backends import available
    print(available()["cuda"])
"""


def streams(notes: Notes) -> None:
    """Tally from eight threads at once; on a device also on a caller's stream and beside PyTorch. Probe it without a warning."""
    n = notes.size(200_000 if notes.share == 1 else 20_000, 66)
    wanted = {name: digest(PROBLEMS[name].simulate(n, "numba")) for name in ("count", "match")}

    def equal(name: str, **more: int) -> bool:
        return digest(PROBLEMS[name].simulate(n, notes.backend, **more)) == wanted[name]

    with notes.step("eight threads at once"), notes.device():
        found: list[bool] = []
        threads = [
            threading.Thread(target=lambda name=name: found.append(equal(name, batch=n // 10 + 11)))
            for name in 4 * ("count", "match")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        notes.say("eight threads at once", ok=found == [True] * 8)
    if not notes.on_device:
        return
    import cupy

    with notes.step("on a caller's stream"), notes.device(), cupy.cuda.Stream(non_blocking=True):
        notes.say("on a caller's stream", ok=equal("count"))
    with notes.step("beside PyTorch"), notes.device():
        import torch

        size = notes.size(4096, 16)
        x = torch.ones(size, size, device=notes.torch_device)
        for _ in range(20):
            x = (x @ x).clamp_(max=1.0)
        notes.say("beside PyTorch", ok=equal("match") and bool(torch.isfinite(x).all()))
    with notes.step("the probe, with warnings as errors"), notes.device():
        done = subprocess.run([sys.executable, "-W", "error", "-c", PROBE], capture_output=True, text=True, check=False)
        answer = done.stdout.strip()
        notes.say(
            "the probe, with warnings as errors", ok=answer == "None", error=answer if answer != "None" else done.stderr[-500:]
        )


def memory(notes: Notes) -> None:
    """Ask for the times of many realizations; on a device again while another holds nearly all memory."""
    from uepgpu.monte_carlo import decode_times

    problem, eliminations = PROBLEMS["match, 22 deadlines"], notes.size(500, 3)
    n = notes.size(int((20_000_000 if notes.on_device else 20_000) * notes.share), 2000)

    def times() -> np.ndarray:
        asked = {"deadlines": problem.deadlines, "decoder": problem.decoder, "backend": notes.backend}
        return decode_times(problem.code, problem.part, problem.workers, realizations=n, seed=SEED, **asked)

    def eliminated() -> bool:
        tally = PROBLEMS["K = 64, eliminate"].simulate(eliminations, notes.backend)
        return digest(tally) == digest(PROBLEMS["K = 64, eliminate"].simulate(eliminations, "numba"))

    with notes.step("times of decoding"), notes.device():
        whole = times()
        few = decode_times(problem.code, problem.part, problem.workers, deadlines=problem.deadlines, realizations=1000, seed=SEED)
        notes.say("times of decoding", ok=bool(np.array_equal(whole[:1000], few)), realizations=n)
        if not notes.on_device:
            return
        import cupy

        unit, called = (2**8, "x 256 bytes") if notes.pretended else (2**20, "MiB")
        for free, name, call in (
            (400, "times of decoding", lambda: bool(np.array_equal(times(), whole))),
            (2048, "elimination at K = 64, whose threads hold most memory", eliminated),
        ):
            what = f"{name}, {free} {called} free"
            with notes.step(what), notes.listening() as said:
                cupy.get_default_memory_pool().free_all_blocks()
                held = cupy.cuda.runtime.malloc(cupy.cuda.runtime.memGetInfo()[0] - free * unit)
                try:
                    notes.say(what, ok=call())
                finally:
                    cupy.cuda.runtime.free(held)
            notes.say(f"{what}: warnings", warnings=said)
