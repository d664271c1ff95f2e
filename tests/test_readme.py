"""The README tells the truth: its verdicts are those of the committed tables, and its example runs."""

import re
from pathlib import Path

import pandas as pd
import pytest

from singlefilter import profiles
from tests.pages import read, section, words

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROFILES = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
DATA = ("laptop", "laptop-d64", "laptop-efficientnet", "glyphs-1000")

SOURCES = {
    "this paper": ("C1", "C2", "C4", "C5", "C7"),
    "its first version": ("C3", "C6"),
    "later paper": ("C8", "C9", "C10"),
    "press text": ("C11",),
}


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading of a page, header and rule left out."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_verdicts_are_those_of_the_committed_claims():
    """A dash where a claim was not tried; C7, C10 and C11 are in points of accuracy."""
    tables = [pd.read_csv(ROOT / "figures" / name / "claims.csv").set_index("claim") for name in DATA]
    rows = rows_of(README, "Verdicts")
    assert [row[0] for row in rows] == [f"C{number}" for number in range(1, 12)]
    for claim, *cells in rows:
        for cell, table in zip(cells[-len(DATA) :], tables, strict=True):
            if claim not in table.index:
                assert cell == "–"
                continue
            found, points = table.loc[claim], claim in ("C7", "C10", "C11")
            number = f"{100 * found['value']:.1f} points" if points else f"{found['value']:.2f}"
            expected = found["verdict"] + (f", {number}" if pd.notna(found["value"]) else "")
            assert cell.replace("−", "-") == expected


def test_the_filters_are_those_of_the_picture():
    table = pd.read_csv(ROOT / "figures/laptop/one_filter.csv")
    ones = table[(table["clipped"] == 1) & (table["cluster"] < 0)]
    noise = ones.groupby("layer").size().loc[[2, 7, 13]].tolist()
    words = " ".join(README.split())
    assert f"{noise[0]}, {noise[1]} and {noise[2]} elements in these three" in words
    last = table[(table["layer"] == 13) & (table["true_index"] == table["out_index"]) & (table["cluster"] >= 0)]
    names = ", ".join(last.sort_values("true_position")["true_label"].str.replace("_", " "))
    assert last["cluster"].nunique() == 1
    assert f"one cluster, of {len(last)} labels: {names}." in words


def test_every_profile_is_in_the_table_of_profiles():
    names = [row[0].removesuffix(" (default)") for row in rows_of(PROFILES, "Profiles")]
    assert sorted(names) == list(profiles.available())


def test_every_link_leads_to_a_file():
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL))
def test_examples_run(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert float(capsys.readouterr().out.split()[-1]) > 0
    assert {path.name for path in tmp_path.iterdir()} == {"filter.png", "resnet.sf"}


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PROFILES, flags=re.DOTALL))
def test_the_longer_example_runs(block, capsys):
    exec(compile(block, "docs/profiles.md", "exec"), {})
    assert 0 < float(capsys.readouterr().out.split()[-1]) < 1


def test_every_claim_has_its_source_and_its_bar():
    claims = pd.read_csv(ROOT / "figures/laptop/claims.csv").set_index("claim")
    for claim, _, source, rule, *_ in rows_of(README, "Verdicts"):
        assert claim in SOURCES[source.split(":")[0]]
        found = claims.loc[claim]
        if claim == "C4":
            assert re.findall(r"\d\.\d+", rule) == re.findall(r"\d\.\d+", found["statistic"])
        elif claim in ("C7", "C10", "C11"):
            assert rule == f"≥ {100 * found['bar']:+.0f} point".replace("-", "−")
        else:
            assert rule.replace("−", "-").split()[-1] == f"{found['bar']:g}"


def test_columns_of_verdicts_name_data_and_network():
    """The last ones are those of `DATA`; three seeds of what is pruned are in the first of them alone."""
    header = next(line for line in README.split("## Verdicts\n")[1].splitlines() if line.startswith("|"))
    columns = [cell.strip() for cell in header.strip("|").split("|")][-len(DATA) :]
    for column, profile in zip(columns, DATA, strict=True):
        claims = pd.read_csv(ROOT / "figures" / profile / "claims.csv").set_index("claim")
        if profile == "glyphs-1000":
            labels = pd.read_csv(ROOT / "figures" / profile / "trends_by_labels.csv")["labels"]
            assert column == f"glyphs, up to {labels.max():,} labels"
        else:
            assert column == f"{claims.loc['C1', 'data']}, {claims.loc['C1', 'network']}"
        pruned = claims[claims.index.isin(["C7", "C10", "C11"])]["seed"].astype(str)
        assert set(pruned.str.split(",").str.len()) <= {3 if profile == "laptop" else 1}


def test_no_measured_number_is_left_untested():
    """Outside its tables, examples and code, decimal numbers and percentages are settings."""
    text = words(re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    for setting in ("doi 10.1038/s41598-024-56609-x", "Python 3.11 to 3.13", "whole 95 % interval"):
        assert setting in text
        text = text.replace(setting, "")
    assert re.findall(r".{0,30}(?:\d\.\d|\d %).{0,20}", text) == []


def test_profiles_without_results_are_said_to_have_none():
    said = set(re.findall(r"`([^`]+)`", re.search(r"Profiles (`[^.]+`) have no\s+results yet", README)[1]))
    with_results = {name for name in profiles.available() if (ROOT / "figures" / name / "claims.csv").exists()}
    assert len(said) == 2 and said <= set(profiles.available())
    assert not said & with_results, "it has results now: give it a column of verdicts"
    assert set(DATA) == with_results - {"quick"}


def test_every_notebook_is_in_the_table_of_notebooks():
    linked = re.findall(r"\]\((notebooks/[^)]+)\)", section("README.md", "Notebooks"))
    assert linked == [f"notebooks/{path.name}" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


def test_every_file_of_the_listing_is_there():
    """Of the folder listing of CONTRIBUTING, and of its table of what to change where."""
    page = read("CONTRIBUTING.md")
    listing = section("CONTRIBUTING.md", "Where things are").split("```")[1].strip("\n").splitlines()
    assert len(listing) > 20
    for line in listing:
        below = ROOT / "lib" / "singlefilter" if line.startswith("    ") else ROOT
        assert (below / line.split()[0].replace("<profile>", "laptop")).exists(), line
    packages = {path.parent.name for path in (ROOT / "lib" / "singlefilter").glob("*/__init__.py")}
    assert packages <= {line.split()[0].rstrip("/") for line in listing if line.startswith("    ")}

    rows = rows_of(page.replace("### Where do I", "## Where do I"), "Where do I change ...")
    assert len(rows) == 12
    for _, where, tests in rows:
        named = re.findall(r"`([^`]+\.(?:py|yaml))`", where)
        assert named and all((ROOT / "lib" / "singlefilter" / path).exists() for path in named), where
        assert all((ROOT / "tests" / path).exists() for path in re.findall(r"`([^`]+)`", tests)), tests
