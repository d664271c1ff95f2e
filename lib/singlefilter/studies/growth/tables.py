"""Tables of how results grow with the number of labels, and of how noise falls with the number of filters.

One row per point of a figure, from the networks of `series`; which figure has which columns is in `charts`.
Sections refer to the method that the companion follows.
"""

from __future__ import annotations

import dataclasses
import functools

import pandas as pd

from singlefilter import data, profiles, store, tablefiles
from singlefilter.method import statistics
from singlefilter.pipeline import stages
from singlefilter.studies import rules
from singlefilter.studies.growth import claims as growth_claims
from singlefilter.studies.growth import laws, series, summaries

QUANTITIES = ("accuracy", "N_c", "C_s", "n", "snr", "covered", "dprime")
FIRST_LOOK = "quick"  # a profile whose networks are too small to be held beside those of the others
OTHERS = "trends_by_labels"  # the table in which claim C5 finds the networks of other profiles


@functools.lru_cache(maxsize=2)
def networks_by_labels(run: stages.Run) -> pd.DataFrame:
    """Every network of the profile's `by_labels`, trained where it is not yet: `series.observations`."""
    items = series.by_labels(run)
    series.complete(items)
    return series.observations(items)


@functools.lru_cache(maxsize=2)
def restricted_by_labels(run: stages.Run) -> pd.DataFrame:
    """Networks on all labels, their answers restricted to each subset: `series.restricted`."""
    networks_by_labels(run)  # trained in parallel
    return series.restricted(series.by_labels(run))


def curves(run: stages.Run) -> dict[str, pd.DataFrame]:
    """The error against K in several ways, by the name of the curve; a row for each network.

    First the network that is claimed about, with a fixed number of images per label; then with a fixed number of
    images in all; one network on all labels with restricted answers; the first network cut after earlier layers;
    and other depths.
    """
    table = networks_by_labels(run)
    first, *others = run.profile.by_labels.depths
    found = {}
    for (curve, depth), of_curve in table.groupby(["curve", "depth"], sort=False):
        name = f"VGG-{depth}" if curve == series.PER_LABEL else f"VGG-{depth}, {curve} fixed"
        last = of_curve["layer"].max()
        found[name] = of_curve[of_curve["layer"] == last]
        if curve == series.PER_LABEL and depth == first:
            cut = of_curve[of_curve["layer"] < last]
            early = {f"VGG-{depth} cut after layer {layer}": rows for layer, rows in cut.groupby("layer")}
    found[f"VGG-{first}, all labels, answers restricted"] = restricted_by_labels(run)
    deepest = f"VGG-{first}"
    shallow = [f"VGG-{depth}" for depth in others]
    middle = [name for name in found if name != deepest and name not in shallow]
    ordered = {name: found[name] for name in (deepest, *middle)} | early | {name: found[name] for name in shallow}
    return {name: rows.reset_index(drop=True) for name, rows in ordered.items()}


def error_by_labels(run: stages.Run) -> pd.DataFrame:
    """Error on test images, mean and maximum over label subsets, of every curve at every K.

    Columns: series (name of the curve), shows ("mean", "max"), labels, error (fraction), low, high, subsets,
    networks; images (of training, per label) and epochs of the networks at that K.
    """
    rows = []
    for name, networks in curves(run).items():
        table = summaries.summaries(networks, "error", run.profile.analysis.resamples, run.profile.seed)
        table = table.rename(columns={"value": "error", "seeds": "networks"})
        if "images" in networks:
            trained = networks.groupby("labels")[["images", "epochs"]].first().reset_index()
        else:  # all answers come from the networks on all labels
            whole = _first(run).sort_values("labels").iloc[-1]
            trained = pd.DataFrame({"labels": table["labels"].unique()}).assign(
                images=whole["images"], epochs=whole["epochs"]
            )
        rows.append(table.merge(trained, on="labels").assign(series=name))
    columns = ["series", "shows", "labels", "error", "low", "high", "subsets", "networks", "images", "epochs"]
    return _of_small_networks(run, pd.concat(rows, ignore_index=True)[columns])


