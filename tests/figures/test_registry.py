"""Figures without notebooks: the same tables that the notebooks publish, and one that fails loses no other."""

import ast
import importlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import forget_caches, one_by_one

from singlefilter import run
from singlefilter.figures import files, registry
from singlefilter.pipeline import sweeps

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def published(notebook: Path) -> dict[str, tuple[object, str | None]]:
    """By its name, for each figure that a notebook publishes: the function whose table it is, and the group that the
    notebook is about."""
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
        if ast.unparse(node.func) == "figures.publish":
            first, name, table = node.args
            made = assigned[table.id] if isinstance(table, ast.Name) else table
            module, function = ast.unparse(made.func).split(".")
            assert [ast.unparse(argument) for argument in (first, *made.args)] == ["run", "run"]
            group = content["metadata"].get("singlefilter", {}).get("group")
            found[ast.literal_eval(name)] = getattr(importlib.import_module(modules[module]), function), group
    return found


def test_the_tables_are_those_of_the_notebooks():
    """The same names in the same order, made by the same functions, with the same groups of the profile."""
    of_notebooks = {name: made for notebook in NOTEBOOKS for name, made in published(notebook).items()}
    assert set(of_notebooks) == set(files.FIGURES)
    assert [(name, source.table) for name, source in registry.TABLES.items()] == [
        (name, table) for name, (table, _) in of_notebooks.items()
    ]
    # in a notebook these two ask the profile, or for rows, themselves
    asked = {"recipes": ("choice",), "masked_heads_by_width": ("afcc", "by_width")}
    assert {name: source.groups for name, source in registry.TABLES.items()} == {
        name: asked.get(name, (group,) if group else ()) for name, (_, group) in of_notebooks.items()
    }


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
    for name in files.FIGURES:
        assert {path.suffix for path in folder.glob(f"{name}.*")} == {".csv", ".png", ".svg"}, name
    assert json.loads((folder / "provenance.json").read_text())["profile"]["name"] == "tiny"
    assert "passed over" not in capsys.readouterr().out


def test_one_that_fails_loses_no_other_and_one_without_its_group_is_passed_over(own_home, capsys, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("of a test")

    monkeypatch.setitem(registry.TABLES, "curves", registry.Source(broken))
    own = own_home / "own.yaml"
    own.write_text((own_home / "tiny.yaml").read_text().split("by_width:")[0])
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
    monkeypatch.setitem(registry.TABLES, "curves", registry.Source(lambda _: pd.DataFrame()))
    own = shutil.copy(own_home / "tiny.yaml", own_home / "own.yaml")
    assert run.main(["publish", str(own), "--figure", "curves"]) == 1
    assert "curves: TableError" in capsys.readouterr().err
    assert not (own_home / "figures" / "own").exists()


def test_a_figure_that_there_is_not(home, capsys):
    with pytest.raises(SystemExit) as end:
        run.main(["publish", "quick", "--figure", "curve"])
    assert end.value.code == 2
    assert "invalid choice: 'curve'" in capsys.readouterr().err
