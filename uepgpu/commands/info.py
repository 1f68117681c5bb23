"""What ``uepgpu info`` does: versions, the machine, which backends can run, and a self-test."""

from __future__ import annotations

from uepgpu.commands.bench import print_timings
from uepgpu.commands.outcome import exits, refusing
from uepgpu.console import Table, plain

__all__ = ["run_info"]


@exits
def run_info(backend: str, *, selftest: bool, capability: str | None = None) -> int:
    """Print the report, and with `selftest` checks of a backend against NumPy and short timings; return the exit code.

    With `capability`, compile kernels ahead instead.

    Parameters
    ----------
    backend : str
        What the self-test tests.
    selftest : bool
    capability : str, optional
    """
    from uepgpu.backends import get_backend
    from uepgpu.machine.info import describe_machine

    if capability is not None:
        return _compile_ahead(capability)
    print(plain(Table(describe_machine(), text=(0, 1))), flush=True)
    if not selftest:
        return 0
    from uepgpu.machine.selftest import run_selftest

    with refusing():
        name = get_backend(backend).name
    print(f"\nself-test of backend {name}: tallies against NumPy's, integer for integer", flush=True)
    failed = 0
    for check in run_selftest(name):
        failed += not check.passed
        print(f"  {'equal' if check.passed else 'DIFFERENT':9}  {check.seconds:7.2f} s  {check.name}", flush=True)
    print(f"self-test: {'passed' if not failed else f'{failed} checks FAILED'}\n", flush=True)
    print_timings(name, quick=True, threads=None)
    return int(failed > 0)


def _compile_ahead(capability: str) -> int:
    from uepgpu.machine.ahead import compile_ahead

    compiled = 0
    with refusing():
        for kernel in compile_ahead(capability):
            compiled += not kernel.found
            print(f"  {'on disk' if kernel.found else 'compiled':9}  {kernel.seconds:7.2f} s  {kernel.name}", flush=True)
    print(f"kernels for {capability}: {compiled} compiled, and kept for every process of this user")
    return 0
