"""Without PyTorch everything else works, and what needs it says so in one line. Runs with and without PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys

HIDE = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, Hide())
"""
REMEDY = 'uepgpu.train needs PyTorch, which is not installed: pip install "uepgpu[train]"'


def run(code, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", HIDE + code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_importing_it_says_what_to_install():
    done = run("import uepgpu.train")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"ImportError: {REMEDY}"
    assert "During handling" not in done.stderr


def test_the_command_says_what_to_install(tmp_path):
    done = run("from uepgpu.cli import main; main()", "train", "digits", "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr == f"uepgpu: {REMEDY}\n"
    assert not (tmp_path / "out").exists()


def test_help_needs_no_pytorch():
    done = run("from uepgpu.cli import main; main()", "train", "--help")
    assert done.returncode == 0
    assert "--replicas" in done.stdout
