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
VERDICTS = {"supported": "**yes**", "not supported": "no", "undecided": "open"}


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading of a page, header and rule left out."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_verdicts_are_those_of_the_committed_claims():
    tables = [pd.read_csv(ROOT / "figures" / name / "claims.csv").set_index("claim") for name in DATA]
    rows = rows_of(README, "Do the claims hold?")
    assert [row[0].split()[0] for row in rows] == [f"C{number}" for number in range(1, 12)]
    for claim, _, *cells in rows:
        for cell, table in zip(cells, tables, strict=True):
            number = claim.split()[0]
            if number not in table.index:
                assert cell == ""
                continue
            found = table.loc[number]
            value = f" {found['value']:.2f}" if pd.notna(found["value"]) else ""
            assert cell.replace("−", "-") == VERDICTS[found["verdict"]] + value


@pytest.mark.parametrize("profile", DATA[:3])
def test_accuracies_are_those_of_the_last_epoch(profile):
    curve = pd.read_csv(ROOT / "figures" / profile / "curves.csv").query("split == 'test'")
    last, epochs = curve["accuracy"].iloc[-1], curve["epoch"].max()
    said = {"laptop": "reaches {} %", "laptop-d64": "({} epochs) {} %", "laptop-efficientnet": "({} epochs) {} %"}
    accuracy = f"{100 * last:.1f}"
    numbers = (accuracy,) if profile == "laptop" else (epochs, accuracy)
    assert said[profile].format(*numbers) in " ".join(README.split())


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
