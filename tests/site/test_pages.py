"""What is in the site: every chapter, figure, claim and page, links that lead there, and nothing from elsewhere."""

import ast
import html
import json
import os
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from tests.site import project

from singlefilter import figures
from singlefilter.figures import registry
from singlefilter.site import claims

ROOT = project.ROOT
CHAPTER, OTHER = f"profiles/quick/{project.FIRST}.html", f"profiles/laptop/{project.FIRST}.html"


def test_sphinx_had_nothing_to_complain_about(site):
    assert site.complaints.strip() == ""


def test_every_link_and_anchor_resolves(site):
    broken = []
    for name, page in site.pages.items():
        for link in page.read.links + page.read.loaded:
            if re.match(r"(https?|mailto|data):", link):
                continue
            path, _, anchor = unquote(re.sub(r"\?.*?(?=#|$)", "", link)).partition("#")
            there = Path(os.path.normpath(page.path.parent / path)) if path else page.path
            if not there.is_file():
                broken.append((name, link))
            elif anchor and there.suffix == ".html":
                ids = site[there.relative_to(site.folder).as_posix()].read.ids
                broken += [(name, link)] if anchor not in ids else []
    assert broken == []
    assert sum(len(page.read.links) for page in site.pages.values()) > 1000


def test_nothing_is_loaded_from_elsewhere(site):
    elsewhere = re.compile(r"(https?:)?//")
    for name, page in site.pages.items():
        assert [url for url in page.read.loaded if elsewhere.match(url)] == [], name
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import", "".join(page.read.styles)), name
        assert page.read.loaded or name.endswith("explorer.html")
    for path in site.folder.rglob("*.css"):
        assert not re.findall(r"url\(\s*['\"]?(?:https?:)?//|@import", path.read_text(encoding="utf-8")), path.name
    for path in set(site.folder.rglob("*.js")) - {
        site.folder / "_static" / "mathjax.js"
    }:  # which has links in a menu
        words = path.read_text(encoding="utf-8")
        assert not re.findall(r"(?:src|href)\s*=\s*['\"](?:https?:)?//|(?:fetch|import)\(['\"]https?:", words), (
            path.name
        )


def test_every_picture_says_what_one_sees(site):
    pictures = [(name, one) for name, page in site.pages.items() for one in page.read.pictures]
    assert len(pictures) > 20
    assert [(name, one["src"]) for name, one in pictures if not one.get("alt", "").strip()] == []


def test_a_chapter_is_shown_with_its_outputs(site):
    page = site[CHAPTER]
    assert project.SEEN in [one["alt"] for one in page.read.pictures]
    alone = [
        one["src"] for one in page.read.pictures if one["alt"] == "Picture to the section “Pictures without words”"
    ]
    assert sorted(Path(src).suffix for src in alone) == [".png", ".svg"]
    assert " ".join(project.NASTY.split()) in page.text
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in page.html
    assert "alert(1)</script>" not in page.html
    assert "widget" not in page.html and "interactive(...)" not in page.html
    assert "[code](02_train.ipynb)" in page.text and "# [no link](02_train.ipynb)" in page.text
    assert "one that was not run" in page.text
    assert f"{project.SECOND}.html" in page.read.links
    assert "../../docs/method.html#clip" in page.read.links and "../../DEVIATIONS.html#row-3" in page.read.links


def test_chapters_lead_to_the_previous_and_the_next(site):
    page = site[CHAPTER]
    following = re.search(r'class="next-page" href="([^"]+)"', page.html)
    before = re.search(r'class="prev-page" href="([^"]+)"', page.html)
    assert (before[1], following[1]) == ("index.html", f"{project.SECOND}.html")


def test_explorers_are_a_link_away(site):
    for profile in ("quick", "laptop"):
        assert f"profiles/{profile}/explorer.html" in site["index.html"].read.links
        assert "explorer.html" in site[f"profiles/{profile}/index.html"].read.links
        assert site[f"profiles/{profile}/explorer.html"].html == f"<html><title>{profile}</title></html>"


def test_it_takes_no_longer_than_one_waits(site):
    assert site.seconds < 20


def test_what_is_not_there_yet_is_said(site):
    start, profile, failed = (
        site["index.html"],
        site["profiles/quick/index.html"],
        site[f"profiles/quick/{project.SECOND}.html"],
    )
    assert "This run ended with an error, Diverged" in failed.text
    assert "This run ended with an error, Diverged" in start.text
    assert f"{project.THIRD}. One alone: ./run_all.sh --profile quick --only 03" in profile.text
    assert f"profiles/quick/{project.THIRD}.html" not in site.pages
    assert not any("99_half" in name for name in site.pages)
    assert "--profile laptop --only 02" in site["profiles/laptop/index.html"].text


def switch(page) -> list[tuple[str, str]]:
    """Names and targets of the links between profiles above a page."""
    bar = re.search(r'<nav class="switch".*?</nav>', page.html, re.DOTALL)
    links = re.findall(r'<a href="([^"]+)"[^>]*>(.*?)</a>', bar[0]) if bar else []
    return [(re.sub(r"<[^>]+>", "", text), target) for target, text in links]


