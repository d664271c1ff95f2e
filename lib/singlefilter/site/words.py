"""Plain text and docstrings as reStructuredText that says the same, whatever stands in them."""

from __future__ import annotations

import re
import textwrap

from singlefilter import drawing

_SPECIAL = re.compile(r"([\\`*_|<>:\[\]{}])")
_OF_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|$~&!^]|^[-+=]|(?<=^\d)[.)])")
_SUBSCRIPT = re.compile(r"<sub>(\w+)</sub>")
_SPAN = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)", re.DOTALL)
_NOTHING = "\\ "  # to reStructuredText: sets a mark off from what stands beside it


def escaped(text: str) -> str:
    """Text in one line with nothing in it that reStructuredText would read as a mark, at its beginning either."""
    return _NOTHING + _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def with_symbols(text: str) -> str:
    """Text in one line, escaped, `N<sub>c</sub>` as a letter with a subscript."""
    parts = _SUBSCRIPT.split(" ".join(text.split()))
    return _NOTHING + "".join(
        f"{_NOTHING}:sub:`{part}`{_NOTHING}" if place % 2 else _SPECIAL.sub(r"\\\1", part)
        for place, part in enumerate(parts)
    )


def docstring(lines: list[str]) -> list[str]:
    """A docstring of the library, with marks as in Markdown, as reStructuredText: `code`, lists, indented code.

    What is none of them is text: a star, a bar or an underscore in it means nothing.
    """
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent("\n".join(lines)).strip("\n"))
    written = []
    for paragraph in paragraphs:
        if all(line.startswith("    ") for line in paragraph.splitlines()):
            written.append(f"::\n\n{paragraph}")
        else:
            written.append("\n".join(_in_lists(paragraph)))
    return "\n\n".join(written).splitlines() + [""]


def _in_lists(paragraph: str) -> list[str]:
    """Lines of a paragraph, with the empty line that reStructuredText wants in front of a list."""
    found: list[str] = []
    for line in _marked(paragraph).splitlines():
        if re.match(r"- ", line) and found and not found[-1].startswith(("- ", "  ")) and found[-1]:
            found.append("")
        found.append(line)
    return found


def _marked(paragraph: str) -> str:
    parts, end = [], 0
    for span in _SPAN.finditer(paragraph):
        parts += [_plain(paragraph[end : span.start()]), _code(span["code"])]
        end = span.end()
    return "".join([*parts, _plain(paragraph[end:])])


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_|])", r"\\\1", text)


def _code(code: str) -> str:
    """Inline code; set off from the letters around it, which reStructuredText wants and does not show."""
    return f"{_NOTHING}``{' '.join(code.split())}``{_NOTHING}"


def markdown(text: str) -> str:
    """Text in one line as MyST Markdown that shows it; `N_c` and `N<sub>c</sub>` as a letter with a subscript."""
    parts = _SUBSCRIPT.split(drawing.with_symbols(" ".join(text.split())))
    return "".join(
        f"{{sub}}`{part}`" if place % 2 else _OF_MARKDOWN.sub(r"\\\1", part) for place, part in enumerate(parts)
    )
