"""Each notebook reads as a lesson, links to what it speaks of, and has its solutions elsewhere."""

import json
import re
from pathlib import Path

import pytest

from singlefilter import notebooks
from tests.test_docs import anchors

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
PARTS = ("question", "Why it matters", "Goals", "Before you start", "Time", "Predict", "Compare", "What to see")
LINK = re.compile(r"\]\((?!https?://)([^)\s]+)\)")
GLOSSARY = "docs/glossary.md"


def prose(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def solutions(path: Path) -> Path:
    return path.parent / "solutions" / path.name


def numbered(text: str) -> list[str]:
    """Texts of a numbered list, each in one line."""
    items = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert [int(number) for number, _ in items] == list(range(1, len(items) + 1))
    return [" ".join(item.split()) for _, item in items]


def words(text: str) -> str:
    """A text in one line without the targets of its links, which depend on where it stands."""
    return " ".join(re.sub(r"\]\([^)]*\)", "]", text).split())


@EACH
def test_reads_as_a_lesson(path):
    text = prose(path)
    missing = [part for part in PARTS if not re.search(rf"\*\*(?:The )?{part}\.\*\*", text)]
    assert missing == []
    assert re.search(r"\*\*Time\.\*\* \d+ minutes to read[;,] .*\brun\b", text)
    assert "## Exercises" in text and "## References" in text
    assert text.index("**Predict.**") < text.index("**Compare.**")


@EACH
def test_a_students_copy_has_no_solutions(path):
    text = prose(path)
    assert "<details>" not in text and "```" not in text
    assert text.count(f"](../notebooks/solutions/{path.name})") == 1


@EACH
def test_every_exercise_is_solved_where_the_solutions_are(path):
    exercises = prose(path).split("## Exercises\n")[1].split("\nSolutions: ")[0]
    solved = re.findall(r"^## \d+\n+> (.*?)$", prose(solutions(path)), flags=re.MULTILINE)
    assert [words(one) for one in solved] == [words(one) for one in numbered(exercises)] != []


@pytest.mark.parametrize(
    "path", [*NOTEBOOKS, *map(solutions, NOTEBOOKS)], ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_links_lead_somewhere(path):
    for link in LINK.findall(prose(path)):
        file, _, anchor = link.partition("#")
        there = (path.parent / file).resolve()
        assert there.exists(), link
        assert not anchor or anchor in anchors(there.relative_to(ROOT).as_posix()), link


@EACH
def test_links_hold_in_working_copies_too(path):
    """Copies lie in a folder beside `notebooks`; one of the same name there is what a bare name leads to."""
    for link in LINK.findall(prose(path)):
        file = link.partition("#")[0]
        assert file.startswith("../") or (path.parent / file) in NOTEBOOKS, link


def test_every_notebook_leads_to_the_next():
    for path, following in zip(NOTEBOOKS[:-1], NOTEBOOKS[1:], strict=True):
        assert f"**Next:** [{notebooks.number(following)} · " in prose(path), path.stem
        assert f"]({following.name})" in prose(path).split("**Next:**")[1]


def test_every_term_of_the_glossary_is_linked_where_it_is_used():
    """All but those of the command line and the store, which the lessons can do without."""
    page = (ROOT / GLOSSARY).read_text(encoding="utf-8").split("\n## Runs")[0]
    terms = {title.lower().replace(" ", "-") for title in re.findall(r"^### (.*)$", page, flags=re.MULTILINE)}
    linked = {link.partition("#")[2] for path in NOTEBOOKS for link in LINK.findall(prose(path)) if GLOSSARY in link}
    assert sorted(terms - linked) == []


@EACH
def test_references_are_those_of_their_page(path):
    text, page = prose(path), (ROOT / "docs/references.md").read_text(encoding="utf-8")
    links = re.findall(r"\[((?:doi|arXiv) [^\]]+)\]\((https?://[^)]+)\)", text.split("## References\n")[1])
    assert [link for link in links if f"[{link[0]}]({link[1]})" not in page.replace("\n", " ")] == []
    assert "references.md#" in text.split("## References\n")[1]


@EACH
def test_cells_are_marked_as_slides(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    kinds = [cell["metadata"].get("slideshow", {}).get("slide_type", "") for cell in cells]
    sections = ["".join(cell["source"]).startswith(("# ", "## ")) for cell in cells]
    for cell, kind, section in zip(cells, kinds, sections, strict=True):
        assert (kind == "slide") == (section and kind != "skip"), "".join(cell["source"])[:60]
        if "parameters" in cell["metadata"].get("tags", []):
            assert kind == "skip"
    assert kinds[0] == "slide" and kinds.count("slide") >= 4
