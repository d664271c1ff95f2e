"""Text is UTF-8 by name wherever files and processes are read or written: the environment may mean something else."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [path for where in ("lib", "tests") for path in sorted((ROOT / where).rglob("*.py"))]
METHODS = ("read_text", "write_text")
OPEN = ("open", "fdopen", "NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile")
# where the mode and the encoding stand when they have no names
MODE = {"NamedTemporaryFile": 0, "TemporaryFile": 0, "SpooledTemporaryFile": 1}
PROCESSES = ("run", "Popen", "check_output", "check_call", "call", "getoutput")
NOT_FILES = ("Image", "webbrowser", "os", "zipped", "archive", "zipfile", "tarfile")


def unnamed(source: str) -> list[int]:
    """Lines of calls that take the encoding of text from the environment."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _is_unnamed(node)]


def _is_unnamed(call: ast.Call) -> bool:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or None in given:  # **options say it, or not
        return False
    function = call.func
    method = isinstance(function, ast.Attribute)
    name = function.attr if method else getattr(function, "id", "")
    if name in METHODS:
        return method and len(call.args) <= (name == "write_text")
    if name in PROCESSES:
        asked = [given[key] for key in ("text", "universal_newlines") if key in given]
        return any(isinstance(value, ast.Constant) and value.value for value in asked)
    if name not in OPEN or (method and getattr(function.value, "id", "") in NOT_FILES and name == "open"):
        return False
    of_path = method and name == "open" and getattr(function.value, "id", "") not in ("io", "gzip")
    place = MODE.get(name, 0 if of_path else 1)
    mode = given.get("mode", call.args[place] if len(call.args) > place else None)
    default = "w+b" if "Temporary" in name else "r"
    value = mode.value if isinstance(mode, ast.Constant) else default if mode is None else "b"
    return isinstance(value, str) and "b" not in value


CASES = [
    ("open('a')", True),
    ("open('a', 'w')", True),
    ("open('a', mode='a')", True),
    ("open('a', 'rb')", False),
    ("open('a', encoding='utf-8')", False),
    ("Path('a').open()", True),
    ("path.open('w')", True),
    ("path.open('r+b')", False),
    ("Image.open(path)", False),
    ("os.open(path, os.O_RDONLY)", False),
    ("path.read_text()", True),
    ("path.read_text('utf-8')", False),
    ("path.write_text('a')", True),
    ("path.write_text('a', 'utf-8')", False),
    ("path.write_text('a', encoding='utf-8')", False),
    ("os.fdopen(handle, 'w')", True),
    ("tempfile.NamedTemporaryFile()", False),
    ("tempfile.NamedTemporaryFile('w')", True),
    ("subprocess.run(['a'], text=True)", True),
    ("subprocess.run(['a'], text=True, encoding='utf-8')", False),
    ("subprocess.run(['a'])", False),
]


@pytest.mark.parametrize(("source", "expected"), CASES)
def test_what_counts_as_unnamed(source, expected):
    assert bool(unnamed(source)) == expected


@pytest.mark.parametrize("where", ["lib", "tests"])
def test_every_text_names_its_encoding(where):
    found = {
        path.relative_to(ROOT).as_posix(): lines
        for path in FILES
        if path.is_relative_to(ROOT / where) and (lines := unnamed(path.read_text(encoding="utf-8")))
    }
    assert found == {}, "give it encoding='utf-8'"
