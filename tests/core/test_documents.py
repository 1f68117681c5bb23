"""Blocks of the README and of every page of docs/ run as they stand, in their order."""

from __future__ import annotations

import importlib.util
import re
import socket
import subprocess
import sys
import tomllib

import numpy as np
import pytest

from tests.cases import documents
from tests.cases.command_line import call, environment
from tests.cases.requirements import missing
from tests.cases.specifications import SMALL
from uepgpu.specification.fields import SpecError
from uepgpu.specification.load import SPECS
from uepgpu.specification.wanted import FINDS, parse_wanted
from uepgpu.sweep.spec import parse_spec, read_spec

RUNNABLE = {page: [block for block in documents.blocks(page) if block.aside is None] for page in documents.PAGES}

NUMBERS = {
    "docs/stragglers.md": (
        *("0.3753 0.0265", "0.3837 0.0637", "1.133 18.588", "0.649 2.084", "0.25  0.314"),
        # Of the study: independent draws, racks and recorded rounds of one law of latency; descents over them.
        "independent [2.514e-01 5.420e-02 6.000e-03 1.000e-04]",
        "recorded rounds [0.6034 0.5257 0.3812 0.0773]",
        "207 41.9 [210.",
    ),
    "docs/cost-models.md": (
        "unit work, as measured | free tiles 0.0007 | stacked summands 0.0003",
        "true work, as measured | free tiles 0.8106 | stacked summands 1.0",
        "true work, fair load | free tiles 1.0 | stacked summands 1.0",
        "uncoded, every tile four times, 36 workers 0.0907",
    ),
    "docs/tutorial.md": ("0.0230709", "0.539", "0.5792", "1.3677", "1.9642", "1.5001", "0.9489", "0.062367"),
    "docs/how-to/my-latencies.md": ("[0.2589 0.0142]", "[0.0423 0.0003]"),
}
"""What pages say of their blocks, as it is printed."""


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # by torch.compile itself
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("page", [page for page, blocks in RUNNABLE.items() if {b.language for b in blocks} & {"python", "sh"}])
def test_blocks_run(page, monkeypatch, tmp_path, tmp_path_factory, capsys):
    trains = any("uepgpu.train" in block.text or "uepgpu train" in block.text for block in RUNNABLE[page])
    if trains and importlib.util.find_spec("torch") is None:
        missing('PyTorch is not installed: pip install "uepgpu[train]"', "UEPGPU_REQUIRE_TORCH")
    monkeypatch.setattr("uepgpu.design.rectangles.ROUNDS", (4000,) * 6)
    monkeypatch.chdir(tmp_path)
    names, count = documents.run(page, lambda *words: call(monkeypatch, *words), tmp_path_factory.mktemp("bin"))
    assert count >= 1
    out = capsys.readouterr().out
    assert [number for number in NUMBERS.get(page, ()) if number not in out] == []
    if page == "docs/stragglers.md":
        at = [workers.arrival(5.0, 9, 1).item() for name, workers in names["alike"].items() if name != "recorded rounds"]
        assert np.allclose(at, (names["latencies"] <= 5.0).mean(), rtol=1e-12)
    if page == "docs/design.md":
        assert 1 < names["windows"].objective / names["limit"] < 10
        assert 0.6 < names["traced"].gamma[0] < 1  # .385 if workers were independent
        assert names["robust"].objective < 2.3
        assert names["rarely"].objective < names["rarely"].baseline


def test_every_block_says_what_it_is():
    for page in documents.PAGES:
        for block in documents.blocks(page):
            language = block.language.split()[0] if block.language else ""
            assert language in ("python", "sh", "toml", "text") or language.startswith("{"), (page, block)
            if language == "text" and block.aside is None:
                assert not re.search(r"^(?:\$ )?(?:uepgpu|python3?|pip|dask|bash) ", block.text, re.MULTILINE), (page, block.text)
            assert block.aside is None or len(block.aside) > 10


def test_the_readme_the_tutorial_and_designs_show_something_that_runs():
    for page in ("README.md", "docs/tutorial.md", "docs/design.md", "docs/stragglers.md"):
        assert sum(block.language in ("python", "sh") for block in RUNNABLE[page]) >= 2


