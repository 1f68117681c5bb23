"""``uepgpu train`` from end to end on the digits."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest

from tests.cases.courses import DATA, settings
from tests.cases.datasets import cifar_batches, mnist_arrays, write_cifar, write_mnist
from uepgpu.cli import main
from uepgpu.train import Member
from uepgpu.train.checkpoint import Checkpoints
from uepgpu.train.course import Course
from uepgpu.train.networks import DIGITS

SHORT = ("--replicas", "3", "--epochs", "2", "--evaluate-every", "20", "--threads", "1")


@dataclass
class Done:
    code: int
    stdout: str
    stderr: str


def uepgpu(*arguments, code=0):
    """Run the command in this process, as its entry point does."""
    out, error = io.StringIO(), io.StringIO()
    words = mock.patch.object(sys, "argv", ["uepgpu", "train", *map(str, arguments)])
    with words, redirect_stdout(out), redirect_stderr(error), pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code, error.getvalue()
    return Done(code, out.getvalue(), error.getvalue())


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_figures(monkeypatch):
    """Drawing takes longer than training here."""
    monkeypatch.setattr("uepgpu.commands.train._figures", lambda courses, name: {})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("digits") / "out"
    options = ("--codes", "centralized,uncoded,ew,ew-factored", "--deadline", "1,2", "--work", "unit,true", "--out", out)
    return out, options, uepgpu("digits", *SHORT, *options)


def test_a_run_leaves_tables_and_figures(finished):
    out, _, done = finished
    assert not done.stderr
    curves = read(out / "curves.csv")
    assert {(r["code"], r["paradigm"], r["work"]) for r in curves} >= {
        ("centralized", "any", "any"),
        ("uncoded", "cxr", "any"),
        ("ew", "rxc", "true"),
        ("ew-factored", "rxc", "any"),
        ("mds, wait for all", "cxr", "true"),
    }
    assert ("ew-factored", "cxr", "any") not in {(r["code"], r["paradigm"], r["work"]) for r in curves}
    steps = [int(r["step"]) for r in curves if (r["code"], r["deadline"], r["paradigm"]) == ("uncoded", "2", "rxc")]
    assert steps == [0, 20, 40, 46]
    end = next(r for r in curves if (r["code"], r["deadline"], r["paradigm"], r["step"]) == ("uncoded", "2", "rxc", "46"))
    assert float(end["time"]) == 92
    assert float(end["test_accuracy_low"]) < float(end["test_accuracy"]) < float(end["test_accuracy_high"])
    table = read(out / "table.csv")
    assert {r["replicas"] for r in table} == {"3"}
    assert all(float(r["final_train_accuracy_low"]) <= float(r["final_train_accuracy"]) for r in table)
    assert "training accuracy" in done.stdout
    for name in ("accuracy-steps.png", "accuracy-time.png", "accuracy-cost.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    assert "final test accuracy" in done.stdout


def test_the_same_command_again_trains_nothing(finished):
    out, options, done = finished
    before = {p: p.stat().st_mtime_ns for p in (out / "stacks").iterdir()}
    again = uepgpu("digits", *SHORT, *options)
    assert again.stdout == done.stdout
    assert {p: p.stat().st_mtime_ns for p in (out / "stacks").iterdir()} == before


def test_another_command_does_not_mix_with_it(finished):
    _, options, _ = finished
    done = uepgpu("digits", *SHORT, *options, "--seed", "2", code=2)
    assert "holds a run with another entries, settings" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_files_of_the_same_size_are_another_run(tmp_path, no_figures):
    options = ("--codes", "centralized", "--replicas", "1", "--epochs", "1", "--threads", "1", "--out", tmp_path / "out")
    arrays = mnist_arrays()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_mnist(tmp_path / name, arrays=arrays)
        arrays[1][-1] = (arrays[1][-1] + 1) % 10  # one label
    uepgpu("mnist", "--data", tmp_path / "a", *options)
    uepgpu("mnist", "--data", tmp_path / "a", *options)
    done = uepgpu("mnist", "--data", tmp_path / "b", *options, code=2)
    assert "holds a run with another samples" in done.stderr


def test_a_run_goes_on_in_stacks_of_its_size_whatever_fits_now(tmp_path, monkeypatch, no_figures):
    """What fits in a GPU's free memory is another number in another hour."""
    options = ("digits", "--codes", "centralized", "--replicas", "4", "--epochs", "1", "--threads", "1", "--out", tmp_path / "out")
    for fits in (3, 2):
        monkeypatch.setattr("uepgpu.commands.train.members_per_stack", lambda *_, fits=fits: fits)
        uepgpu(*options)
        assert json.loads((tmp_path / "out" / "run.json").read_text())["stack"] == 3
    assert "holds a run with another stack" in uepgpu(*options, "--stack", "2", code=2).stderr


