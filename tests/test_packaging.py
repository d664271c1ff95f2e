"""The files that say what is needed agree with one another: pyproject, lock, conda environment, citation."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from singlefilter import __version__, environment

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch", "playwright-python": "playwright"}  # what conda calls differently
PIP_ALONE = {"sphinx-mathjax-offline"}  # what conda-forge lacks; pip installs it with the library

if not (ROOT / "requirements.lock").exists():
    pytest.skip("not a checkout: requirements.lock is not there", allow_module_level=True)

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
NEEDED = environment.requirements(["dev"])
PACKAGES = sorted(set(NEEDED) - {"python"})


def pins() -> dict[str, list[tuple[str, int]]]:
    """Lower-case name -> version and number of hashes of each of its entries (one per range of Pythons)."""
    found: dict[str, list[tuple[str, int]]] = {}
    for entry in re.split(r"\n(?=[A-Za-z0-9])", LOCK):
        if match := re.match(r"([A-Za-z0-9][\w.-]*)==(\S+)", entry):
            hashes = re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)
            found.setdefault(match[1].lower(), []).append((match[2], len(hashes)))
    return found


def test_the_lock_names_no_host():
    assert not re.findall(r"\S*://\S*|--(?:extra-)?index-url\S*|--find-links\S*", LOCK)
    assert not re.findall(r"^[\w.-]+ *@ .*", LOCK, flags=re.MULTILINE)


def test_every_entry_of_the_lock_is_pinned_and_hashed():
    entries = [line for line in LOCK.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    found = pins()
    assert len(entries) == sum(map(len, found.values())) > len(PACKAGES)
    assert all(hashes > 0 for versions in found.values() for _, hashes in versions)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_direct_requirement_is_locked_within_its_bounds(package):
    versions = pins().get(package.lower(), [])
    assert versions, f"{package} is in pyproject.toml but not in requirements.lock"
    assert all(environment.satisfies(version, NEEDED[package]) for version, _ in versions)


def test_the_lock_holds_one_pair_of_torch_and_torchvision_that_fits():
    (torch, _), (torchvision, _) = (pins()[name][0] for name in ("torch", "torchvision"))
    assert [len(pins()[name]) for name in ("torch", "torchvision")] == [1, 1]
    assert environment.pair_row(torch, torchvision, importing=lambda: "").ok


def test_lower_bounds_of_the_pair_fit_too():
    torch, torchvision = (NEEDED[name].removeprefix(">=") for name in ("torch", "torchvision"))
    assert environment.TORCHVISION_FOR[torch] == torchvision


def test_conda_environment_and_pyproject_ask_for_the_same():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = [line for line in conda if isinstance(line, str)]
    asked = dict(environment.name_and_bounds(line) for line in lines)
    assert asked.pop("pip") == ""
    assert len(lines) == len(asked) + 1, "a package stands there twice"
    conda_names = {CONDA_NAMES.get(name, name): bounds for name, bounds in asked.items()}
    assert conda_names == {name.lower(): bounds for name, bounds in NEEDED.items() if name not in PIP_ALONE}
    assert [line for line in conda if isinstance(line, dict)] == [{"pip": ["-e ."]}]


def test_contributing_names_the_command_that_made_the_lock():
    command = re.search(r"^#\s+(uv pip compile .*)$", LOCK, flags=re.MULTILINE)
    assert command is not None
    assert "--universal" in command[1] and "--generate-hashes" in command[1]
    assert command[1] in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_citation_gives_the_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert [paper["doi"] for paper in citation["references"]] == ["10.1038/s41598-024-56609-x"]


def imported(source: str) -> set[str]:
    """First part of the name of every module that a source text imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition(".")[0])
    return names


# with ipywidgets and ipykernel, with papermill, with Sphinx, which need them themselves
COME_WITH = {"IPython", "jupyter_client", "jupyter_core", "nbclient", "docutils"}


def test_the_library_imports_only_what_pyproject_asks_for():
    import_names = {"pillow": "PIL", "pyyaml": "yaml"}
    asked = {import_names.get(name.lower(), name) for name in environment.requirements()} | {"singlefilter"}
    for path in sorted((ROOT / "lib" / "singlefilter").rglob("*.py")):
        extra = imported(path.read_text(encoding="utf-8")) - sys.stdlib_module_names - asked
        assert extra <= COME_WITH, f"{path.name} imports {sorted(extra)}, not in pyproject.toml"


def test_environment_check_needs_the_standard_library_only():
    source = (ROOT / "lib" / "singlefilter" / "environment.py").read_text(encoding="utf-8")
    assert imported(source) <= sys.stdlib_module_names
