"""run_all.sh: what it says, what it refuses before any work, which environment it takes, what it calls.

It runs in a small copy of the project whose Pythons and uv are stand-ins.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from tests.standins import ROOT, copied, run_all, work

PROFILES = sorted((ROOT / "lib" / "singlefilter" / "profiles").glob("*.yaml"))

if not (ROOT / "run_all.sh").exists() or shutil.which("bash") is None:
    pytest.skip("needs a checkout with run_all.sh, and bash", allow_module_level=True)


@pytest.fixture
def project(tmp_path):
    return copied(tmp_path)


def test_help_lists_every_profile_and_option_and_does_nothing(project):
    ran = run_all(project, "--help")
    assert ran.returncode == 0 and ran.stderr == ""
    for path in PROFILES:
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
        line = next(line for line in ran.stdout.splitlines() if line.split()[:1] == [path.stem])
        assert f" {about['minutes']} min " in line and line.endswith(about["purpose"])
    options = re.findall(r"^  (--[a-z-]+) ", ran.stdout, flags=re.MULTILINE)
    known = "--profile --only --lab --figures --data-dir --fresh --test --bench --cpu --help"
    assert options == known.split()
    assert ran.calls == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--fast"], "no option '--fast'"),
        (["quick"], "no option 'quick'"),
        (
            ["--profile", "quik"],
            "glyphs-1000 laptop laptop-d32 laptop-d64 laptop-efficientnet laptop-transformer "
            "paper paper-efficientnet paper-imagenet quick",
        ),
        (["--profile=quik"], "no profile 'quik'; did you mean quick? those there are: glyphs-1000 "),
        (["--profile", "lptop"], "no profile 'lptop'; did you mean laptop?"),
        (["--profile", "Laptop64"], "did you mean laptop-d64?"),
        (["--profile", "imagenet"], "did you mean paper-imagenet?"),
        (["--profile", "zzzzz"], "no profile 'zzzzz'; those there are: glyphs-1000 "),
        (["--figure"], "no option '--figure'; did you mean --figures?"),
        (["--only", "data_set"], "did you mean 01_data_sets? those there are: 01 08"),
        (["--profile", "q*"], "no profile 'q*'"),
        (["--profile", "../profiles/quick"], "no profile '../profiles/quick'"),
        (["--profile", "my.yaml"], "my.yaml"),
        (["--profile"], "--profile needs a value"),
        (["--only="], "--only needs a value"),
        (["--only", "99"], "no notebook '99'; those there are: 01 08"),
        (["--data-dir", "nowhere"], "nowhere (--data-dir)"),
        (["--test", "--figures"], "--test and --figures cannot be asked for together"),
        (["--bench", "--test"], "--bench and --test cannot be asked for together"),
        (["--bench", "--only", "01"], "not to --bench"),
        (["--figures", "--fresh"], "not to --figures"),
        (["--test", "--only", "01"], "not to --test"),
        (["--", "-k", "x"], "needs --test, --bench or --lab"),
        (["--figures", "--", "-k", "x"], "needs --test, --bench or --lab"),
        (["--lab", "--test"], "--lab and --test cannot be asked for together"),
        (["--figures", "--lab"], "--figures and --lab cannot be asked for together"),
        (["--lab", "--only", "04"], "not to --lab"),
        (["--lab", "--fresh"], "not to --lab"),
        (["--lab", "--profile", "quick"], "--profile does not belong to --lab"),
        (["--figures", "--data-dir", "."], "not to --figures"),
    ],
)
def test_wrong_use_ends_before_any_work(project, arguments, says):
    ran = run_all(project, *arguments)
    assert ran.returncode == 2
    assert says in ran.stderr and ran.stderr.startswith("run_all.sh: ")
    assert ran.calls == "" and not (project / ".venv").exists()


def test_first_run_sets_up_and_second_reuses(project):
    first = run_all(project)
    assert first.returncode == 0, first.stderr
    assert "making .venv with Python 3.12.0" in first.stdout
    assert "uv pip install --python .venv/bin/python --require-hashes -r requirements.lock" in first.calls
    assert "--no-deps --no-build-isolation -e ." in first.calls
    assert work(first) == ["all --profile quick"]
    second = run_all(project)
    assert second.returncode == 0
    assert "using .venv (set up already)" in second.stdout
    assert "uv" not in second.calls and "-m venv" not in second.calls
    assert work(second) == ["all --profile quick"]


def test_an_active_environment_that_has_everything_is_used_and_left_alone(project):
    ran = run_all(project, CHECK="0", VIRTUAL_ENV="/somewhere")
    assert ran.returncode == 0
    assert "using the active environment" in ran.stdout
    assert "uv" not in ran.calls and not (project / ".venv").exists()
    assert f"PYTHONPATH={project}/lib\n" in ran.calls
    assert work(ran) == ["all --profile quick"]


def test_an_active_environment_that_lacks_something_is_named_and_not_used(project):
    ran = run_all(project, VIRTUAL_ENV="/somewhere")
    assert ran.returncode == 0
    assert "not using the active environment, /somewhere:\nFAIL  torch  missing" in ran.stdout
    assert (project / ".venv" / "singlefilter-setup").exists()


def test_no_python_that_is_new_enough(project):
    ran = run_all(project, TOO_OLD="1", PATH=f"{project / 'bin'}:{tools(project)}")
    assert ran.returncode == 1
    assert "no Python 3.11 or newer is on PATH" in ran.stderr
    assert not (project / ".venv").exists()


def tools(project: Path) -> Path:
    """A folder with the commands that the script needs, and no Python but the stand-ins."""
    folder = project / "tools"
    folder.mkdir()
    for name in ("bash", "sh", "dirname", "basename", "cat", "cksum", "grep", "sed", "tr", "cut", "sort", "find"):
        (folder / name).symlink_to(shutil.which(name))
    return folder


def test_a_set_up_that_fails_says_so_and_is_made_again(project):
    failed = run_all(project, UV_RESULT="3")
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr and work(failed) == []
    (project / ".venv" / "leftover").touch()
    again = run_all(project)
    assert again.returncode == 0
    assert "did not finish; making it again" in again.stdout
    assert not (project / ".venv" / "leftover").exists()
    assert work(again) == ["all --profile quick"]


def test_a_set_up_that_does_not_pass_the_check_is_not_used(project):
    ran = run_all(project, VENV_CHECK="1")
    assert ran.returncode == 1 and "does not pass the check" in ran.stderr
    assert "did not finish" in run_all(project).stdout


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_changed_requirements_are_set_up_again(project, changed):
    run_all(project)
    with (project / changed).open("a", encoding="utf-8") as file:
        file.write("\n# newer\n")
    ran = run_all(project)
    assert "making it again" in ran.stdout and "-r requirements.lock" in ran.calls


def test_a_moved_project_is_set_up_again(project):
    run_all(project)
    moved = project.rename(project.with_name("elsewhere"))
    assert "making it again" in run_all(moved).stdout


def test_a_venv_of_someone_else_is_used_or_refused_but_never_removed(project):
    (project / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(project / "bin" / "python3", project / ".venv" / "bin" / "python")
    used = run_all(project)
    assert used.returncode == 0 and "using .venv, which has what is needed" in used.stdout
    refused = run_all(project, VENV_CHECK="1")
    assert refused.returncode == 1 and "was not made by run_all.sh" in refused.stderr
    assert (project / ".venv" / "bin" / "python").exists()


def test_cpu_takes_the_locked_versions_from_the_cpu_builds(project):
    ran = run_all(project, "--cpu")
    assert ran.returncode == 0, ran.stderr
    lock = (project / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pair = " ".join(line.split()[0] for line in lock if line.startswith(("torch==", "torchvision==")))
    assert f"--no-deps --torch-backend cpu {pair}\n" in ran.calls
    assert "--no-deps --require-hashes -r .venv/without-torch.lock" in ran.calls
    rest = [
        line.partition("=")[0]
        for line in (project / ".venv" / "without-torch.lock").read_text(encoding="utf-8").splitlines()
    ]
    left_out = {line.partition("=")[0] for line in lock} - set(rest)
    assert {"numpy", "sympy", "pytest"} <= set(rest)
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"} <= {name for name in left_out if name}
    without = run_all(project, "--cpu", UV_RESULT="2")
    assert without.returncode == 0 and "set up already" in without.stdout
    shutil.rmtree(project / ".venv")
    failed = run_all(project, "--cpu", UV_RESULT="2")
    assert failed.returncode == 1 and "without --cpu takes those of the lock" in failed.stderr


def test_options_reach_the_command(project, tmp_path):
    data = tmp_path / "my data"
    data.mkdir()
    shutil.copy(PROFILES[0], data / "own.yaml")
    ran = run_all(project, "--only", "8", "--data-dir", ".", "--fresh", cwd=data)
    assert work(ran) == [f"all --profile quick --only 08 --data-dir {data} --fresh"]
    assert work(run_all(project, "--profile", "own.yaml", cwd=data)) == [f"all --profile {data}/own.yaml"]
    assert work(run_all(project, "--figures", "--profile=laptop")) == ["figures --profile laptop"]


def test_test_runs_lint_format_and_pytest_with_its_options(project):
    ran = run_all(project, "--test", "--", "-k", "two words")
    assert ran.returncode == 0
    calls = [line.partition(".venv/bin/python ")[2] for line in ran.calls.splitlines()]
    assert calls[-3:] == ["-m ruff check .", "-m ruff format --check .", "-m pytest -k two words"]
    assert any(line.endswith("environment.py --quiet --extra dev") for line in calls)


def test_bench_runs_the_benchmarks_with_their_options(project):
    for options in ([], ["--", "--only", "clusters", "--small"]):
        ran = run_all(project, "--bench", *options)
        assert ran.returncode == 0, ran.stderr
        call = ran.calls.splitlines()[-1].partition(".venv/bin/python ")[2]
        assert call == " ".join(["tests/benchmarks/run.py", *options[1:]])


def test_lab_starts_with_its_options_and_with_data_elsewhere(project, tmp_path):
    data = tmp_path / "my data"
    data.mkdir()
    assert work(run_all(project, "--lab")) == ["lab --"]
    ran = run_all(project, "--lab", "--cpu", "--data-dir", str(data), "--", "--no-browser", "--port=9999")
    assert work(ran) == ["lab -- --no-browser --port=9999"]
    assert f"DATA={data} " in ran.calls
    assert run_all(project, "--lab", RUN="3").returncode == 3


def test_the_exit_code_is_that_of_the_work(project):
    run_all(project)
    assert run_all(project, RUN="7").returncode == 7
