"""Notebooks that do not come to their end: named with their cell; none keeps another from running or outlives us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from tests.notebooks.made_up import write

from singlefilter import notebooks, profiles
from singlefilter.notebooks import running
from singlefilter.run import main

KILLED = ("x = 1", "# too much\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "print('never')")
CELLS = {
    "01_whole": ("print(profile)",),
    "02_killed": KILLED,
    "03_ended": ("import os\nos._exit(3)",),
    "04_raises": ("raise ValueError('y' * 10**6)",),
    "05_exits": ("import sys\nsys.exit()", "print('never')"),
    "06_prints": (
        "import sys\nprint('x' * 50_000_000)\nsys.stderr.write('e' * 50_000_000)\nprint('end')",
        "from IPython.display import HTML\nHTML('z' * 50_000_000)",
        "for _ in range(3000):\n    print('.', end='', flush=True)",
    ),
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The project, and outcomes by name, of notebooks most of which fail, two at a time."""
    home = tmp_path_factory.mktemp("ran") / "with {braces}"
    home.mkdir()
    paths = [write(home, name, *cells) for name, cells in CELLS.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(home))
        (home / "notebooks" / "07_half.ipynb").write_text(
            paths[0].read_text(encoding="utf-8")[:200], encoding="utf-8"
        )
        outcomes = notebooks.execute_all(notebooks.numbered(), notebooks.Asked("quick", "mine"), 2)
    return home, {outcome.notebook.stem: outcome for outcome in outcomes}


def copy(home: Path, name: str):
    return nbformat.read(home / "build" / "mine" / f"{name}.ipynb", as_version=4)


def said(notebook) -> str:
    return "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))


def test_what_fails_keeps_no_other_from_running(ran):
    home, outcomes = ran
    assert [name for name, outcome in outcomes.items() if not outcome.problem] == ["01_whole", "06_prints"]
    assert "quick" in said(copy(home, "01_whole"))
    assert list(outcomes) == sorted(outcomes)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("02_killed", ["cell 4 (`# too much`)", "ended by SIGKILL", "memory ran out", "02_killed.ipynb)"]),
        ("03_ended", ["cell 3 (`import os`)", "ended by itself, with status 3"]),
        ("04_raises", ["cell 3 (`raise ValueError('y' * 10**6)`)", "ValueError: yyy"]),
        ("05_exits", ["it ended before cell 4 (`print('never')`)"]),
        ("07_half", ["07_half.ipynb", "git checkout -- notebooks/07_half.ipynb"]),
    ],
)
def test_it_is_named_with_its_cell_and_in_short(ran, name, words):
    problem = ran[1][name].problem
    assert name in problem
    assert [word for word in words if word not in problem] == []
    assert len(problem.splitlines()) <= 2 and len(problem) < 800


def test_the_copy_up_to_there_is_kept(ran):
    home, _ = ran
    executed = copy(home, "02_killed")
    assert [cell.execution_count for cell in executed.cells if cell.cell_type == "code"][-1] is None
    assert "KernelDied" in said(executed)
    assert "KernelDied" in (home / "build/mine/02_killed.html").read_text(encoding="utf-8")


def test_what_a_cell_prints_or_shows_is_cut_with_a_word(ran):
    home, _ = ran
    page, executed = home / "build/mine/06_prints.html", copy(home, "06_prints")
    assert max(path.stat().st_size for path in (page, page.with_suffix(".ipynb"))) < 2e6
    text = said(executed)
    assert "49,800,005 more characters were left out here: a copy keeps the first 200,000" in text
    assert "49,800,000 more characters" in text, "of errors"
    assert "[text/html of 50,000,000 characters was left out here]" in text
    (dots,) = executed.cells[-1].outputs
    assert dots.text == "." * 3000


