"""The figures of the controls: the data in their artists, and what they say of values that have no place."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from singlefilter import drawing as look
from singlefilter.figures import files, registry
from singlefilter.studies.chance import charts as chance_charts
from singlefilter.studies.chance import tables as chance

COMMON = {"profile": "quick", "data": "embedded glyphs", "network": "VGG-16, d = 8", "seed": 1}
QUANTITIES = ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr")


def with_ends(names, value: float) -> dict[str, float]:
    return {f"{name}{end}": value * by for name in names for end, by in zip(look.ENDS, (1, 0.9, 1.2), strict=True)}


def thresholds_table(layers: int = 5) -> pd.DataFrame:
    rows = [
        {"cut": f"layer {m}", "layer": m, "threshold": t, "used": int(t == 0.3), "filters": 16}
        | with_ends(QUANTITIES, m / t)
        | with_ends(("tau_snr",), 0.5 + t / 3)
        | {"tau_n": -0.8, "tau_n_low": -0.9, "tau_n_high": -0.6}
        for t in (0.1, 0.3, 0.9)
        for m in range(1, layers + 1)
    ]
    return pd.DataFrame(rows)


def label_orders_table(layers: int = 5) -> pd.DataFrame:
    row = {"ascending": 4.0, "mean": 4.2, "sd": 0.1, "min": 3.8, "max": 4.4, "relative_change": 0.05}
    row |= {"changed": 0.25, "changed_low": 0.2, "changed_high": 0.3, "filters": 16, "orders": 100}
    rows = [
        {"cut": f"layer {m}", "layer": m, "quantity": quantity} | row
        for m in range(1, layers + 1)
        for quantity in ("N_c", "C_s", "n")
    ]
    return pd.DataFrame(rows)


def clusters_are_real_table(layers: int = 5) -> pd.DataFrame:
    """Layer 1: above no null; layer 2: below the untrained trunk; from layer 3 on: above all."""
    rows = []
    for m in range(1, layers + 1):
        apart = {1: (-0.1, 0.2), 2: (0.1, 0.3)}.get(m, (0.1, 0.3))
        verdict = chance.VERDICTS[{1: 2, 2: 1}.get(m, 0)]
        for k, model in enumerate(chance_charts.MODELS):
            row = {"cut": f"layer {m}", "layer": m, "model": model, "filters": 16, "draws": 10, "images": 500}
            row |= with_ends(("C_s", "shared", "largest", "N_c", "n", "snr", "dprime"), (4 - k) / 4)
            for name in ("C_s", "shared", "dprime"):
                low, high = (-0.3, -0.1) if (m, model) == (2, "untrained trunk") else apart
                row |= {f"{name}_above": (low + high) / 2, f"{name}_above_low": low, f"{name}_above_high": high}
            if model in chance.CHANCE:
                row |= dict.fromkeys(with_ends(("dprime", "dprime_above"), 1), np.nan)
            if model == "found":
                row |= {name: np.nan for name in row if "_above" in name}
            rows.append(row | {"verdict": verdict})
    return pd.DataFrame(rows)


def splits_table(layers: int = 5) -> pd.DataFrame:
    ratios = [f"{name}_ratio" for name in (*QUANTITIES, "dprime")]
    rows = [
        {"cut": f"layer {m}", "layer": m, "filters": 16, "filters_compared": 15}
        | with_ends(("jaccard", "kept", "chance"), 0.1 * m)
        | with_ends(ratios, 1 + 0.1 * m)
        for m in range(1, layers + 1)
    ]
    return pd.DataFrame(rows)


def seeds_table(layers: int = 5, training_seeds: tuple[int, ...] = (1, 2, 3)) -> pd.DataFrame:
    rows = [
        {"cut": f"layer {m}", "layer": m, "split": split, "training_seed": seed, "filters": 16, "images": 500}
        | with_ends(("accuracy",), 0.1 * m + 0.01 * seed)
        | with_ends(("N_c", "C_s", "n", "snr", "dprime"), m + 0.1 * seed)
        for seed in training_seeds
        for split in ("train", "test")
        for m in range(1, layers + 1)
    ]
    return pd.DataFrame(rows)


def control_tables(layers: int = 5) -> dict[str, pd.DataFrame]:
    return {
        "thresholds": thresholds_table(layers),
        "label_orders": label_orders_table(layers),
        "clusters_are_real": clusters_are_real_table(layers),
        "splits": splits_table(layers),
        "seeds": seeds_table(layers),
    }


def draw(name: str, table: pd.DataFrame):
    return registry.FIGURES[name].drawn(table.assign(**COMMON))


def words(fig) -> str:
    found = [text.get_text() for text in fig.findobj(lambda one: hasattr(one, "get_text"))]
    return " ".join(" ".join(found).split())


def line(ax, label: str) -> np.ndarray:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(found.get_xydata(), dtype=float)


@pytest.mark.parametrize("name", control_tables())
def test_published_from_the_table_and_drawn_again(name, tmp_path):
    fig = files.publish(name, control_tables()[name].assign(**COMMON), tmp_path)
    first = [(tmp_path / f"{name}{ending}").read_bytes() for ending in (".png", ".svg")]
    assert [path.read_bytes() for path in files.redraw(tmp_path)] == first
    assert look.BANNER in words(fig) and "n = " in words(fig)
    fig.draw_without_rendering()
    for ax in fig.axes:
        for text in (*ax.texts, *ax.get_yticklabels(), ax.title, ax._left_title):
            extent = text.get_window_extent()
            assert not text.get_text() or (extent.x0 >= -1 and extent.x1 <= fig.bbox.width + 1), text


def test_the_number_of_layers_is_free():
    for layers in (1, 2, 19):
        for name, table in control_tables(layers).items():
            assert "Data: embedded glyphs." in words(draw(name, table))


def test_thresholds_draw_a_line_each_and_the_trends():
    fig = draw("thresholds", thresholds_table())
    panels = {ax.get_title(loc="left"): ax for ax in fig.axes if ax.axison}
    noise = panels["(c) noise per filter, n (log)"]
    np.testing.assert_allclose(noise.lines[0].get_xydata(), [[m, m / 0.1] for m in range(1, 6)])
    widths = [one.get_linewidth() for one in noise.lines]
    assert len(widths) == 3 and widths[1] == max(widths) > widths[0], "the threshold in use stands out"
    (trend,) = [ax for title, ax in panels.items() if title.startswith("(e) trend")]
    bars = trend.containers[1].lines[2][0].get_segments()
    np.testing.assert_allclose([segment[:, 1] for segment in bars], [[-0.9, -0.6]] * 3)


def test_infinite_values_are_counted_not_drawn():
    table = thresholds_table()
    table.loc[0, ["snr", "snr_high"]] = np.inf
    assert "1 infinite: no noise" in words(draw("thresholds", table))


def test_label_orders_draw_the_range_in_percent():
    fig = draw("label_orders", label_orders_table())
    below = [ax for ax in fig.axes if ax.get_title(loc="left").endswith("change, %")]
    assert len(below) == 3
    for ax in below:
        heights = ax.collections[0].get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == pytest.approx((-5, 10))
    assert "in 25 % of a layer's filters" in words(fig)


def test_every_layer_and_null_has_its_mark():
    fig = draw("clusters_are_real", clusters_are_real_table())
    marks = fig.axes[0]
    asked = [text.get_text() for text in marks.texts if text.get_ha() == "right"]
    nulls = ("untrained network", "permuted labels", "random matrices")
    sizes = [f"{quantity}, {null}" for quantity in ("cluster size", "sharing") for null in nulls]
    assert asked == [*sizes, "field SNR, untrained network", "clusters are above"]
    colour = {
        (round(patch.get_x() + 0.45), round(patch.get_y() + 0.42)): patch.get_facecolor() for patch in marks.patches
    }
    assert len(colour) == 7 * 5
    level, above, below = (to_rgba(chance_charts._CELLS[name][1]) for name in ("level", "above", "below"))
    assert {colour[1, row] for row in range(7)} == {level}
    assert [colour[2, row] for row in range(3)] == [below, above, above]
    assert {colour[5, row] for row in range(7)} == {above}
    said = [text.get_text() for text in marks.texts]
    assert (said.count("none"), said.count("chance"), said.count("all")) == (1, 1, 3)


def test_without_an_untrained_trunk_it_is_not_spoken_of():
    table = clusters_are_real_table()
    fig = draw("clusters_are_real", table[table["model"] != "untrained trunk"])
    assert len(fig.axes[0].patches) == 4 * 5
    assert "ntrained" not in words(fig)


def test_splits_draw_shares_and_ratios():
    shares, noise, snr = draw("splits", splits_table()).axes
    np.testing.assert_allclose(line(shares, "in both / in either"), [[m, 10 * m] for m in range(1, 6)])
    np.testing.assert_allclose(line(noise, "internal"), [[m, 1 + 0.1 * m] for m in range(1, 6)])
    np.testing.assert_allclose(line(snr, "field SNR, d′"), [[m, 1 + 0.1 * m] for m in range(1, 6)])


def test_seeds_draw_mean_and_range_and_say_when_there_is_one():
    fig = draw("seeds", seeds_table())
    clusters = fig.axes[2]
    np.testing.assert_allclose(line(clusters, "training images"), [[m, m + 0.2] for m in range(1, 6)])
    heights = clusters.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((1.1, 5.3))
    assert "Training seeds: 1, 2, 3. n = 3 training seeds" in words(fig)
    alone = draw("seeds", seeds_table(training_seeds=(4,)))
    assert "Training seed: 4. n = 1 training seed, spread not known" in words(alone)
    heights = alone.axes[2].collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.9 * 1.4, 1.2 * 5.4))
