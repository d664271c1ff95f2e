"""The house: which room a module is in, that imports run downwards only, and that no module is too long."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "lib" / "singlefilter"

# From the top to the bottom; of one floor, rooms may not import each other, but what stands at the bottom may.
ROOMS = (
    ("__main__",),
    ("run",),
    ("commands",),
    ("explorer", "site"),
    ("notebooks",),
    ("figures",),
    ("studies",),
    ("pipeline",),
    ("analysis",),
    ("afcc",),
    ("method",),
    ("networks",),
    ("data",),
    (
        "",
        "errors",
        "store",
        "provenance",
        "profiles",
        "drawing",
        "tablefiles",
        "lifelines",
        "lettering",
        "progress",
        "environment",
        "distributed",
        "surroundings",
        "interpreter",
    ),  # "": the library's own face
)
FLOORS = {room: len(ROOMS) - place for place, rooms in enumerate(ROOMS) for room in rooms}

LONGEST = 300  # lines


def name_of(path: Path) -> str:
    """Dotted name below the library, as imports write it: `data.glyphs`, `data` for its `__init__`."""
    parts = path.relative_to(LIBRARY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(LIBRARY.rglob("*.py"))}


def imports(source: str, known: set[str]) -> set[str]:
    """Modules of the library that a text imports, in functions too; `known` tells a module from what is in one."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"line {node.lineno}: the library imports by whole names"
            both = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.partition(".")[2] in known else node.module for name in both]
        else:
            continue
        found |= {name.partition(".")[2] for name in names if name.partition(".")[0] == "singlefilter"}
    return found


def room_of(module: str) -> str:
    return module.partition(".")[0]


def study_of(module: str) -> str:
    """`growth` of `studies.growth.series`; a module beside the folders stands alone."""
    return module.split(".")[1]


def upwards(of: dict[str, set[str]]) -> list[str]:
    """Imports, by importing module, that do not go down, nor stay in a room or on the ground."""
    wrong = []
    for module, imported in of.items():
        for other in sorted(imported):
            here, there = room_of(module), room_of(other)
            if here != there and not FLOORS[here] > FLOORS[there] and not FLOORS[here] == FLOORS[there] == 1:
                wrong.append(f"{module or 'singlefilter'} imports {other or 'singlefilter'}")
    return wrong


def circle(of: dict[str, set[str]]) -> list[str]:
    """Names that depend on each other in a circle, none where there is no circle."""
    try:
        TopologicalSorter(of).prepare()
    except CycleError as error:
        return error.args[1]
    return []


IMPORTS = {name: imports(path.read_text(encoding="utf-8"), set(MODULES)) for name, path in MODULES.items()}
IMPORTS[""] -= {"analysis"}  # the front door opens onto that floor when somebody asks for what is there, not before


def test_what_counts_as_an_import():
    source = "import singlefilter.store\nfrom singlefilter import data, __version__\nimport torch\n"
    source += "def f():\n    from singlefilter.data.folders import find\n    from singlefilter.data import folders\n"
    assert imports(source, {"", "data", "data.folders", "store"}) == {"store", "data", "", "data.folders"}


def test_what_counts_as_upwards():
    assert upwards({"data.folders": {"store", "data.splits"}, "store": {"progress"}, "run": {"notebooks"}}) == []
    assert upwards({"data.folders": {"networks"}, "store": {"data"}, "notebooks": {"explorer"}}) == [
        "data.folders imports networks",
        "store imports data",
        "notebooks imports explorer",
    ]


def test_every_module_is_in_a_room():
    assert {room_of(module) for module in MODULES} == set(FLOORS)


def test_imports_run_downwards():
    assert not upwards(IMPORTS)


def test_no_room_imports_itself_in_a_circle():
    """A package's face imports what is in it, and what is in it may ask for its neighbours by that face."""
    inside = {module: {other for other in of if other != room_of(module)} for module, of in IMPORTS.items()}
    assert circle({"a": {"b"}, "b": {"a"}}) and not circle({"a": {"b"}, "b": set()})
    assert not circle(inside)


def test_no_two_studies_import_each_other():
    studies = {module: of for module, of in IMPORTS.items() if module.startswith("studies.")}
    graph: dict[str, set[str]] = {}
    for module, of in studies.items():
        others = {study_of(other) for other in of if other.startswith("studies.")}
        graph.setdefault(study_of(module), set()).update(others - {study_of(module)})
    assert len(graph) > 7
    assert not circle(graph)


def test_the_library_is_imported_without_torch():
    program = "import sys, singlefilter; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert "singlefilter" in done.stdout.split()
    assert not {"torch", "numpy", "pandas", "matplotlib"} & set(done.stdout.split())


@pytest.mark.parametrize("where", ["lib", "tests"])
def test_no_module_is_too_long(where):
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / where).rglob("*.py")
    }
    longer = {path: count for path, count in lines.items() if count > LONGEST}
    assert not longer, "longer than it may be; hold one idea a module"