def laws_of_error(run: stages.Run) -> pd.DataFrame:
    """The laws fitted to every curve with at least four K: to its mean, and of the first curve to its maximum too.

    Columns: series, shows, law ("linear", "power", "logarithm", "family"), a, b, exponent (rho of the power law,
    lambda of the family) with exponent_low and exponent_high, aicc, delta, held_out; K (how many different K).
    Raises `ValueError` when no curve has four.
    """
    settings = (run.profile.analysis.resamples, run.profile.seed)
    rows = []
    for place, (name, networks) in enumerate(curves(run).items()):
        different = networks["labels"].nunique()
        if different < laws.FEWEST_LABELS:
            continue
        for shows in ("mean", "max") if place == 0 else ("mean",):
            compared = laws.compare(networks, "error", shows, *settings)
            value, low, high = laws.family_exponent(networks, "error", shows, *settings)
            family = {"law": laws.FAMILY, "exponent": value, "exponent_low": low, "exponent_high": high}
            table = pd.concat([compared, pd.DataFrame([family])], ignore_index=True)
            rows.append(table.assign(series=name, shows=shows, K=different))
    if not rows:
        raise ValueError(f"no curve has {laws.FEWEST_LABELS} different K; name more in by_labels.counts")
    columns = ["series", "shows", "law", "a", "b", "exponent", "exponent_low", "exponent_high"]
    columns += ["aicc", "delta", "held_out", "K"]
    return _of_small_networks(run, pd.concat(rows, ignore_index=True)[columns])


