"""The registry is what notebooks show; figures without notebooks; one that fails loses no other."""

import ast
import dataclasses
import importlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import forget_caches, one_by_one
from tests.figures.test_words import check

from singlefilter import figures, notebooks, profiles, run
from singlefilter.figures import registry
from singlefilter.pipeline import sweeps

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = notebooks.found_in(ROOT / "notebooks")


def shown(notebook: Path) -> dict[str, object]:
    """By its name, for each figure of a notebook: the function whose table it hands over, None without one."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    code = ast.parse("\n".join(cells))
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(code)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assigned = {
        node.targets[0].id: node.value
        for node in ast.walk(code)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found = {}
    calls = [node for node in ast.walk(code) if isinstance(node, ast.Call)]
    for node in sorted(calls, key=lambda call: call.lineno):
        if ast.unparse(node.func) == "figures.show":
            first, name, *table = node.args
            assert ast.unparse(first) == "run"
            found[ast.literal_eval(name)] = None
            if table:
                made = assigned[table[0].id]
                module, function = ast.unparse(made.func).split(".")
                assert [ast.unparse(argument) for argument in made.args] == ["run"]
                found[ast.literal_eval(name)] = getattr(importlib.import_module(modules[module]), function)
    return found


def test_every_figure_is_shown_in_its_notebook_in_order_and_from_its_table():
    of_notebooks = {notebooks.number(notebook): shown(notebook) for notebook in NOTEBOOKS}
    assert [(name, one.notebook) for name, one in registry.FIGURES.items()] == [
        (name, number) for number, names in of_notebooks.items() for name in names
    ]
    handed = {name: table for names in of_notebooks.values() for name, table in names.items() if table}
    assert len(handed) > 5
    assert {name: registry.FIGURES[name].table for name in handed} == handed


def test_a_figure_needs_the_group_that_its_notebook_is_about():
    for notebook in NOTEBOOKS:
        about = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("singlefilter", {}).get("group")
        for name in shown(notebook):
            groups = registry.FIGURES[name].groups
            assert set(groups) <= {field.name for field in dataclasses.fields(profiles.Profile)}
            assert about in groups if about else groups in ((), ("choice",))


def test_no_two_studies_declare_the_same_figure():
    declared = [one.name for study in registry.STUDIES for one in study.FIGURES]
    assert sorted(declared) == sorted(registry.FIGURES)
    assert not registry.FIGURES.keys() & registry.OF_A_MACHINE.keys()
    assert all(one.table is None and one.notebook is None for one in registry.OF_A_MACHINE.values())


@pytest.fixture
def own_home(tiny_home, tmp_path, monkeypatch):
    home = shutil.copytree(tiny_home, tmp_path / "home")
    monkeypatch.setenv("SINGLEFILTER_HOME", str(home))
    monkeypatch.setenv("SINGLEFILTER_DATA", str(home / "nothing"))
    monkeypatch.setattr(sweeps, "complete", one_by_one)
    forget_caches()
    yield home
    forget_caches()


@pytest.mark.slow
def test_every_figure_by_one_command(own_home, capsys):
    assert run.main(["publish", str(own_home / "tiny.yaml")]) == 0
    folder = own_home / "figures" / "tiny"
    for name, declared in registry.FIGURES.items():
        assert {path.suffix for path in folder.glob(f"{name}.*")} == {".csv", ".png", ".svg"}, name
        check(declared.words(figures.read_table(folder / f"{name}.csv")))
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["profile"]["name"] == "tiny"
    assert "passed over" not in capsys.readouterr().out


def test_one_that_fails_loses_no_other_and_one_without_its_group_is_passed_over(own_home, capsys, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("of a test")

    monkeypatch.setitem(registry.FIGURES, "curves", dataclasses.replace(registry.FIGURES["curves"], table=broken))
    own = own_home / "own.yaml"
    own.write_text((own_home / "tiny.yaml").read_text(encoding="utf-8").split("by_width:")[0], encoding="utf-8")
    names = ["curves", "noise_by_width", "masked_heads_by_width", "accuracy_by_layer"]
    status = run.main(["publish", str(own), "--figure", *names])
    out, err = capsys.readouterr()
    assert status == 1
    assert "noise_by_width ... passed over: profile own has no group by_width\n" in out
    assert "masked_heads_by_width ... passed over: profile own has no group afcc and no group by_width\n" in out
    assert "curves ... failed\n" in out
    assert "1 figures failed, the others are written:\ncurves: ZeroDivisionError: of a test" in err
    assert {path.stem for path in (own_home / "figures" / "own").glob("*.csv")} == {"accuracy_by_layer"}


def test_a_table_without_rows_is_a_failure(own_home, capsys, monkeypatch):
    empty = dataclasses.replace(registry.FIGURES["curves"], table=lambda _: pd.DataFrame())
    monkeypatch.setitem(registry.FIGURES, "curves", empty)
    own = shutil.copy(own_home / "tiny.yaml", own_home / "own.yaml")
    assert run.main(["publish", str(own), "--figure", "curves"]) == 1
    assert "curves: TableError" in capsys.readouterr().err
    assert not (own_home / "figures" / "own").exists()


def test_a_figure_that_there_is_not(home, capsys):
    with pytest.raises(SystemExit) as end:
        run.main(["publish", "quick", "--figure", "curve"])
    assert end.value.code == 2
    assert "invalid choice: 'curve'" in capsys.readouterr().err
