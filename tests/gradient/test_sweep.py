"""``uepgpu sweep`` of gradient coding: files, table, figure, exit codes, one-line errors."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import uepgpu as uep
from uepgpu import gradient_coding as gc
from uepgpu.cli import main
from uepgpu.commands.sweep import SweepOptions, run_sweep
from uepgpu.gradient_coding.table import COLUMNS, _shown
from uepgpu.specification.fields import SpecError
from uepgpu.specification.study import parse_study, read_study

ROOT = Path(uep.__file__).parent.parent

SPEC = """
kind = "gradient-coding"
title = "a small study"
iterations = 20
realizations = 30
seed = 3
blocks = 6
step = 0.8
deadlines = { start = 0, stop = 6, step = 2 }
show = [4]
show_iterations = [5]

[workers]
count = 12
omega = 1.0

[data.heavy]
source = "multivariate-t"
rows = 90
columns = 3
degrees = 1.5
seed = 1

[data.mine]
source = "file"
path = "mine.csv"
loss = "logistic"
ridge = 0.5

[[series]]
label = "leverage"
scheme = { name = "replicated-sketch", fastest = 5 }

[[series]]
label = "own law"
scheme = { name = "sampled-sketch", samples = 5, law = [0.5, 0.1, 0.1, 0.1, 0.1, 0.1] }
data = ["heavy"]
step = 0.3
decay = 0.1