@pytest.mark.parametrize("key", ["cell_minutes", "notebook_minutes"])
def test_the_key_of_a_limit_of_time_is_said(home, key):
    path = write(home, "01_endless", "# for ever\nwhile True:\n    pass")
    asked = notebooks.Asked("quick", "mine", limits=profiles.Limits(**{key: 0.02}))
    with pytest.raises(notebooks.Failed) as failed:
        notebooks.execute(path, asked)
    assert "cell 3 (`# for ever`)" in str(failed.value) or "cell 1" in str(failed.value)
    assert f"over, 0.02 minutes; limits.{key} in the profile" in str(failed.value)


def test_the_command_names_what_failed_in_the_end(home, tiny_home, capsys, monkeypatch):
    write(home, "01_whole")
    (home / "notebooks" / "02_empty.ipynb").write_text("", encoding="utf-8")
    status = main(["all", "--profile", str(tiny_home / "tiny.yaml"), "--only", "2"])
    assert (status, "02_empty.ipynb is empty" in capsys.readouterr().err) == (1, True)
    monkeypatch.setattr("singlefilter.commands._complete", lambda *_: None)
    monkeypatch.setattr("singlefilter.commands._name_explorer", lambda *_: 1 / 0)
    monkeypatch.setattr("singlefilter.site.build", lambda names: "here")
    monkeypatch.setattr(running, "_execute", lambda path, asked, under: notebooks.read(path))
    status = main(["all", "--profile", str(tiny_home / "tiny.yaml")])
    out, err = capsys.readouterr()
    assert status == 1 and "01_whole ... 0 s" in out and "02_empty ... failed" in out and "site: here" in out
    assert "1 of 2 notebooks failed, the others ran to their end:" in err
    assert "02_empty.ipynb is empty" in err and "ZeroDivisionError" in err


def test_turns(home, monkeypatch):
    """Those that want the machine for themselves, or to be last, run beside no other, with all threads."""
    for name, runs in (("01", "last"), ("02", ""), ("03", "alone"), ("04", ""), ("05", "alone")):
        write(home, f"{name}_x", runs=runs)
    seen, under_way = [], []

    def execute(path, asked, under):
        under_way.append(path.name[:2])
        time.sleep(0.1)
        seen.append((path.name[:2], len(under_way), asked.threads))
        under_way.remove(path.name[:2])

    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(running, "_execute", execute)
    outcomes = notebooks.execute_all(notebooks.numbered(), notebooks.Asked("quick", "mine"), 2)
    assert [outcome.notebook.name[:2] for outcome in outcomes] == ["01", "02", "03", "04", "05"]
    assert sorted(seen[:2])[0][::2] == ("02", 2) and {seen[0][0], seen[1][0]} == {"02", "04"}
    assert seen[2:] == [("03", 1, None), ("05", 1, None), ("01", 1, None)]


def test_threads_that_somebody_has_set_are_theirs(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert running._environment(2)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert running._environment(2)["OMP_NUM_THREADS"] == "7"


ENDLESS = """
import os, subprocess
child = subprocess.Popen(["sleep", "300"])
with open("pids", "w") as file:
    print(os.getpid(), child.pid, file=file)
while True:
    pass
"""
# Who is started in the background by a shell is deaf to SIGINT, and so is what it starts.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from singlefilter import notebooks
notebooks.execute_all(notebooks.numbered(), notebooks.Asked("quick", "mine"), 1)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_kernels_and_what_they_start_end_with_us(home, end):
    write(home, "01_endless", ENDLESS)
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=os.environ | {"PYTHONPATH": path()}) as ours:
        try:
            pids = home / "notebooks" / "pids"
            while not (pids.exists() and pids.read_text(encoding="utf-8").endswith("\n")):
                assert ours.poll() is None
                time.sleep(0.05)
            theirs = [psutil.Process(int(pid)) for pid in pids.read_text(encoding="utf-8").split()]
            ours.send_signal(end)
            begun = time.perf_counter()
            while any(alive(process) for process in theirs):
                assert time.perf_counter() - begun < 20
                time.sleep(0.05)
        finally:
            ours.kill()  # else a failure would wait for it for ever


def path() -> str:
    return os.pathsep.join(entry for entry in sys.path if entry)


def alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