def test_stacks_of_another_size_give_the_same_curves(finished, tmp_path, no_figures):
    out, options, _ = finished
    uepgpu("digits", *SHORT, *options[:-1], tmp_path / "out", "--stack", "4")
    mine, theirs = read(tmp_path / "out" / "curves.csv"), read(out / "curves.csv")
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert (a["code"], a["step"], a["time"]) == (b["code"], b["step"], b["time"])
        # Matrix products of another stack may round otherwise, which can tip a sample.
        assert abs(float(a["test_accuracy"]) - float(b["test_accuracy"])) < 0.01


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, no_figures):
    """Ctrl-C in the second of two stacks, just after a checkpoint: what is finished is shown, and the rest goes on from there."""
    options = ("--codes", "ew,uncoded", "--paradigm", "cxr", "--deadline", "1", "--replicas", "2", "--stack", "2", "--threads", "1")
    options = (*options, "--evaluate-every", "23", "--epochs", "3", "--out")
    monkeypatch.setattr("uepgpu.train.run.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    keep, kept = Checkpoints.keep, []

    def interrupt(self, number, state):
        keep(self, number, state)
        kept.append(number)
        if kept.count(1) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "keep", interrupt)
        cut = uepgpu("digits", *options, tmp_path / "cut", code=130)
    assert "interrupted; 1 of 2 stacks are finished and kept" in cut.stderr
    assert "\new " in cut.stdout
    assert "\nuncoded " not in cut.stdout
    assert {r["code"] for r in read(tmp_path / "cut" / "table.csv")} == {"ew"}
    assert (tmp_path / "cut" / "stacks" / "0001-state.npz").is_file()
    uepgpu("digits", *options, tmp_path / "cut")
    uepgpu("digits", *options, tmp_path / "whole")
    assert (tmp_path / "cut" / "curves.csv").read_text() == (tmp_path / "whole" / "curves.csv").read_text()


def test_a_store_goes_on_inside_a_stack(tmp_path):
    """A run that died with a checkpoint of its only stack: the state is taken up, and the numbers are those of one go."""
    from uepgpu.train.named import entries
    from uepgpu.train.run import Experiment, run_stacks

    rows = entries(["ew"], ["rxc"], ["unit"], [1.0], workers=15, rate=0.5, gamma=(0.45, 0.35, 0.2), seed=1)
    experiment = Experiment(DATA, DIGITS, rows, 2, 2, settings(epochs=4))
    store, other = (Checkpoints(tmp_path / name, experiment.description()) for name in ("a", "b"))
    members = [Member(rows[0].scheme, r) for r in range(2)]
    Course(DATA, DIGITS, members, settings(epochs=4)).run(lambda state: store.keep(0, state))
    held = store.state(0)
    assert int(held["step"]) == 50
    seen = []
    assert list(run_stacks(experiment, store, seen.append)) == [0]
    assert seen == [100, 84]  # 50 steps of two members at once, taken up, then the other 42
    assert store.state(0) is None
    list(run_stacks(experiment, other))
    for name in ("train", "test", "final"):
        assert np.array_equal(getattr(store.curves(0), name), getattr(other.curves(0), name), equal_nan=True)


@pytest.mark.parametrize("codes", ["ew", "centralized,ew"])
def test_deadline_zero_is_drawn_against_steps_only(tmp_path, codes):
    """No time passes; those who wait, exact training, still have theirs."""
    options = ("--codes", codes, "--paradigm", "rxc", "--deadline", "0", "--replicas", "1", "--epochs", "1", "--threads", "1")
    done = uepgpu("digits", *options, "--out", tmp_path / "out")
    assert "\new " in done.stdout
    timed = {"accuracy-time.png"} if "centralized" in codes else set()
    assert {p.name for p in (tmp_path / "out").glob("*.png")} == {"accuracy-steps.png"} | timed


def test_a_damaged_store_is_told(tmp_path):
    store = Checkpoints(tmp_path, {"a": 1})
    store.begin()
    store.keep(0, {"step": np.array(1)})
    (path,) = (tmp_path / "stacks").iterdir()
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(ValueError, match=r"cannot be read .*: delete it, its stack is then trained anew"):
        store.state(0)
    with pytest.raises(ValueError, match="holds a run with another a"):
        Checkpoints(tmp_path, {"a": 2})
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run\.json cannot be read"):
        Checkpoints(tmp_path, {"a": 1})


