"""Figures of pruning: the artists and the data in them, one seed or cut only, gaps, and many networks."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text

from singlefilter.figures import files, registry
from singlefilter.studies.pruning import convolution_study, designs, head_study, study
from singlefilter.studies.pruning.designs import Design

CIFAR = {"profile": "laptop", "data": "CIFAR-100", "network": "VGG-16, d = 16", "seed": "1, 2, 3"}
GLYPHS = {"profile": "glyphs-1000", "data": "embedded glyphs", "network": "VGG-16, d = 16", "seed": "1"}
BANNER = "embedded glyphs — not CIFAR-100"
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


def draw(name: str, table: pd.DataFrame) -> Figure:
    return registry.FIGURES[name].drawn(table)


def texts(fig: Figure) -> list[Text]:
    """What can be read on a figure; an axis keeps labels of ticks beyond its ends, which are not drawn."""
    hidden = set()
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval()) if ax.axison else (np.inf, np.inf)
            hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    found = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in hidden]


def words(fig: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in texts(fig)).split())


def panels(fig: Figure) -> list[Axes]:
    return [ax for ax in fig.axes if ax.axison]


def line(ax: Axes, label: str) -> np.ndarray:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(found.get_xydata(), dtype=float)


def bars(ax: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Points, and ends of their upright bars."""
    (drawn,) = [one for one in ax.containers if isinstance(one, ErrorbarContainer) and one.get_label() == label]
    return drawn.lines[0].get_xydata(), np.array(drawn.lines[2][-1].get_segments())[:, :, 1]


def of(table: pd.DataFrame, **values) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[name] == value for name, value in values.items()])]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("common", "seeds"), [(CIFAR, 3), (GLYPHS, 1)])
def test_everything_fits_and_data_are_named(name, common, seeds):
    fig = draw(name, tables(common, seeds)[name])
    fig.set_dpi(200)  # as in the files
    fig.draw_without_rendering()
    banner = [text for text in fig.texts if text.get_text() == BANNER]
    assert len(banner) == (common is GLYPHS)
    for text in texts(fig):
        extent = text.get_window_extent()
        assert extent.x0 >= 5 and extent.y0 >= -1, text
        assert extent.x1 <= fig.bbox.width - 5 and extent.y1 <= fig.bbox.height + 1, text
    caption = next(text for text in fig.texts if text.get_text().startswith("Data:"))
    below = min(ax.get_tightbbox().y0 for ax in fig.axes if ax.axison)
    assert caption.get_window_extent().y1 <= below + 1
    said = " ".join(caption.get_text().split())
    assert f"n = {seeds} training seed{'s' if seeds > 1 else ''}, 10,000 test images" in said
    assert common["profile"] in said and f"Seed: {common['seed']}." in said


@pytest.mark.parametrize("name", NAMES)
def test_drawn_from_the_file_as_from_the_table(name, tmp_path):
    table = tables(GLYPHS, 1)[name]
    (tmp_path / "table.csv").write_bytes(files._as_csv(table))
    read = files.read_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert words(draw(name, read)) == words(draw(name, table))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_intervals_that_are_not_known_and_rows_that_are_missing_leave_gaps(name):
    table = tables()[name]
    ends = [column for column in table if column.endswith(("low", "high"))]
    draw(name, table.assign(**dict.fromkeys(ends, np.nan))).draw_without_rendering()
    if "method" in table and name != "smaller_networks":
        draw(name, table[table["method"] != "afcc"]).draw_without_rendering()
        draw(name, table[table["method"] == "dense"]).draw_without_rendering()


def test_heads_by_cut_are_those_of_the_threshold_in_use():
    table = tables()["masked_heads"]
    after, before, ahead, kept, trade, gains = panels(draw("masked_heads", table))
    main = of(table, used=1)
    for ax, moment in ((after, "after"), (before, "before")):
        for method, label in (("afcc", "AFCC"), ("magnitude", "magnitude"), ("dense", "dense")):
            rows = of(main, moment=moment, method=method)
            assert len(rows) == 13
            drawn = line(ax, label)
            np.testing.assert_allclose(drawn, np.stack([rows["layer"], 100 * rows["accuracy"]], 1))
        assert len(ax.collections) == len(head_study.METHODS)
    for method, label in (("afcc", "AFCC"), (head_study.LEAK, "AFCC, clusters of test images")):
        rows = of(main, moment="after", method=method)
        np.testing.assert_allclose(line(kept, label)[:, 1], 100 * rows["kept_fraction"])
    assert len(kept.lines) == 2 and kept.get_yscale() == "log"
    last = of(table, layer=13, moment="after")
    points, ends = bars(trade, "AFCC")
    rows = of(last, method="afcc").sort_values("kept_fraction")
    np.testing.assert_allclose(points, 100 * rows[["kept_fraction", "accuracy"]])
    np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
    assert [label.get_text().split()[-1] for label in trade.get_xticklabels()] == ["0.5", "0.3", "0.2", "0.1"]
    np.testing.assert_allclose(trade.lines[0].get_ydata(), 100 * of(last, method="dense")["accuracy"].iloc[0])


