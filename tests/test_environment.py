"""The environment check: versions, requirements, the pair of torch and torchvision, and what people read."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singlefilter import environment
from singlefilter.environment import Row, name_and_bounds, pair_row, release, requirements, satisfies

TWO_BUILDS = "Traceback (most recent call last):\nRuntimeError: operator torchvision::nms does not exist"


@pytest.mark.parametrize(
    ("version", "numbers"),
    [("2.13.0", (2, 13)), ("2.13.0+cu130", (2, 13)), ("3", (3,)), ("2.0.0", (2,)), ("10.0.1rc2", (10, 0, 1))],
)
def test_release_known_answers(version, numbers):
    assert release(version) == numbers


def test_release_of_no_version():
    with pytest.raises(ValueError, match="'unknown' is not a version"):
        release("unknown")


@pytest.mark.parametrize(
    ("version", "bounds", "within"),
    [
        ("2.13.0", ">=2.11", True),
        ("2.9.1", ">=2.11", False),  # by number, not by letter
        ("2.11.0+cpu", ">=2.11", True),
        ("3.0", ">=2.11,<3", False),
        ("2.99", ">= 2.11, < 3", True),
        ("1.0", "!=1.0.0", False),
        ("1", "==1.0", True),
        ("1.1", "<=1.1.0", True),
        ("1.1.1", ">1.1", True),
        ("0.1", "", True),
    ],
)
def test_satisfies_known_answers(version, bounds, within):
    assert satisfies(version, bounds) is within


def test_satisfies_says_what_it_cannot_read():
    with pytest.raises(ValueError, match="'~=2.1'"):
        satisfies("2.1", "~=2.1")


NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=4)


@given(NUMBERS, NUMBERS)
def test_bounds_order_versions_as_padded_lists_do(one, other):
    padded_one, padded_other = ([*numbers, 0, 0, 0, 0][:4] for numbers in (one, other))
    text_one, text_other = (".".join(map(str, numbers)) for numbers in (one, other))
    assert satisfies(text_one, f">={text_other}") is (padded_one >= padded_other)
    assert satisfies(text_one, f"<{text_other}") is (padded_one < padded_other)
    assert satisfies(text_one, f"=={text_other}") is (padded_one == padded_other)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("torch>=2.11", ("torch", ">=2.11")),
        ("PyYAML", ("PyYAML", "")),
        ("a-b.c >= 1, < 2", ("a-b.c", ">=1,<2")),
        ("papermill[all]>=2.6 ; sys_platform == 'linux'", ("papermill", ">=2.6")),
        ("pytest>=8; extra == 'dev'", ("pytest", ">=8")),
    ],
)
def test_name_and_bounds(line, expected):
    assert name_and_bounds(line) == expected


def test_requirements_from_a_pyproject(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(
        '[project]\nrequires-python = ">=3.11"\ndependencies = ["torch>=2.11", "tqdm"]\n'
        '[project.optional-dependencies]\ndev = ["ruff>=0.9"]\n',
        encoding="utf-8",
    )
    plain = {"python": ">=3.11", "torch": ">=2.11", "tqdm": ""}
    assert requirements(pyproject=path) == plain
    assert requirements(["dev"], path) == plain | {"ruff": ">=0.9"}
    with pytest.raises(ValueError, match="no extra 'docs'.* dev"):
        requirements(["docs"], path)


def test_requirements_of_an_installed_package():
    # any installed package with extras will do; pytest has some, and pluggy among its requirements
    python, lines, optional = environment.installed_requirements("pytest")
    assert satisfies(".".join(map(str, sys.version_info[:3])), python)
    assert "pluggy" in {name_and_bounds(line)[0] for line in lines}
    assert "hypothesis" in {name_and_bounds(line)[0] for line in optional["dev"]}
    assert "hypothesis" not in {name_and_bounds(line)[0] for line in lines}


def test_requirements_of_nothing():
    with pytest.raises(FileNotFoundError, match="run this from a checkout"):
        environment.installed_requirements("no-such-package-singlefilter")


def test_this_environment_passes():
    import torchvision  # noqa: F401  # in this process, where the other tests import it too: quicker

    rows = environment.check(["dev"], importing=lambda: "")
    assert [row for row in rows if not row.ok] == []
    assert {"python", "torch", "numpy", "pytest", "torch+torchvision"} <= {row.package for row in rows}


@pytest.mark.parametrize(
    ("torch", "torchvision", "fits"),
    [
        ("2.11.0", "0.26.0", True),
        ("2.12.1", "0.27.1", True),
        ("2.13.0+cpu", "0.28.0+cpu", True),
        ("2.13.0", "0.27.0", False),
        ("2.11.0", "0.28.0", False),
        ("2.13.0", "0.2.8", False),
        ("2.99.0", "0.114.0", True),  # a later pair, of which the table knows nothing
    ],
)
def test_pairs_by_version(torch, torchvision, fits):
    row = pair_row(torch, torchvision, importing=lambda: "")
    assert row.ok is fits
    if not fits:
        wanted = environment.TORCHVISION_FOR[torch[:4]]
        assert f"torch {torch[:4]} needs torchvision {wanted}" in row.advice
        assert f"torch=={torch} torchvision=={wanted}.*" in row.advice


def test_two_builds_are_recognised():
    row = pair_row("2.13.0+cpu", "0.28.0", importing=lambda: TWO_BUILDS)
    assert not row.ok
    assert "operator torchvision::nms does not exist" in row.advice
    assert "different builds" in row.advice
    assert "--reinstall torch==2.13.0 torchvision==0.28.*" in row.advice
    assert "./run_all.sh" in row.advice


def test_another_import_error_is_passed_on():
    row = pair_row("2.13.0", "0.28.0", importing=lambda: "Traceback\nImportError: libcudart.so.13: no such file")
    assert not row.ok
    assert "libcudart.so.13" in row.advice and "different builds" not in row.advice


def test_importing_in_a_process_of_its_own(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')", encoding="utf-8"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert environment.import_pair().endswith("RuntimeError: operator torchvision::nms does not exist")


def test_missing_and_old_packages_fail(monkeypatch):
    found = {"torch": "2.9.0", "torchvision": "0.24.0", "numpy": None}
    real = environment.installed_version
    monkeypatch.setattr(environment, "installed_version", lambda name: found.get(name, real(name)))
    rows = {row.package: row for row in environment.check(importing=lambda: "")}
    assert {name for name, row in rows.items() if not row.ok} == {"torch", "torchvision", "numpy"}
    assert rows["numpy"].found == "-" and "missing" in rows["numpy"].advice
    assert rows["torch"].found == "2.9.0" and "another version" in rows["torch"].advice


def test_table_and_exit_code(monkeypatch, capsys):
    good, bad = Row("numpy", ">=2", "2.4", True), Row("scipy", ">=1.14", "-", False, "missing: do this")
    monkeypatch.setattr(environment, "check", lambda extras: [good, bad])
    assert environment.main([]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "pass  numpy  >=2     2.4",
        "FAIL  scipy  >=1.14  -    missing: do this",
        "",
        "1 of 2 checks passed",
    ]
    assert environment.main(["--quiet"]) == 1
    assert capsys.readouterr().out == "FAIL  scipy  >=1.14  -  missing: do this\n"
    monkeypatch.setattr(environment, "check", lambda extras: [good])
    assert environment.main(["--quiet"]) == 0
    assert capsys.readouterr().out == ""


def test_as_a_script_with_the_standard_library_only(tmp_path):
    # -S leaves out site-packages: nothing is installed there, so everything is missing and that is what it says
    script = Path(environment.__file__)
    command = [sys.executable, "-S", "-P", str(script), "--quiet"]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path, env={}, check=False)
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr == ""
    assert "FAIL  torch " in ran.stdout and "python" not in ran.stdout.split()