def statistics_by_labels(run: stages.Run) -> pd.DataFrame:
    """Accuracy, clusters, noise and SNR of the first network at each of its cuts and each K, means over subsets.

    Columns: layer, labels, subsets, networks, and `QUANTITIES` with `_low` and `_high`.  A quantity that one of the
    networks does not have (C_s without a cluster, SNR without noise) is NaN.
    """
    resamples, seed = run.profile.analysis.resamples, run.profile.seed
    rows = []
    for layer, networks in _first(run).groupby("layer"):
        for labels, at_k in networks.groupby("labels"):
            row = {"layer": layer, "labels": labels, "subsets": at_k["subset"].nunique(), "networks": len(at_k)}
            for name in QUANTITIES:
                value = low = high = float("nan")
                if pd.notna(at_k[name]).all() and at_k[name].abs().max() < float("inf"):
                    mean = summaries.summaries(at_k, name, resamples, seed).set_index("shows").loc["mean"]
                    value, low, high = mean["value"], mean["low"], mean["high"]
                row |= {name: value, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return _of_small_networks(run, pd.DataFrame(rows), run.profile.by_labels.depths[:1])


def trends_by_labels(run: stages.Run) -> pd.DataFrame:
    """Accuracy and SNR at every cut of every network of the first depth, images per label fixed: a row for each.

    Columns: labels, subset, seed_of_network, layer, accuracy, snr.
    """
    table = _first(run).rename(columns={"seed": "seed_of_network"})
    columns = ["labels", "subset", "seed_of_network", "layer", "accuracy", "snr"]
    return _of_small_networks(run, table[columns].reset_index(drop=True), run.profile.by_labels.depths[:1])


def noise_by_width(run: stages.Run) -> pd.DataFrame:
    """Noise per filter at the last cut, and accuracy of its head, of every network of the profile's `by_width`.

    Columns: depth, width, filters (in the layer), network_seed, n with n_low and n_high from a bootstrap over
    filters, accuracy, labels, images (per label), epochs.
    """
    items = series.by_width(run)
    series.complete(items)
    last = series.observations(items).sort_values("layer").groupby(["depth", "width", "seed"]).last().reset_index()
    noise = series.noise(items).groupby(["depth", "width", "seed"])["noise"]
    rows = []
    for row in last.to_dict("records"):
        of_filters = noise.get_group((row["depth"], row["width"], row["seed"])).to_numpy()
        settings = (run.profile.analysis.resamples, run.profile.seed)
        mean, low, high = (float(value) for value in statistics.mean_interval(of_filters, *settings))
        kept = {name: row[name] for name in ("depth", "width", "filters")} | {"network_seed": row["seed"]}
        kept |= {"n": mean, "n_low": low, "n_high": high}
        rows.append(kept | {name: row[name] for name in ("accuracy", "labels", "images", "epochs")})
    return _of_widths(run, pd.DataFrame(rows))


def claims(run: stages.Run) -> pd.DataFrame:
    """The claims about growth that the profile has networks for, by the rules of `claims`.

    C5 gathers the profile's own networks and those whose table other profiles left in `figures/`, so that together
    they may reach from 3 to 1,000 labels.  A claim about networks one of which answers no better than chance is
    undecided, whatever its statistic.
    """
    settings = (run.profile.analysis.resamples, run.profile.seed)
    tables = []
    if run.profile.by_labels is not None:
        of_curves = list(curves(run).values())
        decided = [
            growth_claims.claim_c4(of_curves[0], *settings),
            growth_claims.claim_c6(of_curves[0], *settings),
        ]
        if len(run.profile.by_labels.depths) > 1:  # a shallow network, to hold the deep one against
            decided.append(growth_claims.claim_c8(of_curves[0], of_curves[-1], *settings))
        main = [item for item in series.by_labels(run) if item.curve == series.PER_LABEL]
        tables.append(_of_small_networks(run, _if_learned(decided, main)))
        gathered = _gathered(run)
        one_by_one = gathered.drop(columns="seed").rename(columns={"seed_of_network": "seed"})
        c5 = growth_claims.claim_c5(one_by_one, *settings)
        where = {name: "; ".join(gathered[name].unique()) for name in ("title", "network")}
        deep = [item for item in main if item.depth == run.profile.by_labels.depths[0]]
        row = _of_small_networks(run, _if_learned([c5], deep))
        tables.append(row.assign(data=where["title"], network=where["network"]))
    if run.profile.by_width is not None:
        noise_by_width(run)  # trained in parallel
        c9 = growth_claims.claim_c9(series.noise(series.by_width(run)), *settings)
        tables.append(_of_widths(run, _if_learned([c9], series.by_width(run))))
    return pd.concat(tables, ignore_index=True).sort_values("claim", kind="stable") if tables else pd.DataFrame()


def _if_learned(decided: list[rules.Claim], items: list[series.Item]) -> pd.DataFrame:
    """Claims about some networks, a row each; undecided, and why, where a network is at chance."""
    table = pd.DataFrame(map(dataclasses.asdict, decided))
    if idle := series.at_chance(items):
        table["statistic"] += f"; {len(idle)} of {len(items)} networks at chance"
        table["verdict"] = "undecided"
    return table


def _first(run: stages.Run) -> pd.DataFrame:
    """Networks of the first depth with a fixed number of images per label, all cuts."""
    table = networks_by_labels(run)
    return table[(table["curve"] == series.PER_LABEL) & (table["depth"] == run.profile.by_labels.depths[0])]


def _gathered(run: stages.Run) -> pd.DataFrame:
    """`trends_by_labels` of this profile and of the others that have one; `data` tells them apart."""
    own = trends_by_labels(run).assign(profile=run.profile.name)
    tables = [own.assign(title=own["data"])]
    for path in sorted((store.project_root() / "figures").glob(f"*/{OTHERS}.csv")):
        if FIRST_LOOK in (run.profile.name, path.parent.name) or path.parent.name == run.profile.name:
            continue
        other = tablefiles.read_table(path)
        tables.append(other.assign(title=other["data"]))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(data=table["profile"] + ": " + table["title"])


def _of_small_networks(run: stages.Run, table: pd.DataFrame, depths: tuple[int, ...] = ()) -> pd.DataFrame:
    config = run.profile.by_labels
    return _of_series(table, config, f"{_vgg(depths or config.depths)}, d = {config.width}")


def _of_widths(run: stages.Run, table: pd.DataFrame) -> pd.DataFrame:
    config = run.profile.by_width
    return _of_series(table, config, f"{_vgg(config.depths)}, d = {min(config.widths)} to {max(config.widths)}")


def _vgg(depths: tuple[int, ...]) -> str:
    return ", ".join(f"VGG-{depth}" for depth in depths)


def _of_series(table: pd.DataFrame, config: profiles.ByLabels | profiles.ByWidth, network: str) -> pd.DataFrame:
    """The table with the data, networks and seeds of the series, which are not those of the profile's own network."""
    seeds = ", ".join(map(str, config.seeds))
    return table.assign(data=data.title(config.data.name), network=network, seed=seeds)
