"""Machine code of kernels is made without a device, kept on disk, and launched with the parameters that it has."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from tests.cases import problems
from tests.cases.requirements import ROOT

pytestmark = pytest.mark.usefixtures("numba_cuda")

ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
ENVIRONMENT |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
BUILD = """
import json, sys
from uepgpu_kernels.cuda import VARIANTS, cubin, ptx
compiled = []
whole = ptx.compile_function
ptx.compile_function = cubin.compile_function = lambda *rest: compiled.append(1) or whole(*rest)
from uepgpu_kernels.cuda.probe import TYPES, _count
kept = [cubin.shape_cubin(VARIANTS["uep30"], (9, 0)), cubin.function_cubin(_count, TYPES, (9, 0))]
code = kept[0].cubin
print(json.dumps([len(compiled), [k.found for k in kept], code.entry, len(code.code), code.code[:4].hex(), code.code.hex()[-64:]]))
"""


def build(folder, code=BUILD):
    environment = ENVIRONMENT | {"NUMBA_CACHE_DIR": str(folder)}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    return folder, build(folder)


def test_a_second_process_compiles_nothing(built):
    folder, (compiled, found, *code) = built
    assert compiled == 2
    assert found == [False, False]
    assert "by_words" in code[0]
    assert code[2] == b"\x7fELF".hex()
    assert build(folder) == [0, [True, True], *code]
    files = list(folder.rglob("*.cubin"))
    assert len(files) == 2
    assert all(file.stat().st_mode & 0o077 == 0 and file.parent.stat().st_mode & 0o077 == 0 for file in files)


def test_a_file_that_was_changed_is_not_used(built, tmp_path):
    from uepgpu_kernels.cuda import cubin
    from uepgpu_kernels.sealed import Unsafe, read_sealed

    folder, _ = built
    file = next(folder.rglob("by_words*.cubin"))
    content = file.read_bytes()
    header = content[: content.index(b"\n") + 1]
    assert header == cubin._header()
    assert read_sealed(file, header) is not None
    for changed, error in ((content[:-1] + b"?", ValueError), (b"?" + content[1:], ValueError)):
        (tmp_path / file.name).write_bytes(changed)
        with pytest.raises(error, match="not what was written there"):
            read_sealed(tmp_path / file.name, header)
    (tmp_path / "another.cubin").write_bytes(content)
    with pytest.raises(ValueError, match="not what was written there"):
        read_sealed(tmp_path / "another.cubin", header)
    assert read_sealed(file, header.replace(b"numba ", b"numba 9")) is None  # of other tools: compiled anew
    (tmp_path / file.name).chmod(0o666)
    with pytest.raises(Unsafe, match="may be written by other users"):
        read_sealed(tmp_path / file.name, header)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    from uepgpu_kernels import sealed
    from uepgpu_kernels.cuda import cubin

    monkeypatch.setattr(cubin, "kept_in", lambda: tmp_path)
    monkeypatch.setattr(cubin, "assemble", lambda text, capability: cubin.Cubin("kernel", f"{text} {capability}".encode()))
    monkeypatch.setattr(sealed, "_said", set())
    return tmp_path


def test_every_part_of_the_name_decides_the_file(own_folder, monkeypatch):
    from uepgpu_kernels.cuda import VARIANTS, cubin

    shape = VARIANTS["uep30"]
    monkeypatch.setattr(cubin, "compile_shape", lambda shape, capability: (f"text {shape.bins}", ()))
    assert not cubin.shape_cubin(shape, (9, 0)).found
    assert cubin.shape_cubin(shape, (9, 0)) == cubin.Kept(cubin.Cubin("kernel", b"text 1024 (9, 0)"), True)
    assert cubin.shape_cubin(shape._replace(bins=2048), (9, 0)) == cubin.Kept(cubin.Cubin("kernel", b"text 2048 (9, 0)"), False)
    assert not cubin.shape_cubin(shape, (8, 0)).found
    monkeypatch.setattr(cubin, "source_digest", lambda: "other sources")
    assert not cubin.shape_cubin(shape, (9, 0)).found
    monkeypatch.setattr(cubin, "_toolkit", lambda: ("other tools",))
    assert not cubin.shape_cubin(shape, (9, 0)).found


def test_a_kernel_that_cannot_be_kept_or_read_is_compiled_with_a_warning(own_folder, monkeypatch):
    from uepgpu_kernels.cuda import VARIANTS, cubin

    shape = VARIANTS["uep30"]
    monkeypatch.setattr(cubin, "compile_shape", lambda shape, capability: ("text", ()))
    assert not cubin.shape_cubin(shape, (9, 0)).found
    next(own_folder.iterdir()).write_bytes(b"something else")
    with pytest.warns(RuntimeWarning, match="cannot be used, so kernels are compiled"):
        assert cubin.shape_cubin(shape, (9, 0)).cubin.code == b"text (9, 0)"
    assert cubin.shape_cubin(shape, (9, 0)).found  # it was written anew
    monkeypatch.setattr(cubin, "kept_in", lambda: own_folder / "missing")
    with pytest.warns(RuntimeWarning, match="cannot be stored"):
        assert not cubin.shape_cubin(shape, (9, 0)).found


def test_kernels_without_a_shape_are_found_where_they_were_compiled_ahead(own_folder, monkeypatch):
    from uepgpu.machine import ahead
    from uepgpu_kernels.cuda import cubin, descent_draws, probe

    monkeypatch.setattr(cubin, "compile_function", lambda function, types, capability: function.__name__)
    for name, kernel, taken in (
        (ahead.PROBE, probe._count, probe.TYPES),
        (ahead.DRAWS, descent_draws.draw_iterations, descent_draws.TYPES),
    ):
        assert not ahead._compile(name, (9, 0)).found
        assert ahead._compile(name, (9, 0)).found
        code = f"{kernel.__name__} (9, 0)".encode()
        assert cubin.function_cubin(kernel, taken, (9, 0)) == cubin.Kept(cubin.Cubin("kernel", code), True)


def test_capabilities_are_read_as_devices_and_people_write_them():
    from uepgpu_kernels.cuda import capability_of

    assert [capability_of(x) for x in ("sm_75", "sm_90", "sm_90a", "sm_120", "sm_103a")] == [
        (7, 5),
        (9, 0),
        (9, 0),
        (12, 0),
        (10, 3),
    ]
    for bad in ("90", "sm_", "sm_70", "sm_9.0", "sm_90b", "compute_90", "sm_900"):
        with pytest.raises(ValueError, match="compute capability is written as"):
            capability_of(bad)


# --- launches, on a device that is pretended --------------------------------------------------------------------------


class Array(np.ndarray):
    """An array that is on a device: its memory says where."""

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.ctypes.data)


class Stream(contextlib.nullcontext):
    def __init__(self, non_blocking):
        super().__init__()


class Device(contextlib.nullcontext):
    def __init__(self, number):
        super().__init__()
        self.id = number
        self.attributes = {"MaxThreadsPerBlock": 1024, "MultiProcessorCount": 132}
        self.compute_capability = "90"


@pytest.fixture
def pretended(monkeypatch):
    """A CuPy that loads machine code and notes launches."""
    from uepgpu_kernels.cuda import memory

    log = []

    class Function:
        def __call__(self, grid, block, arguments):
            log.append((grid, block, arguments))

    class Module:
        def load(self, code):
            log.append(code)

        def get_function(self, name):
            log.append(name)
            return Function()

    cupy = types.ModuleType("cupy")
    cupy.cuda = types.SimpleNamespace(Device=Device, Stream=Stream, function=types.SimpleNamespace(Module=Module))
    cupy.asarray = lambda array: array.view(Array)
    cupy.zeros = lambda size, dtype: np.zeros(size, dtype).view(Array)
    cupy.asnumpy = np.asarray
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(memory, "_modules", {})
    return log


def test_a_launch_takes_the_parameters_of_the_machine_code_and_types_nothing(pretended, monkeypatch):
    from uepgpu.plan import DECODERS
    from uepgpu_kernels.cuda import Prepared, compile_shape, cubin, memory, ptx

    job = problems.PROBLEMS["ew"].plan("count").job
    kept = cubin.Kept(cubin.Cubin("the_entry", b"the code"), True)
    asked = []
    monkeypatch.setattr(memory, "shape_cubin", lambda shape, capability: asked.append(capability) or kept)
    prepared = Prepared(job, DECODERS["count"].implementation("cuda"), "patterns")
    Prepared(job, DECODERS["count"].implementation("cuda"), "patterns")
    assert asked == [(9, 0)]  # loaded once for both
    assert pretended == [b"the code", "the_entry"]

    monkeypatch.setattr(ptx, "compile_function", None)
    out, record = prepared.launch(2**40 + 5, 10**9)
    grid, block, arguments = pretended[2]
    assert grid == (prepared.blocks // 32 * 32,)
    assert block == (512,)
    monkeypatch.undo()
    text = compile_shape(prepared.shape)[0]
    widths = [int(bits) // 8 for bits in re.findall(r"\.param \.\w(\d+)", text.partition(".entry")[2].partition(")")[0])]
    assert [x.dtype.itemsize for x in arguments] == widths
    assert arguments[:5] == (job.seed, 2**40 + 5, 10**9, job.n_times, out.size // 32)
    # An array: nothing, nothing, entries, bytes of one, address, shape, stride.
    assert arguments[-14:-7] == (0, 0, out.size, 8, out.ctypes.data, out.size, 8)
    assert arguments[-7:] == (0, 0, 1, 4, record.ctypes.data, 1, 4)
    steps = prepared.tables.steps
    at = [int(x) for x in arguments].index(steps.ctypes.data)
    assert arguments[at - 4 : at + 3] == (0, 0, steps.size, 4, steps.ctypes.data, steps.size, 4)
