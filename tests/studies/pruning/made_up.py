"""Tables of pruning, made up: masks that lose accuracy, truncation, and networks that cost less."""

import numpy as np
import pandas as pd

from singlefilter.studies.pruning import convolution_study, designs, head_study, study
from singlefilter.studies.pruning.designs import Design

CIFAR = {"profile": "laptop", "data": "CIFAR-100", "network": "VGG-16, d = 16", "seed": "1, 2, 3"}


GLYPHS = {"profile": "glyphs-1000", "data": "embedded glyphs", "network": "VGG-16, d = 16", "seed": "1"}


NAMES = ("masked_heads", "masked_heads_by_width", "masked_convolutions", "truncation", "smaller_networks")


LOSS = {  # of accuracy under masks that keep a tenth, made up, before and after retraining
    "dense": (0.0, -0.004),
    "afcc": (0.15, 0.03),
    "afcc, clusters of test images": (0.12, 0.02),
    "magnitude": (0.05, 0.026),
    "random afcc": (0.58, 0.3),
    "random": (0.5, 0.35),
}


MACHINE = "Imaginary Processor 9000 with a rather long name @ 3.00GHz"


def compared(place: dict, method: str, moment: str, kept: float, dense: float, seeds: int, **knob) -> dict:
    """A row of a table, its values made up from what is kept."""
    after = moment == "after"
    of_it, of_afcc = (LOSS[one][after] * (0.1 / kept) ** (0.5 * (one != "dense")) for one in (method, "afcc"))
    accuracy = np.clip(dense - of_it, 0.01, 1)
    values = {"accuracy": accuracy, "ahead": np.nan if method in ("dense", "afcc") else of_it - of_afcc}
    values["difference"] = accuracy - dense + LOSS["dense"][after]
    row = place | {"moment": moment, "method": method, "kept_fraction": kept} | knob
    for name, value in values.items():
        ends = ("low", "high") if name == "accuracy" else (f"{name}_low", f"{name}_high")
        row |= {name: value, ends[0]: value - 0.01, ends[1]: value + 0.008}
    return row | {"seeds": seeds, "images": 10000}


def heads_table(layers=range(1, 14), seeds: int = 3) -> pd.DataFrame:
    rows = []
    for moment in ("before", "after"):
        for layer in layers:
            place = {"layer": layer, "filters": 16 * min(layer, 8), "positions": 4}
            dense = 0.2 + 0.44 * layer / 13
            rows.append(compared(place, "dense", moment, 1.0, dense, seeds, threshold=np.nan, used=1))
            thresholds = (0.1, 0.2, 0.3, 0.5) if layer == max(layers) else (0.3,)
            for threshold in thresholds:
                kept = 0.02 * (0.3 / threshold) ** 1.5 * (1 + layer / 4)
                for method in head_study.METHODS[1:]:
                    knob = {"threshold": threshold, "used": int(threshold == 0.3)}
                    of = kept * (1.1 if method == head_study.LEAK else 1)
                    rows.append(compared(place, method, moment, of, dense, seeds, **knob))
    return pd.DataFrame(rows)


def width_table(widths=(4, 8, 16, 32, 64), seeds: int = 3) -> pd.DataFrame:
    rows = []
    for width in widths:
        place = {"width": width, "layer": 13, "filters": 8 * width, "positions": 1}
        dense = 0.3 + 0.08 * np.log2(width / 4)
        for moment in ("before", "after"):
            for method in head_study.METHODS:
                kept = 1.0 if method == "dense" else 0.2 * (4 / width) ** 0.5
                rows.append(compared(place, method, moment, kept, dense, seeds, threshold=0.3))
    return pd.DataFrame(rows)


def convolutions_table(firsts=(12, 10, 8), overlaps=(1, 2, 3), seeds: int = 3) -> pd.DataFrame:
    rows = []
    for first in firsts:
        place = {"first_layer": first, "last_layer": 13, "pairs": 13 - first}
        for moment in ("before", "after"):
            rows.append(compared(place, "dense", moment, 1.0, 0.63, seeds, overlap=np.nan))
            for overlap in overlaps:
                kept = 0.4 / overlap**1.5 * (1 + (13 - first) / 10)
                for method in convolution_study.METHODS[1:]:
                    rows.append(compared(place, method, moment, kept, 0.63, seeds, overlap=overlap))
    return pd.DataFrame(rows)


def truncation_table(layers=range(1, 14), cuts=(7, 10), seeds: int = 3) -> pd.DataFrame:
    rows = []
    for layer in layers:
        accuracy = 0.64 - 0.4 * np.exp(-layer / 2.5)
        row = {"layer": layer, "filters": 128, "positions": 4, "accuracy": accuracy}
        row |= {"low": accuracy - 0.01, "high": accuracy + 0.008}
        again = accuracy + 0.03 if layer in cuts else np.nan
        row |= {"retrained": again, "retrained_low": again - 0.01, "retrained_high": again + 0.01}
        row |= {"parameters": 9e5, "multiply_adds": 2e7, "parameters_part": 0.3 + 2 / layer}
        row |= {"multiply_adds_part": layer / max(layers), "levels_off": {9: 1, 10: seeds - 1}.get(layer, 0)}
        rows.append(row | {"within": 0.005, "seeds": seeds, "images": 10000})
    return pd.DataFrame(rows)


def every_design() -> list[Design]:
    made = [Design(), Design(7), Design(7, compact=True), Design(None, groups=4), Design(7, groups=4)]
    rules = ("covered", "margin", *designs.BASELINES)
    made += [Design(None, rule=rule, budget=budget) for budget in (0.4, 0.2) for rule in rules]
    return made + [Design(7, rule=rule, budget=0.2) for rule in (*rules[:2], "l1", "group norm")]


def pareto_table(chosen=None, seeds: int = 3) -> pd.DataFrame:
    """Networks whose accuracy falls with what is left out, some rules worse than others."""
    rng = np.random.default_rng(3)
    rows = []
    for design in chosen or every_design():
        for moment in ("before", "after") if design == Design() else ("after",):
            left = (design.budget or 1) * (0.7 if design.cut else 1) * (0.6 if design.groups > 1 else 1)
            accuracy = 0.64 + 0.02 * np.log(left) * (2 if design.rule == "random" else 1) + rng.normal(0, 0.004)
            accuracy -= 0.006 * (moment == "before")
            row = {"design": design.title, "method": design.method, "ours": int(design.ours), "moment": moment}
            row |= {"accuracy": accuracy, "low": accuracy - 0.008, "high": accuracy + 0.007}
            row |= {"parameters": 9e5 * left ** (1.5 if design.rule else 1), "parameters_part": left}
            latency = 1.3 * left**0.6 * (1 + rng.uniform(0, 0.15) * (design != Design()))
            row |= {"latency_ms_1": latency, "latency_low_1": 0.97 * latency, "latency_high_1": 1.06 * latency}
            row |= {"threads": 2, "machine": MACHINE, "seeds": seeds, "images": 10000}
            rows.append(row)
    table = pd.DataFrame(rows)
    for name, column in (("front_latency", "latency_ms_1"), ("front_parameters", "parameters")):
        table[name] = study._on_front(table["accuracy"].to_numpy(), table[column].to_numpy()).astype(int)
    return table


def tables(common: dict = CIFAR, seeds: int = 3) -> dict[str, pd.DataFrame]:
    makers = (heads_table, width_table, convolutions_table, truncation_table, pareto_table)
    return {name: make(seeds=seeds).assign(**common) for name, make in zip(NAMES, makers, strict=True)}
