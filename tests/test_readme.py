"""The README tells the truth: its verdicts are those of the committed tables, and its example runs."""

import re
from pathlib import Path

import pandas as pd
import pytest

from singlefilter import profiles

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROFILES = (ROOT / "docs" / "profiles.md").read_text(encoding="utf-8")
DATA = ("laptop", "laptop-d64", "laptop-efficientnet", "glyphs-1000")


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
    for claim, *_, laptop, d64, efficientnet, glyphs in rows:
        for cell, table in zip((laptop, d64, efficientnet, glyphs), tables, strict=True):
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
