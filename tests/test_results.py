"""The tables of the results page, cell by cell, are those of the committed tables; no table is left untested."""

import re

import pandas as pd
import pytest

from singlefilter import profiles
from tests.pages import csv, number, percent, tables

PAGE = "docs/results.md"
ON_THE_PAGE = {(heading, place): (header, rows) for heading, place, header, rows in tables(PAGE)}


def layers(profile: str, shown: list[int], kinds: tuple[str, ...]) -> list[list[str]]:
    """Rows of a table of layers: accuracy of each kind of head, and statistics of the training images."""
    accuracy = csv(profile, "accuracy_by_layer").set_index(["layer", "head"])["accuracy"]
    measured = csv(profile, "statistics_by_layer").query("split == 'train'").set_index("layer")
    formats = {"N_c": ".2f", "C_s": ".2f", "n": ".0f", "snr": ".2f", "dprime": ".2f"}
    return [
        [str(layer)]
        + [percent(accuracy[layer, kind]) for kind in kinds]
        + [format(measured.loc[layer, name], digits) for name, digits in formats.items()]
        for layer in shown
    ]


def smaller(profile: str, rows: list[list[str]]) -> list[list[str]]:
    """Rows of a table of smaller networks, of the designs that the page chose to show."""
    table = csv(profile, "smaller_networks").query("moment == 'after'").set_index("design")
    expected = []
    for row in (table.loc[design] for design, *_ in rows):
        difference = number(*(100 * row[f"difference{end}"] for end in ("", "_low", "_high")), "+.1f")
        expected.append(
            [row.name, percent(row["accuracy"]), "" if row.name == "dense" else difference]
            + [percent(row["parameters_part"], 0), f"{row['speedup_1']:.2f}", f"{row['speedup_100']:.2f}"]
        )
    return expected


def verdicts(rows: list[list[str]]) -> list[list[str]]:
    """Rows of the claims on CIFAR-100; claim and statistic in the page's own words, whose numbers the table has."""
    claims = csv("laptop", "claims").set_index("claim")
    assert [row[0] for row in rows] == claims.index.to_list()
    for claim, statement, statistic, *_ in rows:
        in_table = numerals(claims.loc[claim, "statement"] + " " + claims.loc[claim, "statistic"])
        assert numerals(f"{statement} {statistic}") <= in_table, claim
    return [
        [claim, *row[1:3], number(*found[["value", "low", "high"]]) if pd.notna(found["value"]) else "–"]
        + [found["verdict"]]
        for (claim, found), row in zip(claims.iterrows(), rows, strict=True)
    ]


def both(rows: list[list[str]]) -> list[list[str]]:
    """Rows of the claims on both data sets."""
    of = [csv(profile, "claims").set_index("claim") for profile in ("laptop", "glyphs-1000")]
    assert [row[0] for row in rows] == ["C4", "C6", "C8", "C9"]
    return [
        row[:2]
        + [number(*one.loc[row[0], ["value", "low", "high"]]) + f", {one.loc[row[0], 'verdict']}" for one in of]
        for row in rows
    ]


def overview(rows: list[list[str]]) -> list[list[str]]:
    """Rows of the list of sections: data and networks as the claims of their profiles name them."""
    expected = []
    for link, *_, profile in rows:
        claims = csv(profile, "claims")
        claim = "C4" if profile == "glyphs-1000" else "C1"
        found = claims.set_index("claim").loc[claim]
        expected.append([link, found["data"], found["network"], profile])
    return expected


def numerals(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:\.\d+)?", text.replace("1,000", "1000").replace("7 %", "7%")))


EXPECTED = {
    ("Results on CIFAR-100", 0): lambda rows: layers("laptop", [2, 4, 7, 10, 13], ("flat", "pooled")),
    ("Results on CIFAR-100", 1): verdicts,
    ("Smaller and faster?", 0): lambda rows: smaller("laptop", rows),
    ("The paper's width, briefly trained", 0): lambda rows: layers("laptop-d64", [2, 4, 7, 10, 13], ("flat",)),
    ("Smaller and faster at the paper's width?", 0): lambda rows: smaller("laptop-d64", rows),
    ("A second architecture, briefly trained", 0): lambda rows: layers(
        "laptop-efficientnet", list(range(1, 10)), ("flat", "pooled")
    ),
    ("ImageNet photographs, on a ready network", 0): lambda rows: layers(
        "laptop-imagenet", list(range(1, 10)), ("flat",)
    ),
    ("From 3 to 1,000 labels", 0): both,
}


@pytest.mark.parametrize("table", EXPECTED, ids=lambda table: table[0])
def test_every_cell_is_that_of_the_committed_table(table):
    _, rows = ON_THE_PAGE[table]
    assert len(rows) > 3
    assert rows == EXPECTED[table](rows)


def test_no_table_is_left_untested():
    first = next(iter(ON_THE_PAGE))
    assert set(ON_THE_PAGE) - {first} == set(EXPECTED)
    _, rows = ON_THE_PAGE[first]
    assert rows == overview(rows)
    assert {row[-1] for row in rows} <= set(profiles.available())


def test_columns_are_named_as_the_glossary_names_them():
    expected = [
        "clusters per filter N<sub>c</sub>",
        "labels per cluster C<sub>s</sub>",
        "noise per filter n",
        "SNR",
        "d′",
    ]
    of_layers = [header for header, _ in ON_THE_PAGE.values() if header[0] == "layer"]
    assert len(of_layers) == 4
    assert all(header[-5:] == expected for header in of_layers)


def test_claims_follow_from_the_committed_tables():
    claims = csv("laptop", "claims").set_index("claim")
    accuracy = csv("laptop", "accuracy_by_layer").query("head == 'flat'").set_index("layer")
    measured = csv("laptop", "statistics_by_layer").query("split == 'train'").set_index("layer")
    by_layer = {"C1": accuracy["accuracy"], "C2": measured["snr"], "C3": measured["n"]}
    for claim, quantity in by_layer.items():
        values = quantity.sort_index().to_list()
        pairs = [(a < b) - (a > b) for i, a in enumerate(values) for b in values[i + 1 :]]
        assert claims.loc[claim, "value"] == pytest.approx(sum(pairs) / len(pairs))
