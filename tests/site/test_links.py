"""Links and words on their way into the site: where they lead, and that they say what they said."""

import pytest
from docutils.core import publish_doctree
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from singlefilter.site import words
from singlefilter.site.links import Places, page_of, relinked

TEXT = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1).filter(str.strip)


@pytest.fixture
def places(tmp_path) -> Places:
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    (root / "figures").mkdir()
    (root / "figures" / "a.csv").write_text("a", encoding="utf-8")
    pages = {"docs/method.md": "docs/method.md", "notebooks/01_a.ipynb": "profiles/quick/01_a.ipynb"}
    return Places(root, tmp_path / "sources", pages)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[m](../docs/method.md)", "[m](../../docs/method.md)"),
        ("[m](../docs/method.md#x)", "[m](../../docs/method.md#x)"),
        ("[a](01_a.ipynb) [b](02_b.ipynb)", "[a](01_a.ipynb) b"),
        ("![p [q]](../figures/a.csv)", "![p [q]](../../figures/a.csv)"),
        ('[t](01_a.ipynb "title") [s](<../docs/method.md>)', '[t](01_a.ipynb "title") [s](<../../docs/method.md>)'),
        ('[t](no.md "title") [s](<a b.md>)', "t s"),
        ("[f](../figures) [up](../../away.md)", "f up"),
        ("[h](https://a.b/c) [i](#here)", "[h](https://a.b/c) [i](#here)"),
        ("`[b](02_b.ipynb)` ``a ` [b](02_b.ipynb)``", "`[b](02_b.ipynb)` ``a ` [b](02_b.ipynb)``"),
        ("[`b`](02_b.ipynb)", "`b`"),
        ("```\n[b](02_b.ipynb)\n```\n[b](02_b.ipynb)", "```\n[b](02_b.ipynb)\n```\nb"),
    ],
)
def test_links_lead_where_their_targets_are(places, text, expected):
    assert relinked(text, "notebooks/01_a.ipynb", "profiles/quick/01_a.ipynb", places) == expected


def test_files_are_taken_along(places):
    relinked("[t](../figures/a.csv)", "docs/method.md", "docs/method.md", places)
    assert (places.sources / "figures" / "a.csv").read_text(encoding="utf-8") == "a"


def test_anchors_by_hand_stay_anchors(places):
    assert page_of('<a id="row-1"></a>1', "docs/method.md", "docs/method.md", places) == "[]{#row-1}1"


def plain(source: str) -> str:
    """What reStructuredText says, in one line, and that nothing in it was out of order."""
    tree = publish_doctree(source, settings_overrides={"report_level": 1, "halt_level": 1, "smart_quotes": False})
    return " ".join(tree.astext().split())


@settings(deadline=None)
@given(TEXT)
def test_text_stays_the_same_text(text):
    assert plain(words.escaped(text)) == " ".join(text.split())
    assert (
        plain(f"{words.escaped(text)}\n{'=' * (2 * len(words.escaped(text)))}\n\nend")
        == f"{' '.join(text.split())} end"
    )


@settings(deadline=None)
@given(TEXT)
def test_text_stays_the_same_text_in_markdown(text):
    shown = MarkdownIt().parse(words.markdown(text.replace("_", "-").replace("<sub>", "")))
    assert [token.type for token in shown] == ["paragraph_open", "inline", "paragraph_close"]
    said = "".join(child.content for child in shown[1].children)
    assert said == " ".join(text.replace("_", "-").replace("<sub>", "").split())


def test_symbols_have_subscripts():
    tree = publish_doctree(words.with_symbols("Clusters N<sub>c</sub>_ and *noise*"))
    assert tree.astext() == "Clusters Nc_ and *noise*"
    assert [node.astext() for node in tree.findall() if node.tagname == "subscript"] == ["c"]
    assert words.markdown("N_c rises") == "N{sub}`c` rises"


def test_docstrings_keep_code_lists_and_indented_code():
    said = [
        "Ones where `fields[f] > t`, for *every* f_ and |x|:",
        "- a `list`",
        "  of two lines",
        "- b",
        "",
        "    code = 1 * 2",
        "",
        "End.",
    ]
    tree = publish_doctree("\n".join(words.docstring(said)), settings_overrides={"report_level": 1, "halt_level": 1})
    assert [node.astext() for node in tree.findall() if node.tagname == "literal"] == ["fields[f] > t", "list"]
    assert [node.astext() for node in tree.findall() if node.tagname == "literal_block"] == ["code = 1 * 2"]
    assert len([node for node in tree.findall() if node.tagname == "list_item"]) == 2
    assert "for *every* f_ and |x|:" in tree.astext()
