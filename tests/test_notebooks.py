"""Notebooks are clean, keep to the rules of the house, and run from any folder."""

import ast
import html
import json
import re
import shutil
from pathlib import Path

import papermill
import pytest

from singlefilter import notebooks
from singlefilter.figures import registry

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
LONGEST_CELL = 20


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def test_the_notebooks_are_there():
    assert " ".join(map(notebooks.number, NOTEBOOKS)) == "01 02 03 04 05 05b 05c 06 07 08 09 10"


@EACH
def test_clean_in_git(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in content["metadata"]
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@EACH
def test_one_parameters_cell_of_literals(path):
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(source(tagged[0])).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


@EACH
def test_code_is_short_and_plain(path):
    for cell in cells(path, "code"):
        code = source(cell)
        assert len(code.splitlines()) <= LONGEST_CELL
        assert not re.search(r"^\s*[!%]|os\.chdir|sys\.path|Path\(", code, flags=re.MULTILINE)


@EACH
def test_a_notebook_about_a_group_of_the_profile_names_it(path):
    named = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("singlefilter", {}).get("group")
    about = {"06": "by_labels", "07": "by_width", "08": "afcc", "09": "transformer"}
    assert named == about.get(notebooks.number(path))


@EACH
def test_reads_as_a_lesson(path):
    prose = "\n".join(source(cell) for cell in cells(path, "markdown"))
    for part in ("**The question.**", "**Why it matters.**", "**What to see.**", "## Exercise"):
        assert part in prose
    solutions = re.findall(r"<details><summary>Solution</summary>(.*?)</details>", prose, flags=re.DOTALL)
    assert solutions
    for code in re.findall(r"```python\n(.*?)```", "\n".join(solutions), flags=re.DOTALL):
        ast.parse(code)


@EACH
def test_links_lead_to_notebooks(path):
    prose = "\n".join(source(cell) for cell in cells(path, "markdown"))
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", prose):
        assert (path.parent / link).exists()


@pytest.fixture(scope="module")
def home(tiny_home, tmp_path_factory):
    """A project whose stages are done, for notebooks to draw from; no data set but the embedded one."""
    folder = tmp_path_factory.mktemp("notebooks") / "home"
    shutil.copytree(tiny_home, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SINGLEFILTER_HOME", str(folder))
        patch.setenv("SINGLEFILTER_DATA", str(folder / "nothing"))
        yield folder


@pytest.fixture(scope="module")
def executed(home):
    """Copies of all notebooks by number, run in order by the function that the command line calls."""
    asked = notebooks.Asked(str(home / "tiny.yaml"), "tiny")
    return {notebooks.number(path): notebooks.execute(path, asked) for path in NOTEBOOKS}


def outputs(copy: Path) -> list[dict]:
    return [output for cell in cells(copy, "code") for output in cell["outputs"]]


@EACH
def test_runs_and_shows_its_figures(path, executed):
    copy = executed[notebooks.number(path)]
    shown = [output for output in outputs(copy) if "image/png" in output.get("data", {})]
    published = sum(source(cell).count("figures.show(") for cell in cells(path, "code"))
    assert len(shown) >= published >= 1
    described = [alt for output in shown if (alt := output["metadata"].get("image/png", {}).get("alt"))]
    assert len(described) >= published
    assert [output for output in outputs(copy) if output.get("name") == "stderr"] == []
    page = copy.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= published
    assert set(described) <= {html.unescape(alt) for alt in re.findall('<img alt="([^"]+)"', page)}


def test_every_figure_comes_from_a_notebook(home, executed):
    folder = home / "figures" / "tiny"
    for name in registry.FIGURES:
        assert {path.suffix for path in folder.glob(f"{name}.*")} == {".csv", ".png", ".svg"}, name
    assert json.loads((folder / "provenance.json").read_text())["seed"] == 1


@EACH
def test_solutions_run_from_any_folder(path, home, tmp_path):
    """The code of every solution, in the state in which its notebook ends, started in another folder."""
    content = json.loads(path.read_text(encoding="utf-8"))
    prose = "\n".join(source(cell) for cell in cells(path, "markdown"))
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", prose, flags=re.DOTALL)):
        empty = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
        content["cells"].append(empty | {"id": f"solution{number}", "source": code})
    copy = tmp_path / path.name
    copy.write_text(json.dumps(content), encoding="utf-8")
    parameters = {"profile": str(home / "tiny.yaml")}
    papermill.execute_notebook(
        copy, tmp_path / "executed.ipynb", parameters, kernel_name="python3", cwd=tmp_path, progress_bar=False
    )
    assert all(cell["execution_count"] for cell in cells(tmp_path / "executed.ipynb", "code"))