def test_gains_of_afcc_over_dense_stand_in_its_own_rows():
    table = tables()["masked_heads"]
    ahead, gains = (panels(draw("masked_heads", table))[place] for place in (2, 5))
    main = of(table, used=1, moment="after")
    for ax, rows in ((ahead, main), (gains, of(table, layer=13, moment="after"))):
        assert {one.get_label() for one in ax.containers} >= {"dense", "magnitude", "random"}
        assert "AFCC" not in {one.get_label() for one in ax.containers}
        for label, method, column in (("dense", "afcc", "difference"), ("magnitude", "magnitude", "ahead")):
            order = "layer" if ax is ahead else "kept_fraction"
            found = of(rows, method=method).sort_values(order)
            points, ends = bars(ax, label)
            np.testing.assert_allclose(points[:, 1], 100 * found[column])
            np.testing.assert_allclose(ends, 100 * found[[f"{column}_low", f"{column}_high"]])
    assert -9 < ahead.get_ylim()[0] < -7 and ahead.get_ylim()[1] < 2, "random masks far behind take no room"
    near = table.copy()
    rows = near["method"] == "random"
    near.loc[rows, ["ahead", "ahead_low", "ahead_high"]] = [0.04, 0.03, 0.045]
    assert panels(draw("masked_heads", near))[2].get_ylim()[1] > 4.5


@pytest.mark.filterwarnings("error")
def test_one_cut_and_a_single_threshold():
    table = heads_table(layers=[13]).assign(**CIFAR)
    draw("masked_heads", table[table["used"] == 1]).draw_without_rendering()


def test_widths_have_every_method_beside_each_other():
    table = tables()["masked_heads_by_width"]
    accuracy, ahead, kept = panels(draw("masked_heads_by_width", table))
    assert len(accuracy.containers) == len(head_study.METHODS) and len(kept.lines) == 2
    for method, label in (("afcc", "AFCC"), ("dense", "dense")):
        rows = of(table, method=method, moment="after")
        points, ends = bars(accuracy, label)
        np.testing.assert_allclose(points, np.stack([rows["width"], 100 * rows["accuracy"]], 1))
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
        assert accuracy.get_ylim()[1] > ends.max()
    rows = of(table, method="magnitude", moment="after")
    np.testing.assert_allclose(bars(ahead, "magnitude")[0][:, 1], 100 * rows["ahead"])
    assert [label.get_text() for label in kept.get_xticklabels()] == ["4", "8", "16", "32", "64"]


def test_convolutions_have_a_column_for_each_chain_on_one_scale():
    table = tables()["masked_convolutions"]
    gains = [f"{name}{end}" for name in ("ahead", "difference") for end in ("", "_low", "_high")]
    table.loc[table["first_layer"] == 8, gains] *= 1.5  # so that the first chain does not set the scale
    axes = panels(draw("masked_convolutions", table))
    above, below = axes[:3], axes[3:]
    assert [ax.get_title(loc="left") for ax in above] == [
        "layers 12 to 13, 1 pair",
        "layers 10 to 13, 3 pairs",
        "layers 8 to 13, 5 pairs",
    ]
    for first, up, down in zip((12, 10, 8), above, below, strict=True):
        rows = of(table, first_layer=first, moment="after", method="random").sort_values("kept_fraction")
        points, ends = bars(up, "random")
        np.testing.assert_allclose(points, 100 * rows[["kept_fraction", "accuracy"]])
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
        early = of(table, first_layer=first, moment="before", method="afcc").sort_values("kept_fraction")
        (faint,) = [one for one in up.lines if one.get_marker() == "o" and one.get_alpha()]
        np.testing.assert_allclose(faint.get_xydata(), 100 * early[["kept_fraction", "accuracy"]])
        assert faint.get_markerfacecolor() == "white"
        dense = of(table, first_layer=first, moment="after", method="dense").iloc[0]
        band = up.patches[0]
        heights = band.get_y(), band.get_y() + band.get_height()
        assert heights == pytest.approx((100 * dense["low"], 100 * dense["high"]))
        assert [label.get_text().split()[-1] for label in up.get_xticklabels()] == ["3", "2", "1"]
        assert {one.get_label() for one in down.containers} == {"dense", "magnitude", "random"}
    for row in (above, below):
        assert len({ax.get_ylim() for ax in row}) == 1
        lowest, highest = row[0].get_ylim()
        near = {one.get_label() for one in row[0].containers} - {"random"}
        shown = np.concatenate([bars(ax, label)[1].ravel() for ax in row for label in near])
        assert lowest < shown.min() and shown.max() < highest


@pytest.mark.filterwarnings("error")
def test_one_chain_and_one_overlap():
    fig = draw("masked_convolutions", convolutions_table(firsts=(4,), overlaps=(1,), seeds=1).assign(**GLYPHS))
    assert len(panels(fig)) == 2 and "≥ 1" in words(fig)