def test_mnist_and_cifar_run_from_small_files(tmp_path, no_figures):
    write_mnist(tmp_path)
    write_cifar(tmp_path, cifar_batches(4), "bin")
    common = ("--codes", "centralized,ew", "--deadline", "2", "--replicas", "2", "--epochs", "1", "--batch", "9", "--threads", "1")
    for name, paradigm in (("mnist", "cxr"), ("cifar10", "rxc")):
        uepgpu(name, "--data", tmp_path, *common, "--paradigm", paradigm, "--out", tmp_path / name)
        assert {r["code"] for r in read(tmp_path / name / "curves.csv")} >= {"centralized", "ew"}
        run = json.loads((tmp_path / name / "run.json").read_text())
        assert run["network"]["dense"] == ([784, 100, 200, 10] if name == "mnist" else [7200, 512, 256, 10])
        assert (run["network"]["init"], run["settings"]["data_order"]) == ("glorot-normal", "file")
        other = ("--init", "pytorch", "--data-order", "shuffled", "--paradigm", paradigm, "--out", tmp_path / name)
        assert "holds a run with another network, settings" in uepgpu(name, "--data", tmp_path, *common, *other, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("numbers",), "the data set must be one of digits, mnist, cifar10, got 'numbers'"),
        (("mnist",), "--data must name the folder of mnist's standard files"),
        (("mnist", "--data", "nowhere"), "MNIST: no train-images-idx3-ubyte, .* in the folder 'nowhere'"),
        (("digits", "--codes", "raptor"), "code must be one of 'centralized'"),
        (("digits", "--deadline", "soon"), "--deadline must be numbers with commas between, got 'soon'"),
        (("digits", "--deadline", "-1"), "--deadline must be a finite number >= 0"),
        (("digits", "--replicas", "0"), "--replicas must be an integer from 1 to 2"),
        (("digits", "--paradigm", "cxc"), "paradigm must be one of 'rxc', 'cxr'"),
        (("digits", "--gamma", ".5,.4"), "gamma sums to 0.9"),
        (("digits", "--order", "foo"), 'Invalid value "foo" for --order. Choose from: "norm", "mean_abs", "none".'),
        (("digits", "--estimator", "best"), 'Invalid value "best" for --estimator.'),
        (("digits", "--device", "tpu"), "--device must be cpu or cuda, got 'tpu'"),
        (("digits", "--rate", "0"), "--rate must be a finite number > 0"),
        (("digits", "--init", "zeros"), 'Invalid value "zeros" for --init. Choose from: "glorot-normal", "pytorch".'),
        (("digits", "--data-order", "random"), 'Invalid value "random" for --data-order. Choose from: "file", "shuffled".'),
        (("digits", "--faithful", "--batch", "8"), "--batch must leave at least 9 samples for every batch with --faithful"),
        (("digits", "--faithful", "--batch", "2", "--paradigm", "rxc"), "at least 3 samples .*; got 2"),
        (("digits", "--faithful", "--batch", "359"), "got 359, and 1 in the last of 1437 samples"),
        (("digits", "--seed", "-1"), "--seed must be an integer from 0"),
    ],
)
def test_wrong_calls_end_with_code_2_and_write_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = uepgpu(*arguments, code=2)
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("uepgpu: ")
    assert re.search(message, done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []


def test_figures_say_how_many_replicas_they_show(tmp_path):
    """Of an interrupted run rows may have fewer than others."""
    from uepgpu.charts.training import drawn_by_train, training_chart
    from uepgpu.results.courses import read_courses
    from uepgpu.train.named import entries
    from uepgpu.train.results import Series, accuracy_band, curves_csv

    rows = entries(["uncoded", "ew"], ["rxc"], ["unit"], [1.0], workers=15, rate=0.5, gamma=(0.45, 0.35, 0.2), seed=1)
    for counts, said in (((3, 3), "Mean of 3 replicas."), ((4, 2), "Mean of 2 to 4 replicas.")):
        accuracies = [np.tile([[0.1], [0.8]], n) * np.linspace(0.9, 1, n) for n in counts]
        series = [Series.of(row, np.array([0, 10]), a, a, a[-1], a[-1]) for row, a in zip(rows, accuracies, strict=True)]
        (tmp_path / "curves.csv").write_text(curves_csv(series), encoding="utf-8")
        courses = read_courses(tmp_path / "curves.csv")
        assert [c.replicas for c in courses] == list(counts)
        for course, accuracy in zip(courses, accuracies, strict=True):
            np.testing.assert_allclose(course.accuracy["test"], accuracy_band(accuracy), rtol=1e-5)  # six digits are written
        assert set(drawn_by_train(courses)) == {"steps", "time"}
        assert training_chart(courses, "").notes == (said,)