def test_blocks_are_found_with_their_language_and_their_aside(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.cases.documents.ROOT", tmp_path)
    page = (
        "A:\n\n```python\n1\n```\n\n<!-- not run: needs a cluster -->\n\n```sh\nuepgpu info\n```\n\n"
        "* x\n\n  ```toml\n  # a.toml\n  k = 1\n  ```\n"
    )
    (tmp_path / "a.txt").write_text(page)
    found = documents.blocks("a.txt")
    assert [(b.language, b.text, b.aside) for b in found] == [
        ("python", "1\n", None),
        ("sh", "uepgpu info\n", "needs a cluster"),
        ("toml", "# a.toml\nk = 1\n", None),
    ]
    (tmp_path / "a.txt").write_text("<!-- not run on this page: recipes -->\n" + page)
    assert {b.aside for b in documents.blocks("a.txt")} == {"recipes"}


def test_a_block_that_fails_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.cases.documents.ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    for text, error in [("```python\n1 / 0\n```\n", ZeroDivisionError), ("```sh\nuepgpu plot\n```\n", AssertionError)]:
        (tmp_path / "a.txt").write_text(text)
        with pytest.raises(error):
            documents.run("a.txt", lambda *words: 2, tmp_path)


@pytest.mark.parametrize(
    "page, language, which, most",
    [
        ("docs/how-to/my-matrices.md", "toml", 0, 20),
        ("docs/how-to/my-matrices.md", "toml", 1, 20),
        ("docs/how-to/my-latencies.md", "toml", 0, 25),
        ("docs/how-to/my-data.md", "python", 1, 12),
        ("docs/how-to/cluster.md", "sh", 0, 3),
        ("docs/training.md", "python", 1, 25),
    ],
)
def test_jobs_are_short(page, language, which, most):
    block = [block for block in documents.blocks(page) if block.language == language][which]
    assert 2 < len([line for line in block.text.splitlines() if line.strip() and not line.startswith("#")]) <= most


def test_examples_of_tasks_are_short():
    for block in documents.blocks("docs/design.md"):
        if block.language == "python":
            assert len([line for line in block.text.splitlines() if line.strip()]) <= 5


def test_a_recording_takes_one_specification(tmp_path):
    (written,) = [b.text for b in documents.blocks("docs/stragglers.md") if b.language == "toml" and '"mine.csv"' in b.text]
    (tmp_path / "mine.csv").write_bytes((SPECS / "stragglers.csv").read_bytes())
    sweep = parse_spec(tomllib.loads(written), name="mine", folder=tmp_path)
    bundled = read_spec("stragglers")
    for mine, theirs in zip(sweep.points, bundled.points[:2], strict=True):
        assert (mine.series, mine.code, mine.workers, mine.deadlines) == (
            theirs.series,
            theirs.code,
            theirs.workers,
            theirs.deadlines,
        )
    assert bundled.points[0].workers.latency.latencies.shape == (200, 30)


def test_the_documented_keys_are_read():
    (table,) = [block.text for block in documents.blocks("docs/design.md") if block.language == "toml"]
    wanted = parse_wanted(tomllib.loads(table))
    assert wanted.find == FINDS
    assert (wanted.objective, wanted.across, wanted.realizations) == ("loss", "minimax", 200_000)
    with pytest.raises(SpecError):
        parse_wanted({"design": {"finds": []}})


def test_a_site_with_a_link_that_leads_nowhere_is_refused(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here">x</p><a href="b.html#there">y</a><a href="#here">z</a><a href="https://example.org">w</a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="there">x</h1><img src="data:image/png;base64,AA">')
    check = [sys.executable, str(documents.ROOT / "tools" / "check_site.py"), str(tmp_path)]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
    for bad, told in [
        ('<a href="c.html">x</a>', "c.html is missing"),
        ('<a href="a.html#nowhere">x</a>', "#nowhere has no such anchor"),
        ('<script src="https://example.org/x.js"></script>', "loads https://example.org/x.js"),
    ]:
        (tmp_path / "b.html").write_text('<h1 id="there">x</h1>' + bad)
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert told in done.stdout


@pytest.mark.slow
def test_the_three_commands_of_a_cluster(tmp_path):
    pytest.importorskip("distributed")
    (block,) = [block for block in documents.blocks("docs/how-to/cluster.md") if "scheduler" in block.text]
    scheduler, worker, sweep = block.text.splitlines()
    (tmp_path / "mine.toml").write_text(SMALL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = {"8786": port, "SCHEDULER": "127.0.0.1", "--nworkers 4": "--nworkers 1", "--port": "--no-dashboard --port"}
    scheduler, worker, sweep = (re.sub("|".join(here), lambda found: here[found[0]], line) for line in (scheduler, worker, sweep))
    dask = [sys.executable, "-m", "dask.__main__"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment(), "cwd": tmp_path}
    begun = [subprocess.Popen([*dask, *line.split()[1:]], **quiet) for line in (scheduler, worker)]
    try:
        command = [sys.executable, "-m", "uepgpu", *sweep.split()[1:]]
        done = subprocess.run(command, env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode, done.stderr) == (0, "")
        assert "6,000 realizations added" in done.stdout
    finally:
        for process in begun:
            process.terminate()
        for process in begun:
            process.wait(timeout=30)
