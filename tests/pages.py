"""Pages as tests read them: their sections, their tables, their words; and numbers as pages write them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "figures"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def section(page: str, heading: str) -> str:
    """The text under a heading of the second level."""
    return read(page).split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


def tables(page: str) -> Iterator[tuple[str, int, list[str], list[list[str]]]]:
    """Heading, number of the table below it, header and rows of each table of a page."""
    for part in re.split(r"^## ", read(page), flags=re.MULTILINE):
        heading, _, text = part.partition("\n")
        for number, block in enumerate(re.findall(r"(?:^\|.*\n)+", text + "\n", flags=re.MULTILINE)):
            lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines()]
            yield heading, number, lines[0], lines[2:]


def words(text: str) -> str:
    """Prose of a text in one line, with plain minus signs: no tables, pictures, targets of links, code, emphasis."""
    text = re.sub(r"^\|.*$|^!\[.*$|^    .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\]\([^)]*\)|`[^`]*`|[*\[](?=[a-z\[])|\*", "", text.replace("−", "-"))
    return " ".join(text.split())


def csv(profile: str, name: str) -> pd.DataFrame:
    return pd.read_csv(FIGURES / profile / f"{name}.csv")


def percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f} %"


def number(value: float, low: float, high: float, shown: str = ".2f", minus: str = "−") -> str:
    """A value and its interval: `−0.13 [−0.29, 0.06]`."""
    value, low, high = (format(one, shown) for one in (value, low, high))
    return f"{value} [{low}, {high}]".replace("-", minus)