[[series]]
label = "exact"
scheme = "exact-gradient"
"""


@pytest.fixture
def spec(tmp_path):
    data = gc.gaussian(rows=60, columns=2, seed=1, loss="logistic")
    lines = [",".join(map(repr, row)) for row in np.column_stack([data.A, data.b]).tolist()]
    (tmp_path / "mine.csv").write_text("a,b,label\n" + "\n".join(lines) + "\n")
    (tmp_path / "study.toml").write_text(SPEC)
    return tmp_path / "study.toml"


def run(spec, folder, **options):
    return run_sweep(str(spec), SweepOptions(**{"out": str(folder)} | options))


def test_a_series_without_a_label_is_called_by_its_scheme(spec):
    spec.write_text(SPEC.replace('label = "leverage"\n', "").replace('label = "exact"\n', ""))
    assert [p.series for p in read_study(str(spec)).points if p.data == "heavy"] == [
        "replicated-sketch (fastest = 5)",
        "own law",
        "exact-gradient",
    ]


def test_deadlines_may_repeat(spec, tmp_path):
    spec.write_text(SPEC.replace("{ start = 0, stop = 6, step = 2 }", "[0, 4, 4, 6]"))
    assert run(spec, tmp_path / "out") == 0
    assert read_study(str(spec)).points[0].deadlines == (0.0, 4.0, 4.0, 6.0)


def test_a_study_writes_its_table_and_its_figure(spec, tmp_path, capsys):
    assert run(spec, tmp_path / "out") == 0
    printed, complaints = capsys.readouterr()
    assert complaints == ""
    assert "heavy: A 90 × 3, 6 blocks, least-squares" in printed
    assert "mine: A 60 × 2, 6 blocks, logistic" in printed
    assert (tmp_path / "out" / "convergence.png").read_bytes().startswith(b"\x89PNG")
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == COLUMNS
    assert len(found) == 5 * (21 + 4)
    # The same numbers as a call of the library.
    table = gc.multivariate_t(rows=90, columns=3, degrees=1.5, seed=1)
    law = (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)
    direct = gc.descend(
        gc.Problem(table.A, table.b, 6),
        gc.SampledSketch(5, law=law),
        uep.Workers(12, omega=1.0),
        iterations=20,
        realizations=30,
        seed=3,
        step=0.3,
        decay=0.1,
        deadlines=[0, 2, 4, 6],
    )
    mine = [row for row in found if row["series"] == "own law"]
    assert [float(row["error"]) for row in mine if row["axis"] == "iteration"] == direct.error.values.tolist()
    assert [float(row["error"] or "nan") for row in mine if row["axis"] == "deadline"] == pytest.approx(
        direct.error_at_deadline.values.tolist(), nan_ok=True
    )
    assert mine[-5]["gradient_error"] == ""  # the last iterate has no gradient


def test_words_with_dollar_signs_are_words(spec, tmp_path):
    spec.write_text(
        SPEC.replace('"a small study"', "'$^{$'")
        .replace('"exact"', "'$\\frac{$'")
        .replace('["heavy"]', "['$_$']")
        .replace("[data.heavy]", "[data.'$_$']")
    )
    assert run(spec, tmp_path / "out") == 0
    assert (tmp_path / "out" / "convergence.png").exists()


def test_the_command_line_reaches_it_and_is_quiet_when_piped(spec, tmp_path):
    paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    call = [sys.executable, "-m", "uepgpu", "sweep", str(spec), "--realizations", "1e1", "--seed", "9", "--backend", "numpy"]
    done = subprocess.run(
        call,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    with (tmp_path / "uepgpu-study" / "table.csv").open(encoding="utf-8", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["realizations"], row["seed"], row["backend"]) == ("10", "9", "numpy")


@pytest.mark.skipif(os.name == "nt", reason="SIGINT to a child process")
def test_ctrl_c_ends_a_long_run_soon(spec, tmp_path):
    spec.write_text(SPEC.replace("iterations = 20", "iterations = 2000").replace("realizations = 30", "realizations = 500000"))
    code = (
        # Whoever runs the tests in the background of a script has SIGINT ignored, and children inherit that.
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import sys\nimport uepgpu.gradient_coding.descent as descent\nfrom uepgpu.cli import main\n"
        "inner = descent.Moments.of\n"
        "def announced(values):\n"
        "    print('FINISHED A CHUNK', file=sys.stderr, flush=True)\n"
        "    return inner(values)\n"
        "descent.Moments.of = announced\n"
        "sys.argv = ['uepgpu', 'sweep', 'study.toml', '--out', 'out', '--backend', 'numpy']\n"
        "main()\n"
    )
    paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "FINISHED A CHUNK\n"
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    messages = [line for line in complaints.splitlines() if line != "FINISHED A CHUNK"]
    assert process.returncode == 130
    assert messages == ["uepgpu: interrupted before any point was finished, nothing is written"]
    assert not (tmp_path / "out").exists()


def test_an_interruption_between_points_writes_what_is_there(spec, tmp_path, capsys, monkeypatch):
    import uepgpu.gradient_coding.descent as descent

    whole, calls = descent.descend, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(*arguments, **options)

    monkeypatch.setattr(descent, "descend", interrupted)
    assert run(spec, tmp_path / "out") == 130
    printed, complaints = capsys.readouterr()
    assert complaints == "uepgpu: interrupted; kept 2 of 5 points\n"
    assert (tmp_path / "out" / "convergence.png").exists()
    with (tmp_path / "out" / "table.csv").open(encoding="utf-8", newline="") as file:
        assert {row["series"] for row in csv.DictReader(file)} == {"leverage"}
    assert "Table" in printed


def test_the_bundled_study_shows_what_it_is_for():
    study = read_study("gradient-coding", realizations=40)
    errors = {}
    wanted = ("leverage, fresh sketch", "leverage, fixed sketch", "uniform, fresh sketch", "exact gradient, wait for all")
    for point in study.points:
        if point.series in wanted:
            call = {"iterations": 200, "realizations": 40, "seed": 1, "step": point.step, "deadlines": [20.0]}
            result = gc.descend(point.problem, point.scheme, point.workers, **call)
            ends = float(result.error[-1]), float(result.error_at_deadline[0])
            errors[point.data, point.series] = (*ends, result.attrs["diverged"])
    fresh, fixed = errors["coherent", "leverage, fresh sketch"], errors["coherent", "leverage, fixed sketch"]
    exact = errors["coherent", "exact gradient, wait for all"]
    assert fresh[0] < 1.2 * exact[0] < fixed[0]
    assert fresh[1] < 0.2 * exact[1]
    assert errors["coherent", "uniform, fresh sketch"][2] == 40
    assert errors["incoherent", "uniform, fresh sketch"][0] == pytest.approx(
        errors["incoherent", "leverage, fresh sketch"][0], rel=0.2
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("iterations = 20", "iterations = 0", "iterations must be an integer from 1"),
        ("iterations = 20", "iteration = 20", r"unknown key 'iteration' \(did you mean 'iterations'\?\)"),
        ("blocks = 6\n", "", "blocks is missing"),
        ("blocks = 6", "blocks = 200", r"\[data.heavy\]: blocks must be at most the 90"),
        ("count = 12", "count = 5", "series 'leverage' with data 'heavy': .*at least the 6 blocks.* got 5"),
        ("count = 12", "count = [12, 24]", "must describe one kind of workers, got lists that make 2"),
        ("count = 12", "count = 12\nspeeds = [1]", "speeds must give one speed per worker: 12 workers, got 1 speeds"),
        ("count = 12", "count = 12\nspeed = [1]", "unknown key 'speed'"),
        (
            "count = 12",
            "count = 12\nloss_probability = 0.1",
            "workers must always answer where Repl.*give it until=t, got loss_prob",
        ),
        ("fastest = 5", "fastest = 5, until = 0", "until must be a finite number > 0, got 0"),
        ("fastest = 5", "factor = 0.5", "factor must be a finite number >= 1, a multiple .* got 0.5"),
        ("fastest = 5", "fastest = 13", "fastest must be at most the 12 servers that there are, got 13"),
        ("fastest = 5", "fastest = 5, sketch = 'old'", "sketch must be one of 'fresh', 'fixed', got 'old'"),
        ("fastest = 5", "quickest = 5", "unknown key 'quickest'"),
        (", fastest = 5", "", "series 'leverage': scheme: ReplicatedSketch needs fastest, until or factor"),
        ('"exact-gradient"', '"exact-gradent"', "name must be one of .*did you mean 'exact-gradient'"),
        ('source = "multivariate-t"', 'source = "cauchy"', r"\[data.heavy\]: source must be one of"),
        ("degrees = 1.5\n", "", "degrees is missing"),
        ("degrees = 1.5", "degrees = 1.5\ntarget = 2", r"\[data.heavy\]: unknown key 'target'"),
        ('path = "mine.csv"', 'path = "other.csv"', r"\[data.mine\]: table: no file"),
        ('path = "mine.csv"', "", "path is missing"),
        ('source = "file"\npath = "mine.csv"', 'source = "scikit-learn"\nname = "boston"', "name must be one of 'diabetes'"),
        ('loss = "logistic"', 'loss = "hinge"', "loss must be one of least-squares, logistic, got 'hinge'"),
        ('data = ["heavy"]', 'data = ["heavi"]', r"data must be names of .*did you mean 'heavy'"),
        ('label = "exact"', 'label = "leverage"', r"two are called leverage \(heavy\)"),
        ("show_iterations = [5]", "show_iterations = [21]", "show_iterations must be from 0 to 20, got 21"),
        ("show = [4]", "show = [5]", "show must name some of the deadlines, got 5.0"),
        ("step = 0.8", "step = 0", "step must be a finite number > 0, got 0"),
        ("[0.5, 0.1, 0.1, 0.1, 0.1, 0.1]", "[0.5, 0.5]", "one probability per block, 6 of them, got 2"),
        ("[data.heavy]", '[data."he\\u0000avy"]', "the name of a .data.NAME. table must be one line without control characters"),
        ('kind = "gradient-coding"', 'kind = "gradient-coding"\nseries = 3', "not valid TOML|series must be tables"),
    ],
)
def test_a_wrong_specification_is_refused_in_one_line(spec, tmp_path, capsys, old, new, message):
    assert old in SPEC
    spec.write_text(SPEC.replace(old, new, 1))
    if "series = 3" in new:  # not TOML at all any more
        assert run(spec, tmp_path / "out") == 2
        with pytest.raises(SpecError, match="not valid TOML"):
            read_study(str(spec))
        return
    with pytest.raises(SpecError, match=message) as caught:
        read_study(str(spec))
    assert "\n" not in str(caught.value)
    assert run(spec, tmp_path / "out") == 2
    complaints = capsys.readouterr().err
    assert complaints.startswith("uepgpu: ")
    assert complaints.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "fortran"}, "backend must be one of"),
        ({"out": " "}, "--out must be a name"),
        ({"threads": 0}, "threads must be an integer from 1 to 1,024, got 0"),
    ],
)
def test_a_wrong_call_is_refused_before_anything_is_written(spec, tmp_path, capsys, options, message):
    assert run(spec, tmp_path / "out", **options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_in_the_way_of_the_figure_is_refused(spec, tmp_path, capsys):
    (tmp_path / "out" / "convergence.png").mkdir(parents=True)
    assert run(spec, tmp_path / "out") == 2
    assert "is a folder" in capsys.readouterr().err


def test_data_of_series_default_to_all_and_seeds_may_be_given(tmp_path, spec):
    study = parse_study(tomllib.loads(SPEC), name="x", folder=tmp_path, realizations=5, seed=11)
    assert [(p.series, p.data) for p in study.points] == [
        ("leverage", "heavy"),
        ("leverage", "mine"),
        ("own law", "heavy"),
        ("exact", "heavy"),
        ("exact", "mine"),
    ]
    assert {(p.realizations, p.seed) for p in study.points} == {(5, 11)}
    assert [p.step for p in study.points] == [0.8, 0.8, 0.3, 0.8, 0.8]


def test_shown_errors_say_what_is_unknown():
    assert _shown(float("nan"), 0.0) == "–"
    assert _shown(float("inf"), float("nan")) == "diverges"
    assert _shown(0.5, 0.01) == "0.5 ± 0.01"
    assert _shown(0.25, 1e-17) == "0.25"


@pytest.mark.parametrize("option", ["--store=s.db", "--dask", "--dry-run"])
def test_what_is_for_stored_sweeps_is_refused(tmp_path, monkeypatch, capsys, option):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["uepgpu", "sweep", "gradient-coding", option])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"uepgpu: {option.split('=')[0]} is not for a specification of gradient coding")
    assert (said.out, list(tmp_path.iterdir())) == ("", [])