def test_truncation_marks_where_accuracy_levels_off():
    table = tables()["truncation"]
    above, below = panels(draw("truncation", table))
    drawn = line(above, "flat head on the layers as trained")
    np.testing.assert_allclose(drawn, np.stack([table["layer"], 100 * table["accuracy"]], 1))
    points, ends = bars(above, "all its weights retrained")
    again = table[table["layer"].isin((7, 10))]
    np.testing.assert_allclose(points, np.stack([again["layer"], 100 * again["retrained"]], 1))
    np.testing.assert_allclose(ends, 100 * again[["retrained_low", "retrained_high"]])
    strokes = {
        one.get_xdata()[0]: one.get_alpha()
        for one in above.lines
        if one.get_linewidth() == 7 and len(one.get_xdata())
    }
    assert set(strokes) == {9, 10} and strokes[10] == pytest.approx(2 * strokes[9])
    assert {text.get_text() for text in above.texts} == {"1 of 3", "2 of 3"}
    for label, name in (("multiply-adds", "multiply_adds_part"), ("parameters, head included", "parameters_part")):
        np.testing.assert_allclose(line(below, label)[:, 1], 100 * table[name])


@pytest.mark.filterwarnings("error")
def test_truncation_without_anything_retrained():
    above = panels(draw("truncation", truncation_table(cuts=()).assign(**CIFAR)))[0]
    assert not above.containers
    assert "all its weights retrained" not in [text.get_text() for text in above.get_legend().get_texts()]


def point_of(ax: Axes, x: float, y: float) -> ErrorbarContainer:
    (found,) = [one for one in ax.containers if np.allclose(one.lines[0].get_xydata(), [[x, y]])]
    return found


def test_networks_stand_where_their_cost_and_accuracy_are():
    table = tables()["smaller_networks"]
    left, right = panels(fig := draw("smaller_networks", table))
    names = " ".join(text.get_text() for text in fig.axes[2].texts)
    for row in table.itertuples():
        for ax, cost in ((left, row.latency_ms_1), (right, row.parameters / 1e6)):
            point = point_of(ax, cost, 100 * row.accuracy)
            level, upright = (np.array(bar.get_segments())[0] for bar in point.lines[2])
            np.testing.assert_allclose(upright[:, 1], [100 * row.low, 100 * row.high])
            assert (point.lines[0].get_markerfacecolor() == "white") == (not row.ours and row.design != "dense")
            if ax is left:
                np.testing.assert_allclose(level[:, 0], [row.latency_low_1, row.latency_high_1])
        assert row.design in names
    assert {"dense, as trained", "dense, retrained alike"} <= {text.get_text() for text in fig.axes[2].texts}
    looks = {tuple(np.ravel(one.lines[0].get_color())) for one in left.containers}
    assert len(looks) == 7, "a colour for each way to choose"


def test_front_band_and_what_is_aimed_at():
    table = tables()["smaller_networks"]
    for ax, column, scale, half in zip(
        panels(draw("smaller_networks", table)), ("latency_ms_1", "parameters"), (1, 1e-6), (1 / 2, 0.5), strict=True
    ):
        front = table[table["front_latency" if column == "latency_ms_1" else "front_parameters"] == 1]
        (steps,) = [one for one in ax.lines if one.get_drawstyle() == "steps-post"]
        wanted = front.sort_values(column)[[column, "accuracy"]].to_numpy() * (scale, 100)
        np.testing.assert_allclose(steps.get_xydata()[:-1], wanted)
        assert steps.get_xydata()[-1] == pytest.approx((ax.get_xlim()[1], wanted[-1, 1]))
        dense = table[table["design"] == "dense"]
        band = ax.patches[0]
        best = 100 * dense["accuracy"].max()
        assert (band.get_y(), band.get_height()) == pytest.approx((best - 1, 1))
        (aim,) = [one for one in ax.lines if one.get_linestyle() == "--"]
        np.testing.assert_allclose(aim.get_xdata(), half * scale * dense[column].iloc[0])


def test_every_point_has_its_number_in_both_panels_and_no_two_share_a_place():
    fig = draw("smaller_networks", tables()["smaller_networks"])
    listed = {text.get_text() for text in fig.axes[2].texts if text.get_text().isdigit()}
    assert listed == {str(number + 1) for number in range(len(every_design()) + 1)}
    for ax in panels(fig):
        numbers = [text for text in ax.texts if text.get_text().isdigit()]
        assert {text.get_text() for text in numbers} == listed
        boxes = [text.get_window_extent() for text in numbers]
        inside = ax.get_window_extent()
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in boxes)
        shared = sum(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])
        assert shared <= 1


@pytest.mark.filterwarnings("error")
def test_dense_alone_and_many_networks_with_long_names():
    draw("smaller_networks", pareto_table([Design()]).assign(**CIFAR)).draw_without_rendering()
    many = [
        Design(cut, rule="group norm", budget=budget) for cut in (7, 10, 13) for budget in np.linspace(0.1, 0.9, 12)
    ]
    fig = draw("smaller_networks", pareto_table([Design(), *many]).assign(**CIFAR))
    rows = [text.get_window_extent() for text in fig.axes[2].texts if text.get_text().isdigit()]
    assert not any(one.overlaps(other) for one, other in zip(rows, rows[1:], strict=False))
