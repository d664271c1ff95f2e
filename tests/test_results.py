"""The page of results tells the truth: its numbers are those of the committed tables."""

import re
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[1]
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the first table under a heading of the page, header and rule left out."""
    section = RESULTS.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_results_are_those_of_the_committed_tables():
    accuracy = pd.read_csv(ROOT / "figures/laptop/accuracy_by_layer.csv").set_index(["layer", "head"])["accuracy"]
    statistics = (
        pd.read_csv(ROOT / "figures/laptop/statistics_by_layer.csv").set_index(["split", "layer"]).loc["train"]
    )
    rows = [row for row in rows_of("Results on CIFAR-100") if row[0].isdigit()]
    assert [int(row[0]) for row in rows] == [2, 4, 7, 10, 13]
    for row in rows:
        layer = int(row[0])
        found = statistics.loc[layer]
        expected = [
            f"{accuracy[layer, 'flat']:.1%}",
            f"{accuracy[layer, 'pooled']:.1%}",
            *(f"{found[name]:.2f}" for name in ("N_c", "C_s")),
            f"{found['n']:.0f}",
            *(f"{found[name]:.2f}" for name in ("snr", "dprime")),
        ]
        assert [cell.replace(" %", "%") for cell in row[1:]] == expected


def test_results_at_the_papers_width_are_those_of_the_committed_tables():
    folder = ROOT / "figures/laptop-d64"
    accuracy = pd.read_csv(folder / "accuracy_by_layer.csv").query("head == 'flat'").set_index("layer")["accuracy"]
    measured = pd.read_csv(folder / "statistics_by_layer.csv").query("split == 'train'").set_index("layer")
    curve = pd.read_csv(folder / "curves.csv").query("split == 'test'")["accuracy"]
    rows = rows_of("The paper's width, briefly trained")
    assert [int(row[0]) for row in rows] == [2, 4, 7, 10, 13]
    for layer, *said in ((int(row[0]), *row[1:]) for row in rows):
        found = measured.loc[layer]
        formats = {"N_c": ".2f", "C_s": ".2f", "n": ".0f", "snr": ".2f", "dprime": ".2f"}
        numbers = [format(found[name], shown) for name, shown in formats.items()]
        assert said == [f"{accuracy[layer]:.1%}".replace("%", " %"), *numbers]
    assert f"epoch, {curve.iloc[-1]:.1%}, is below".replace("%", " %") in RESULTS


def test_accuracy_of_the_whole_network_is_that_of_its_curve():
    curve = pd.read_csv(ROOT / "figures/laptop/curves.csv")
    last = curve[curve["split"] == "test"]["accuracy"].iloc[-1]
    said = re.search(r"after the last\s+epoch (\d+\.\d) %", RESULTS)
    assert said and said[1] == f"{last:.1%}".rstrip("%")


def test_verdicts_are_those_of_the_committed_claims():
    claims = pd.read_csv(ROOT / "figures/laptop/claims.csv").set_index("claim")
    said = {row[0]: row for row in rows_of("Results on CIFAR-100") if re.fullmatch(r"C\d+", row[0])}
    assert said.keys() == set(claims.index)
    for claim, (_, _, _, estimate, verdict) in said.items():
        found = claims.loc[claim]
        assert verdict == found["verdict"]
        measured = f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
        assert estimate.replace("−", "-") == (measured if pd.notna(found["value"]) else "–")


def test_claims_of_both_data_sets_are_those_of_the_committed_tables():
    names = ("laptop", "glyphs-1000")
    tables = [pd.read_csv(ROOT / "figures" / name / "claims.csv").set_index("claim") for name in names]
    rows = rows_of("From 3 to 1,000 labels")
    assert len(rows) > 3
    for claim, _, *said in rows:
        for cell, found in zip(said, (table.loc[claim] for table in tables), strict=True):
            measured = f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}], {found['verdict']}"
            assert cell.replace("−", "-") == measured


def test_clusters_of_glyphs_are_those_of_the_committed_table():
    table = pd.read_csv(ROOT / "figures/glyphs-1000/statistics_by_labels.csv").set_index(["layer", "labels"]).loc[8]
    pattern = r"has (\S+) labels with K = 3 and (\S+) with K = 1,000, and a filter (\S+) and (\S+) clusters"
    said = re.search(pattern, RESULTS).groups()
    assert said == tuple(f"{table.loc[labels, name]:.1f}" for name in ("C_s", "N_c") for labels in (3, 1000))


def test_claims_follow_from_the_committed_tables():
    claims = pd.read_csv(ROOT / "figures/laptop/claims.csv").set_index("claim")
    accuracy = pd.read_csv(ROOT / "figures/laptop/accuracy_by_layer.csv").query("head == 'flat'").set_index("layer")
    measured = pd.read_csv(ROOT / "figures/laptop/statistics_by_layer.csv").query("split == 'train'")
    measured = measured.set_index("layer")
    by_layer = {"C1": accuracy["accuracy"], "C2": measured["snr"], "C3": measured["n"]}
    for claim, quantity in by_layer.items():
        values = quantity.sort_index().to_list()
        pairs = [(a < b) - (a > b) for i, a in enumerate(values) for b in values[i + 1 :]]
        assert claims.loc[claim, "value"] == pytest.approx(sum(pairs) / len(pairs))


@pytest.mark.parametrize(
    ("profile", "heading"),
    [("laptop", "Smaller and faster?"), ("laptop-d64", "Smaller and faster at the paper's width?")],
)
def test_smaller_networks_are_those_of_the_committed_table(profile, heading):
    table = pd.read_csv(ROOT / "figures" / profile / "smaller_networks.csv")
    table = table.query("moment == 'after'").set_index("design")
    said = rows_of(heading)
    assert len(said) > 8
    for design, accuracy, difference, parameters, *speedups in said:
        row = table.loc[design]
        assert accuracy == f"{100 * row['accuracy']:.1f} %"
        assert parameters == f"{100 * row['parameters_part']:.0f} %"
        assert speedups == [f"{row['speedup_1']:.2f}", f"{row['speedup_100']:.2f}"]
        if design != "dense":
            low, high = (f"{100 * row[f'difference_{end}']:+.1f}" for end in ("low", "high"))
            expected = f"{100 * row['difference']:+.1f} [{low}, {high}]"
            assert difference.replace("−", "-") == expected


def test_masked_heads_at_the_papers_width_are_those_of_the_committed_table():
    table = pd.read_csv(ROOT / "figures/laptop-d64/masked_heads.csv").query("layer == 13 and moment == 'after'")
    heads = table.set_index(["method", "threshold"])["accuracy"]
    kept = table.set_index(["method", "threshold"])["kept_fraction"]
    dense = table.loc[table["method"] == "dense", "accuracy"].iloc[0]
    drawn = " and ".join(f"{100 * heads[method, 0.3]:.1f}" for method in ("random", "random afcc"))
    ahead = [100 * (heads["magnitude", limit] - heads["afcc", limit]) for limit in (0.1, 0.2, 0.3, 0.5)]
    words = " ".join(RESULTS.split())
    for phrase in (
        f"keeps {kept['afcc', 0.3]:.1%} of the connections and an accuracy of {heads['afcc', 0.3]:.1%} (dense,",
        f"retrained alike: {dense:.1%}; random masks: {drawn} %)",
        f"at a threshold of 0.1 it keeps {kept['afcc', 0.1]:.0%} and {heads['afcc', 0.1]:.1%}",
        f"Magnitude pruning is {min(ahead):.1f} to {max(ahead):.1f} points ahead",
    ):
        assert re.sub(r"(\d)%", r"\1 %", phrase) in words


def test_the_second_architecture_is_that_of_the_committed_tables():
    folder = ROOT / "figures/laptop-efficientnet"
    accuracy = pd.read_csv(folder / "accuracy_by_layer.csv").set_index(["layer", "head"])["accuracy"]
    measured = pd.read_csv(folder / "statistics_by_layer.csv").query("split == 'train'").set_index("layer")
    curve = pd.read_csv(folder / "curves.csv").query("split == 'test'")["accuracy"]
    claims = pd.read_csv(folder / "claims.csv").set_index("claim")
    nulls = pd.read_csv(folder / "clusters_are_real.csv").groupby("layer")["verdict"].first()
    rows = rows_of("A second architecture, briefly trained")
    assert [int(row[0]) for row in rows] == list(range(1, 10))
    for layer, *said in ((int(row[0]), *row[1:]) for row in rows):
        formats = {"N_c": ".2f", "C_s": ".2f", "n": ".0f", "snr": ".2f", "dprime": ".2f"}
        numbers = [format(measured.loc[layer, name], shown) for name, shown in formats.items()]
        heads = [f"{accuracy[layer, kind]:.1%}".replace("%", " %") for kind in ("flat", "pooled")]
        assert said == [*heads, *numbers]
    words = " ".join(RESULTS.split()).replace("−", "-")
    assert f"Test accuracy after the last epoch {curve.iloc[-1]:.1%}.".replace("%", " %") in words
    for claim, verdict in (("C1", "not supported"), ("C2", "undecided"), ("C3", "undecided")):
        assert claims.loc[claim, "verdict"] == verdict
        value, low, high = (f"{claims.loc[claim, name]:.2f}" for name in ("value", "low", "high"))
        assert f"{value} [{low}, {high}])" in words
    assert accuracy[:, "flat"].idxmax() == 4
    assert nulls[nulls == "above all nulls"].index.tolist() == list(range(4, 10))


def test_masked_convolutions_at_the_papers_width_are_those_of_the_committed_table():
    table = pd.read_csv(ROOT / "figures/laptop-d64/masked_convolutions.csv")
    by_method = dict(list(table.query("moment == 'after'").groupby("method")))
    kept, lost = (100 * by_method["afcc"][name].abs() for name in ("kept_fraction", "difference"))
    words = " ".join(RESULTS.split())
    assert f"with {kept.min():.0f} to {kept.max():.0f} % of the kernels between layers 12 and 13" in words
    assert f"AFCC loses {lost.min():.1f} to {lost.max():.1f} points" in words
    assert max(by_method[method]["ahead"].abs().max() for method in ("random", "magnitude")) < 0.004
    before = table.query("moment == 'before'").pivot(index="overlap", columns="method", values="accuracy")
    ahead = before["afcc"] - before["random"]
    assert (ahead[[2, 3]] > 0.05).all() and ahead[1] < 0
