"""Pages of the library's own docstrings: one for each room, all modules in it.

The sources are read, not imported: signatures are as they are written, and nothing runs.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from singlefilter.site.words import docstring, escaped

LIBRARY = Path(__file__).resolve().parents[1]
_LEFT_OUT = ("__main__",)  # a command, and nothing to import
Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Module:
    """A module by its name (`singlefilter.method.clusters`); `is_package`: whether others are in it."""

    name: str
    tree: ast.Module
    is_package: bool

    @property
    def said(self) -> str:
        return ast.get_docstring(self.tree) or ""


def rooms() -> dict[str, list[Module]]:
    """Room -> its modules, the room's own first; `singlefilter` itself is the first room."""
    found: dict[str, list[Module]] = {}
    for path in sorted(
        LIBRARY.rglob("*.py"), key=lambda path: path.with_suffix("").as_posix().replace("__init__", "")
    ):
        parts = ("singlefilter", *path.relative_to(LIBRARY).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        if parts[-1] not in _LEFT_OUT:
            room = name.split(".")[1] if "." in name else name
            module = Module(name, ast.parse(path.read_text(encoding="utf-8")), is_package)
            found.setdefault(room, []).append(module)
    return {"singlefilter": found.pop("singlefilter"), **found}


def pages() -> dict[str, str]:
    """Name of each page -> its reStructuredText; `index` leads to the others."""
    by_room = rooms()
    written = {room: "\n".join(_page(room, modules)) + "\n" for room, modules in by_room.items()}
    lines = [
        *_title("Library", "="),
        "All that can be imported, from its docstrings. For a network of one's own, begin at "
        ":doc:`the front door <singlefilter>`.",
        "",
    ]
    for room, (first, *_) in by_room.items():
        sentence = " ".join(first.said.split("\n\n")[0].split()).replace("`", "")
        lines.append(f"* :doc:`{room}` – {escaped(sentence)}")
    lines += ["", ".. toctree::", "   :hidden:", "", *(f"   {room}" for room in by_room)]
    return {"index": "\n".join(lines) + "\n"} | written


def _title(text: str, line: str) -> list[str]:
    return [text, line * len(text), ""]


def _page(room: str, modules: list[Module]) -> Iterator[str]:
    yield from _title(escaped(room), "=")
    for module in modules:
        if module is not modules[0]:
            yield from _title(escaped(module.name.removeprefix("singlefilter.")), "-")
        yield from [f".. py:module:: {module.name}", "", *docstring(module.said.splitlines())]
        if module.is_package:
            yield from _face(module)
        for node in module.tree.body:
            if isinstance(node, Definition):
                yield from _definition(node)


def _face(package: Module) -> list[str]:
    """What a package offers of its modules under its own name, each with a link to it."""
    lines = [
        f"* :py:obj:`{alias.asname or alias.name} <{node.module}.{alias.name}>`"
        for node in ast.walk(package.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package.name}.")
        for alias in node.names
    ]
    return [f"As ``{package.name}``:", "", *lines, ""] if lines else []


def _definition(node: Definition) -> Iterator[str]:
    """A public function or class that says what it does, with what is public in it."""
    said = ast.get_docstring(node)
    if node.name.startswith("_") or not said:
        return
    if isinstance(node, ast.ClassDef):
        yield from _directive("class", f"{node.name}{_of_class(node)}", said)
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                yield from (f"   {line}" if line else line for line in _method(inner))
    else:
        yield from _directive("function", f"{node.name}({ast.unparse(node.args)}){_returns(node)}", said)


def _method(node: ast.FunctionDef) -> Iterator[str]:
    said = ast.get_docstring(node)
    if node.name.startswith("_") or not said:
        return
    marks = {ast.unparse(mark).rpartition(".")[2] for mark in node.decorator_list}
    if marks & {"property", "cached_property"}:
        options = [f":type: {ast.unparse(node.returns)}"] if node.returns else []
        yield from _directive("property", node.name, said, options)
        return
    kind = next((mark for mark in ("staticmethod", "classmethod") if mark in marks), "")
    given = node.args if kind == "staticmethod" else _without_first(node.args)
    options = [f":{kind}:"] if kind else []
    yield from _directive("method", f"{node.name}({ast.unparse(given)}){_returns(node)}", said, options)


def _directive(kind: str, signature: str, said: str, options: list[str] | None = None) -> list[str]:
    inside = "\n".join([*(options or []), "", *docstring(inspect.cleandoc(said).splitlines())])
    return [
        f".. py:{kind}:: {signature.replace(chr(92), chr(92) * 2)}",
        *textwrap.indent(inside, "   ").splitlines(),
        "",
    ]


def _returns(node: ast.FunctionDef) -> str:
    return f" -> {ast.unparse(node.returns)}" if node.returns else ""


def _without_first(given: ast.arguments) -> ast.arguments:
    """Arguments without `self` or `cls`, by which nobody calls."""
    if given.posonlyargs or not given.args:
        return given
    fields = {name: value for name, value in ast.iter_fields(given)} | {"args": given.args[1:]}
    return ast.arguments(**fields)


def _of_class(node: ast.ClassDef) -> str:
    """What a class is made with: fields of a dataclass, or what its own `__init__` takes."""
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            return f"({ast.unparse(_without_first(inner.args))})"
    if any(ast.unparse(mark).startswith(("dataclass", "dataclasses.dataclass")) for mark in node.decorator_list):
        fields = [ast.unparse(inner) for inner in node.body if isinstance(inner, ast.AnnAssign)]
        return f"({', '.join(fields)})"
    return ""
