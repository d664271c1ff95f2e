"""Whatever the environment says: this project's library, UTF-8, and figures and folders that work."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from singlefilter import surroundings

LIBRARY = surroundings.LIBRARY
START = f"import os, sys; sys.prefix = '/'; sys.path.insert(0, {str(LIBRARY)!r}); "  # a Python of no project
BY_PATH = "from singlefilter import surroundings; surroundings.settle(); print(surroundings.LIBRARY)"
SETTLE = f"{START}from singlefilter import surroundings; surroundings.settle(); "
ENCODINGS = "print(sys.getfilesystemencoding(), open(os.devnull).encoding, os.environ['PYTHONUTF8'])"
NOT_UTF8 = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # ASCII, as without a locale


@pytest.fixture
def ran(tmp_path):
    """Run a program in a process of its own, with these variables; what came of it."""

    def run(program: str, *flags: str, cwd: Path = tmp_path, **variables: str) -> subprocess.CompletedProcess:
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": str(LIBRARY)}
        environment |= {"SINGLEFILTER_HOME": str(tmp_path), "LC_ALL": "C.UTF-8"} | variables
        command = [sys.executable, *flags, "-c", program]
        return subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, encoding="utf-8", timeout=60, check=False
        )

    return run


@pytest.mark.parametrize("flags", [(), ("-E",), ("-I",)])
def test_text_and_names_of_files_are_utf8(ran, flags):
    before = ran("import sys; print(sys.getfilesystemencoding())", *flags, **NOT_UTF8)
    if not flags:
        assert before.stdout.split() == ["ascii"], "what the test is about"
    done = ran(SETTLE + ENCODINGS, *flags, **NOT_UTF8)
    assert done.stdout.lower().split() == ["utf-8", "utf-8", "1"], done.stderr


def test_in_a_real_latin_1(ran, tmp_path):
    made = shutil.which("localedef") and subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(tmp_path / "en_US.ISO-8859-1")],
        capture_output=True,
        check=False,
    )
    if not made or made.returncode:
        pytest.skip("localedef cannot make en_US.ISO-8859-1 here")
    latin = {"LC_ALL": "en_US.ISO-8859-1", "LOCPATH": str(tmp_path)}
    assert ran("import sys; print(sys.getfilesystemencoding())", **latin).stdout.split() == ["iso8859-1"]
    program = SETTLE + "open('狗', 'w').write('狗'); print('狗', os.listdir(b'.'))"
    done = ran(program, **latin)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("狗 ") and (tmp_path / "狗").read_text(encoding="utf-8") == "狗"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_an_encoding_lacks_is_said_all_the_same(ran, stream):
    done = ran(SETTLE + f"print('狗 é', file=sys.{stream})", PYTHONIOENCODING="ascii")
    assert (done.returncode, getattr(done, stream)) == (0, "\\u72d7 \\xe9\n")


def test_processes_that_follow_find_this_library_first(ran, tmp_path):
    program = SETTLE + "print(os.environ['PYTHONPATH'])"
    done = ran(program, PYTHONPATH="/a:/b")
    assert done.stdout.split() == [f"{LIBRARY}:/a:/b"]
    again = ran(program, PYTHONPATH=f"{LIBRARY}:/a")
    assert again.stdout.split() == [f"{LIBRARY}:/a"]


def checkout(at: Path) -> Path:
    """A project whose library says that it ran."""
    package = at / "lib" / "singlefilter"
    package.mkdir(parents=True)
    (at / "pyproject.toml").touch()
    (package / "__init__.py").touch()
    theirs = "LIBRARY = __file__.rsplit('/', 2)[0]\ndef settle(): print('theirs')\n"
    (package / "surroundings.py").write_text(theirs, encoding="utf-8")
    return at


def test_the_library_is_that_of_the_project_one_is_in(ran, tmp_path):
    other = checkout(tmp_path / "other")
    (other / "sub").mkdir()
    for folder in (other, other / "sub"):
        done = ran(BY_PATH, cwd=folder)
        assert (done.returncode, done.stdout) == (0, f"theirs\n{other / 'lib'}\n")
        assert f"{folder} is in the project {other}, so its library runs, not the one in {LIBRARY}" in done.stderr
    here = ran(BY_PATH, cwd=LIBRARY)
    assert (here.stdout, here.stderr) == (f"{LIBRARY}\n", "")
    by_itself = ran(SETTLE + "print(sorted(name for name in os.environ if 'ANEW' in name))", cwd=other)
    assert by_itself.stdout == "[]\n" and by_itself.stderr.count("is in the project") == 1, "for ever"


def test_where_another_library_runs_than_that_of_the_python_it_is_said(ran, tmp_path):
    other = checkout(tmp_path / "other")
    program = SETTLE.replace("sys.prefix = '/'", f"sys.prefix = {str(other / '.venv')!r}")
    assert f"the library in {LIBRARY} runs, not that of {other}, whose Python this is" in ran(program).stderr
    assert ran(program, RANK="1").stderr == ""


def test_no_settings_of_others_reach_matplotlib(ran, tmp_path):
    (tmp_path / "no folder").touch()
    for name in ("rc", "config/matplotlib/matplotlibrc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"axes.grid: nonsense\n\xff\n")
    program = SETTLE + "import matplotlib as m; print(m.matplotlib_fname(), m.get_configdir(), sep='\\n')"
    others = {"MPLBACKEND": "nonsense", "MATPLOTLIBRC": str(tmp_path / "rc")}
    folders = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "HOME": str(tmp_path / "no folder" / "x")}
    done = ran(program, **others, **folders)
    assert (done.returncode, done.stderr) == (0, "")
    read, config = done.stdout.splitlines()
    assert read.endswith("mpl-data/matplotlibrc") and config == str(tmp_path / "build" / ".home" / "matplotlib")


def test_settings_beside_that_matplotlib_fails_at_are_named(ran, tmp_path):
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\n")
    done = ran(SETTLE)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"{tmp_path / 'matplotlibrc'}" in done.stderr and "move it away" in done.stderr


def test_folders_that_are_not_there(ran, tmp_path):
    program = SETTLE + "print(*[name for name in ('TMPDIR', 'JOBLIB_TEMP_FOLDER') if name in os.environ])"
    assert ran(program, TMPDIR="/nowhere", JOBLIB_TEMP_FOLDER="/nowhere").stdout.split() == []
    assert ran(program, TMPDIR=str(tmp_path)).stdout.split() == ["TMPDIR"]
    lost = """
import os, pathlib
def home():
    if os.environ["HOME"] != "/":
        raise RuntimeError
    return pathlib.Path("/")
pathlib.Path.home = home
"""
    assert ran(f"{lost}{SETTLE}print(os.environ['HOME'])").stdout.split() == ["/"]
