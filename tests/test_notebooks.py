"""Notebooks are clean, keep to the rules of the house, and run from any folder."""

import ast
import html
import json
import re
import shutil
from pathlib import Path

import papermill
import pytest

from singlefilter import notebooks, profiles
from singlefilter.figures import registry

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
EACH_WITH_SOLUTIONS = pytest.mark.parametrize(
    "path", NOTEBOOKS + SOLUTIONS, ids=lambda path: path.relative_to(ROOT / "notebooks").with_suffix("").as_posix()
)
WITHOUT_FIGURES = ("00",)  # it has no run, and so no figure of one
LONGEST_CELL = 20


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def test_the_notebooks_are_there():
    assert " ".join(map(notebooks.number, NOTEBOOKS)) == "00 01 02 03 04 05 05b 05c 06 07 08 09 10"
    assert [path.name for path in SOLUTIONS] == [path.name for path in NOTEBOOKS]


@EACH_WITH_SOLUTIONS
def test_clean_in_git(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["metadata"]["kernelspec"]["name"] == "python3"
    assert "widgets" not in content["metadata"]
    for cell in cells(path, "code"):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@EACH_WITH_SOLUTIONS
def test_one_parameters_cell_of_literals(path):
    tagged = [cell for cell in cells(path, "code") if "parameters" in cell["metadata"].get("tags", [])]
    assert len(tagged) == 1
    for statement in ast.parse(source(tagged[0])).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)


@EACH_WITH_SOLUTIONS
def test_code_is_short_and_plain(path):
    for cell in cells(path, "code"):
        code = source(cell)
        assert len(code.splitlines()) <= LONGEST_CELL
        assert not re.search(r"^\s*[!%]|os\.chdir|sys\.path|Path\(", code, flags=re.MULTILINE)


@EACH
def test_what_shows_verdicts_asks_whether_the_networks_have_learned(path):
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    assert ("at_chance(" in code) == ('"verdict"' in code)


@EACH_WITH_SOLUTIONS
def test_a_notebook_about_a_group_of_the_profile_names_it(path):
    named = json.loads(path.read_text(encoding="utf-8"))["metadata"].get("singlefilter", {}).get("group")
    of_notebooks = {"02": "training", "06": "by_labels", "07": "by_width", "08": "afcc.networks", "09": "transformer"}
    assert named == of_notebooks.get(notebooks.number(path))


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
    every = [line for cell in cells(path, "code") for line in source(cell).splitlines() if "figures.show(" in line]
    published = len([line for line in every if "run.profile.ready" not in line])  # this one trains its network itself
    assert len(shown) >= published >= (notebooks.number(path) not in WITHOUT_FIGURES)
    described = [alt for output in shown if (alt := output["metadata"].get("image/png", {}).get("alt"))]
    assert len(described) >= published
    assert [output for output in outputs(copy) if output.get("name") == "stderr"] == []
    page = copy.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("data:image/png") >= published
    assert set(described) <= {html.unescape(alt) for alt in re.findall('<img alt="([^"]+)"', page)}


def test_every_figure_comes_from_a_notebook(home, executed):
    folder = home / "figures" / "tiny"
    profile = profiles.load(home / "tiny.yaml")
    for name, declared in registry.FIGURES.items():
        if any(map(profile.lacks, declared.groups)):
            assert declared.groups == ("ready",)  # it trains its network itself, and has all other groups
            continue
        assert {path.suffix for path in folder.glob(f"{name}.*")} == {".csv", ".png", ".svg"}, name
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["seed"] == 1


def said(copy: Path) -> str:
    """All that an executed copy shows in words: printed lines, and tables and values as text, pictures apart."""
    parts = []
    for output in outputs(copy):
        data = output.get("data", {})
        page = "".join(data.get("text/html", []))
        text = re.sub(r"<style.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL) if "<table" in page else ""
        plain = "" if page or "image/png" in data else "".join(data.get("text/plain", []))
        parts += ["".join(output.get("text", [])), html.unescape(text), plain]
    return "\n".join(parts)


def unfit(text: str) -> list[str]:
    """What no reader should find in a table or a line: a number that is none, and what was cut off."""
    return re.findall(r".{0,30}(?:\bnan\b|\bNaN\b|\bNone\b|\.\.\.|…).{0,30}", text)


def test_what_is_unfit_is_found():
    for text in (" 0.5  NaN ", "layer1 ... layer9", "[nan, 1]", "None"):
        assert unfit(text)
    assert not unfit("Nancy finds nothing at 0.5 [0.4, 0.6]; n = 3.")


@EACH
def test_no_table_is_empty_or_cut_off(path, executed):
    """The networks of the tiny profile have learned nothing, so whatever can be missing in a table is."""
    copy = executed[notebooks.number(path)]
    assert unfit(said(copy)) == []
    pages = ["".join(output.get("data", {}).get("text/html", [])) for output in outputs(copy)]
    assert not any("<style scoped>" in page for page in pages), "pandas may cut that off; `.style` shows all of it"


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_solutions_run_from_any_folder(path, home, tmp_path):
    """Their assertions hold what their text says; what depends on a network they print of it."""
    parameters = {"profile": str(home / "tiny.yaml")}
    copy = tmp_path / "executed.ipynb"
    papermill.execute_notebook(path, copy, parameters, kernel_name="python3", cwd=tmp_path, progress_bar=False)
    assert all(cell["execution_count"] for cell in cells(copy, "code"))
    assert unfit(said(copy)) == []
