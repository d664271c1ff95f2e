"""Profiles: those that ship are sound, and every mistake in one of one's own is named."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singlefilter import profiles, store
from singlefilter.pipeline import stages

HEAD = "purpose: a test\nminutes: 1\n"
GLYPHS = "data: {name: glyphs, labels: 5, train_per_label: 2, test_per_label: 2}\n"


def load(tmp_path, text: str) -> profiles.Profile:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return profiles.load(path)


def test_the_shipped_profiles():
    of_papers = ("paper", "paper-efficientnet", "paper-imagenet")
    of_laptops = ("laptop", "laptop-d32", "laptop-d64", "laptop-efficientnet", "laptop-transformer")
    assert profiles.available() == ("glyphs-1000", *of_laptops, *of_papers, "quick")
    for name in profiles.available():
        profile = profiles.load(name)
        assert profile.name == name
        assert profile.minutes > 0
        assert profile.purpose
    quick, laptop, paper = (profiles.load(name) for name in ("quick", "laptop", "paper"))
    assert (quick.data.name, quick.network.width) == ("glyphs", 8)
    assert (laptop.data.name, laptop.network.depth, laptop.network.width) == ("cifar100", 16, 16)
    assert (paper.network.width, paper.network.hidden, paper.training.epochs) == (64, (4096, 4096), 300)
    assert (paper.heads.epochs, paper.heads.learning_rate, paper.heads.factor) == (200, 0.01, 0.975)
    short = dict(paper.choice.recipes)["short"]
    assert (paper.choice.held_out, short.epochs, short.schedule, short.label_smoothing) == (50, 100, "cosine", 0.1)
    for recipe in (paper.training, short):  # no smaller last batch, which would be compiled as well
        assert 50_000 % recipe.batch == 0 and (50_000 - 100 * paper.choice.held_out) % recipe.batch == 0
    assert quick.choice is None and laptop.choice is None
    assert quick.analysis.threshold == laptop.analysis.threshold == paper.analysis.threshold == 0.3


def test_a_file_of_ones_own(tmp_path):
    profile = load(tmp_path, HEAD + GLYPHS + "training: {learning_rate: 1}\nnetwork: {hidden: [8, 4]}\n")
    assert profile.name == "mine"
    assert isinstance(profile.training.learning_rate, float)
    assert profile.network.hidden == (8, 4)
    assert profile.heads == profiles.Heads()
    assert hash(profile) == hash(
        load(tmp_path, HEAD + GLYPHS + "training: {learning_rate: 1.0}\nnetwork: {hidden: [8, 4]}")
    )


def test_frozen():
    profile = profiles.load("quick")
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.seed = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.training.epochs = 2


MISTAKES = [
    ("sed: 1", r"mine.yaml: unknown key sed, did you mean seed\?"),
    ("training: {epoch: 3}", r"unknown key training.epoch, did you mean epochs\?"),
    ("heads: {lerning_rate: 0.1}", r"unknown key heads.lerning_rate, did you mean learning_rate\?"),
    ("xyz: 1", "unknown key xyz; known here: name, purpose"),
    ("seed: one", "seed has to be int, not 'one'"),
    ("seed: true", "seed has to be int, not True"),
    ("seed: 1.5", "seed has to be int, not 1.5"),
    ("seed: -1", "seed: -1 given, it cannot be negative"),
    ("training: {flip: 1}", "training.flip has to be bool, not 1"),
    ("training: {learning_rate: true}", "training.learning_rate has to be float, not True"),
    ("training: {learning_rate: 1e-3}", r"training.learning_rate .* '1e-3' \(YAML reads this as text: write 0.001\)"),
    ("training: {weight_decay: quite a lot}", "training.weight_decay has to be float, not 'quite a lot'$"),
    ("training: {weight_decay: .nan}", "training.weight_decay: nan given"),
    ("training: {warmup_epochs: -1}", "training.warmup_epochs: -1.0 given, it cannot be negative"),
    ("training: 3", "training is a group of keys, not 3"),
    ("training:", "training is a group of keys, not None"),
    ("training: {epochs: -1}", "training.epochs: -1 given, it cannot be negative"),
    ("heads: {epochs: 0}", "heads.epochs: 0 given, a head is trained for at least 1"),
    ("training: {batch: 0}", "training.batch: 0 given"),
    ("training: {precision: float16}", "training.precision: 'float16' is none of float32, bfloat16; did you mean"),
    ("heads: {precision: bfloat16}", "heads.precision: bfloat16 given, heads are .* trained in float32"),
    (
        "network: {name: efficientnet_b0}\ntraining: {precision: bfloat16}",
        "training.precision: bfloat16 given, in which depthwise convolutions are slower on a CPU",
    ),
    ("training: {learning_rate: .nan}", "training.learning_rate: nan given"),
    ("training: {momentum: 1}", "training.momentum: 1.0 given"),
    ("training: {momentum: 0}", "training.momentum: Nesterov"),
    ("training: {schedule: cosin}", r"training.schedule: 'cosin' is none of step, cosine; did you mean cosine\?"),
    ("network: {hidden: 4096}", "network.hidden is a list, not 4096"),
    ("network: {hidden: [4.5]}", "network.hidden has to be int, not 4.5"),
    ("network: {hidden: [0]}", "network.hidden: 0 given, at least 1"),
    ("network: {depth: 17}", "network.depth: 17 given, VGG comes in 8, 11, 13, 16, 19"),
    ("network: {name: vgg16}", r"network.name: 'vgg16' is none of .* did you mean vgg\?"),
    ("network: {weights: imagenet}", "network.weights: only efficientnet_b0"),
    ("network: {name: cct, width: 10}", "network.attention_heads: 4 given, they have to divide the width, 10 nodes"),
    ("network: {name: cct, depth: 101}", "network.depth: 101 given, a transformer has 1 to 100 blocks"),
    ("network: {name: cct, hidden: [8]}", "network.hidden: 8 given, a transformer ends in one linear layer"),
    ("network: {attention_heads: 2}", "network.attention_heads: 2 given, it is a key of the network cct alone"),
    ("network: {name: efficientnet_b0, halvings: 3}", "network.halvings: 3 given, it is a key of the network cct"),
    ("network: {name: cct, depth: 2}\nafcc: {}", "afcc: what is pruned are convolutions"),
    ("heads: {kinds: [flat, attention]}", "mine.yaml: heads.kinds: attention given, but vgg has none; it has"),
    (
        "by_width: {widths: [2], data: {name: cifar10}, heads: {kinds: [flat, attention]}}",
        "by_width.heads.kinds: attention given, but vgg has none; it has",
    ),
    ("transformer: {network: {depth: 11}}", "transformer.network.name: vgg given, the transformer here is cct"),
    ("transformer: {training: {epochs: 0}}", "transformer.training.epochs has to be above 0"),
    ("transformer: {heads: {kinds: [flat]}}", "transformer.heads.kinds: flat given, attention has to be among them"),
    ("heads: {views: -1}", "heads.views: -1 given, it cannot be negative"),
    ("heads: {views_gib: 0}", "heads.views_gib: 0.0 given, it has to be above 0"),
    ("heads: {kinds: [pooled]}", "heads.kinds: the flat head"),
    ("heads: {kinds: [flat, poled]}", r"did you mean pooled\?"),
    ("analysis: {threshold: 0}", "analysis.threshold: 0.0 given, it has to lie between 0 and 1"),
    ("analysis: {threshold: 1}", "analysis.threshold: 1.0 given"),
    ("analysis: {resamples: 10}", "analysis.resamples: 10 given"),
    ("analysis: {splits: [test]}", "analysis.splits: the training split"),
    ("part: {labels: 2}", "part.labels: 2 given, at least 3"),
    ("part: {draw: -1}", "part.draw: -1 given"),
    ("part: {train_per_label: 0}", "part.train_per_label: 0 given"),
    ("part: {held_out: -1}", "part.held_out: -1 given, it cannot be negative"),
    ("part: {held_out: 2}", "part.held_out: 2 given, but there are 2 training images of each label"),
    ("part: {held_out: 1, train_per_label: 1}", "part.held_out: 1 given, but there are 1 training images"),
    ("choice: {recipes: {short: {}}}", "choice.held_out: 0 given, at least 1 image of every label"),
    ("choice: {held_out: 1}", "choice.recipes: empty, name at least one recipe"),
    ("choice: {held_out: 1, recipes: {own: {}}}", "choice.recipes: own is what the profile's own training is called"),
    ("choice: {held_out: 1, recipes: {short: {epochs: 0}}}", "choice.recipes.short.epochs: 0 given"),
    ("choice: {held_out: 1, recipes: {short: {epoch: 3}}}", r"choice.recipes.short.epoch, did you mean epochs\?"),
    ("choice: {held_out: 1, recipes: {short: {batch: 0}}}", "choice.recipes.short.batch: 0 given"),
    ("choice: {held_out: 1, recipes: {short: 3}}", "choice.recipes.short is a group of keys, not 3"),
    ("choice: {held_out: 1, recipes: [short]}", "choice.recipes has groups of keys by name, not"),
    ("choice: {held_out: 1, recipes: {1: {}}}", "choice.recipes has groups of keys by name, not"),
    ("choice: {held_out: 2, recipes: {short: {}}}", "choice.held_out: 2 given, but there are 2 training images"),
    (
        "part: {held_out: 1}\nchoice: {held_out: 1, recipes: {short: {}}}",
        "part.held_out: 1 given, but the group choice",
    ),
    (
        "training: {epochs: 0}\nchoice: {held_out: 1, recipes: {short: {}}}",
        "choice: the profile's own training has no",
    ),
    ("controls: {seeds: []}", "controls.seeds: nothing given"),
    ("controls: {seeds: [1, 1]}", "controls.seeds: 1, 1 given"),
    ("controls: {orders: 0}", "controls.orders: 0 given"),
    ("controls: {thresholds: [0.3, 1]}", "controls.thresholds: 0.3, 1.0 given"),
    ("by_labels: {counts: []}", "by_labels.counts: empty"),
    ("by_labels: {}", "by_labels.counts: empty"),
    ("by_labels: {counts: [3.5]}", "by_labels.counts has to be int, not 3.5"),
    ("by_labels: {counts: [2, 3]}", "by_labels.counts: 2 given, at least 3 labels"),
    ("by_labels: {counts: [3, 3]}", "by_labels.counts: 3, 3 given, each number once"),
    ("by_labels: {counts: [3], subsets: 0}", "by_labels.subsets: 0 given"),
    ("by_labels: {counts: [3], in_all: -1}", "by_labels.in_all: -1 given"),
    ("by_labels: {counts: [3], depths: []}", "by_labels.depths: nothing given"),
    ("by_labels: {counts: [3], depths: [17]}", "by_labels.depths: 17 given, VGG comes in"),
    ("by_labels: {counts: [3], width: 0}", "by_labels.width: 0 given, at least 1"),
    ("by_labels: {counts: [3], seeds: [-1]}", "by_labels.seeds: -1 given"),
    ("by_labels: {counts: [3], steps: -1}", "by_labels.steps: -1 given"),
    ("by_labels: {counts: [3], train_per_label: 0}", "by_labels.train_per_label: 0 given"),
    ("by_labels: {counts: [3], training: {epochs: 0}}", "by_labels.training.epochs has to be above 0"),
    ("by_width: {depths: [16]}", "by_width.widths: empty"),
    ("by_width: {widths: [0]}", "by_width.widths: 0 given"),
    ("limits: {cell_minutes: 0}", "limits.cell_minutes: 0.0 given, it has to be above 0"),
    ("limits: {cell_minutes: .inf}", "limits.cell_minutes: "),
    ("limits: {cell_minute: 5}", "unknown key limits.cell_minute, did you mean cell_minutes?"),
    ("analysis: {splits: [train, val]}", "analysis.splits: 'val' is none of train, test"),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_every_mistake_is_named(tmp_path, line, message):
    with pytest.raises(profiles.ProfileError, match=message):
        load(tmp_path, HEAD + GLYPHS + line)


DATA_MISTAKES = [
    ("{name: cifar10, labels: 2}", "data.labels: 2 given, at least 3"),
    ("{name: cifar10, image_size: 4}", "data.image_size: 4 given, at least 8"),
    ("{name: ../else}", r"data.name: '../else' given, a data set has the name of a folder"),
    ("{name: glyphs, train_per_label: 2, test_per_label: 2}", r"data.labels: .* \(3 to 1000\)"),
    ("{name: glyphs, labels: 2, train_per_label: 2, test_per_label: 2}", "data.labels: 2 given"),
    (
        "{name: glyphs, labels: 1001, train_per_label: 2, test_per_label: 2}",
        "data.labels: 1001 given, there are 1000",
    ),
    ("{name: glyphs, labels: 5, train_per_label: 2}", "data.test_per_label: glyphs are drawn on demand"),
    ("{name: glyphs, labels: 5, train_per_label: 0, test_per_label: 2}", "data.train_per_label: 0 given"),
    ("{name: glyphs, labels: 5, train_per_label: 2, test_per_label: 2, image_size: 64}", "data.image_size: glyphs"),
]


@pytest.mark.parametrize(("group", "message"), DATA_MISTAKES)
def test_mistakes_in_the_data(tmp_path, group, message):
    with pytest.raises(profiles.ProfileError, match=message):
        load(tmp_path, HEAD + f"data: {group}\n")


def test_what_has_to_be_there(tmp_path):
    with pytest.raises(profiles.ProfileError, match="mine.yaml: missing purpose, minutes"):
        load(tmp_path, GLYPHS)


@pytest.mark.parametrize("text", ["a: [1", "purpose: 'open", "\t- x"])
def test_not_yaml(tmp_path, text):
    with pytest.raises(profiles.ProfileError, match="mine.yaml: not valid YAML"):
        load(tmp_path, text)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "3"])
def test_not_a_mapping(tmp_path, text):
    with pytest.raises(profiles.ProfileError, match="mine.yaml: a profile is a mapping"):
        load(tmp_path, text)


def test_not_a_text_file(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(profiles.ProfileError, match="mine.yaml: cannot be read"):
        profiles.load(tmp_path / "mine.yaml")


def test_no_such_profile(tmp_path):
    with pytest.raises(
        profiles.ProfileError,
        match=r"no profile named 'quik': there are .*, laptop, .*paper, .*quick.*did you mean quick",
    ):
        profiles.load("quik")
    with pytest.raises(profiles.ProfileError, match=r"away.yaml: cannot be read \(No such file"):
        profiles.load(tmp_path / "away.yaml")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=3))
def test_any_value_is_taken_or_named(value):
    """Whatever stands behind a key, the profile is built or the error names file and key."""
    content = {"name": "x", "purpose": "p", "minutes": 1, "network": {"width": value}}
    content["data"] = {"labels": 5, "train_per_label": 1, "test_per_label": 1}
    try:
        built = profiles.from_mapping(content, "mine.yaml")
    except profiles.ProfileError as error:
        assert str(error).startswith("mine.yaml: network.width")
    else:
        assert type(built.network.width) is int
        assert built.network.width == value


def test_limits_of_notebooks_are_no_part_of_what_is_trained(home, tmp_path):
    own = load(tmp_path, HEAD + GLYPHS + "limits: {cell_minutes: 5, notebook_minutes: 10}")
    assert (own.limits.cell_minutes, own.limits.notebook_minutes) == (5, 10)
    before = load(tmp_path, HEAD + GLYPHS)
    assert "limits" not in store.plain(before)
    configs = [stages.configs(stages.Run(profile)) for profile in (own, before)]
    assert store.digest(configs[0]) == store.digest(configs[1])