def test_the_switch_leads_to_the_same_page_of_another_profile(site):
    assert switch(site[CHAPTER]) == [
        ("quick", f"{project.FIRST}.html"),
        ("laptop", f"../laptop/{project.FIRST}.html"),
    ]
    assert switch(site[OTHER])[0] == ("quick", f"../quick/{project.FIRST}.html")
    alone = switch(site[f"profiles/quick/{project.SECOND}.html"])
    assert alone == [("quick", f"{project.SECOND}.html"), ("laptop figures", "../laptop/gallery.html#figures-of-02")]
    assert switch(site["docs/method.html"]) == []
    titles = [re.search(r"<h1>(.*?)<", site[name].html)[1] for name in (CHAPTER, OTHER)]
    assert titles == ["01 · Data sets · quick", "01 · Data sets · laptop"]


def test_the_site_is_in_the_folder_of_every_profile_with_chapters(site):
    other = site.folder.parents[1] / "laptop" / "site"
    of = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (site.folder, other)]
    assert of[0] == of[1]
    assert [path.name for path in site.folder.parent.parent.glob(".unfinished*")] == []


def test_the_gallery_has_every_figure_with_its_words(site):
    page = site["profiles/laptop/gallery.html"]
    alts = [one["alt"] for one in page.read.pictures]
    tables = sorted((ROOT / "figures" / "laptop").glob("*.csv"))
    assert len(tables) > 15
    for path in tables:
        said = registry.figure(path.stem).words(figures.read_table(path))
        assert " ".join(said.alt.split()) in alts
        plain = re.sub(r"<[^>]+>", "", " ".join(said.caption.split()))
        assert plain.replace(" ", "") in page.text.replace(" ", ""), path.stem
        assert f"figure-{path.stem}" in page.read.ids
        assert f"figures-of-{registry.figure(path.stem).notebook}" in page.read.ids
        assert any(link.endswith(f"/{path.name}") for link in page.read.links)


def test_the_matrix_of_claims_is_the_committed_table(site):
    page = site["claims.html"]
    table = pd.read_csv(ROOT / "figures" / "laptop" / "claims.csv").set_index("claim")
    rows = re.findall(r'<tr><th scope="row"><a href="#claim-c\d+">(C\d+)</a>.*?</tr>', page.html)
    cells = re.findall(
        r'<td class="([^"]+)" data-profile="laptop"><b>(.) ([^<]*)</b> <span>([^<]*)</span>', page.html
    )
    assert rows == [f"C{number}" for number in range(1, 12)] == list(table.index)
    assert len(cells) == len(rows)
    for claim, (kind, sign, number, verdict) in zip(rows, cells, strict=True):
        found = table.loc[claim]
        assert verdict == found["verdict"] and kind == verdict.replace(" ", "-") and sign == claims.SIGNS[verdict]
        shown = float("nan") if number == "–" else float(number.replace("−", "-").replace(",", ""))
        assert shown == pytest.approx(found["value"], rel=5e-3, nan_ok=True)
    for claim, (rule, verdicts) in claims.rules().items():
        assert f"claim-{claim.lower()}" in page.read.ids
        assert all(said in html.unescape(page.text) for said in verdicts.values()), claim
        assert rule.source in page.text


def test_every_page_of_the_project_is_there(site):
    for path in (*ROOT.glob("docs/*.md"), ROOT / "DEVIATIONS.md", ROOT / "README.md"):
        name = path.relative_to(ROOT).with_suffix(".html").as_posix()
        assert name in site.pages
        assert any(name in link for link in site["index.html"].read.links), name
    assert "method.html#clip" in site["docs/glossary.html"].read.links
    assert {f"row-{number}" for number in range(1, 41)} <= site["DEVIATIONS.html"].read.ids


def test_the_library_is_there_with_every_public_function(site):
    library, documented = ROOT / "lib" / "singlefilter", set()
    for name, page in site.pages.items():
        documented |= page.read.ids if name.startswith("api/") else set()
    missing, there = [], 0
    for path in library.rglob("*.py"):
        parts = [part for part in path.relative_to(library).with_suffix("").parts if part != "__init__"]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                name = ".".join(["singlefilter", *parts, node.name])
                if ast.get_docstring(node) and path.stem != "__main__":
                    there += 1
                    missing += [name] if name not in documented else []
    assert missing == [] and there > 300
    signature = re.search(
        r'id="singlefilter.method.clusters.clip">(.*?)<a class="headerlink"', site["api/method.html"].html, re.DOTALL
    )
    said = " ".join(html.unescape(re.sub(r"<[^>]+>", "", signature[1])).split())
    assert said == "clip(fields: Array, threshold: float = THRESHOLD, memory: int = MEMORY) → Array"


def test_search_needs_no_server(site):
    page = site["search.html"]
    assert "searchindex.js" in [Path(url.partition("?")[0]).name for url in page.read.loaded]
    index = (site.folder / "searchindex.js").read_text(encoding="utf-8")
    words = json.loads(re.search(r"^Search\.setIndex\((.*)\)$", index, re.DOTALL)[1])
    assert {"cluster", "nois"} <= words["terms"].keys()
    assert CHAPTER.removesuffix(".html") in words["docnames"]
    assert Counter(words["docnames"]).most_common(1)[0][1] == 1
