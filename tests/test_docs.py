"""The pages tell the truth: links lead somewhere, cited sections exist, numbers are those of code and profiles."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from singlefilter import afcc, profiles
from singlefilter.method import clusters, fields, statistics
from singlefilter.studies.growth import rules as growth
from singlefilter.studies.layers import claims as layers
from singlefilter.studies.pruning import claims as pruning
from singlefilter.studies.rules import TAU

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "DEVIATIONS.md",
    "CONTRIBUTING.md",
    *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md")),
)
LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
SECTIONS = re.compile(r"\bsections?\s+(\d+(?:(?:,\s*|\s+(?:and|to)\s+)\d+)*)", re.IGNORECASE)
NUMBERED = re.compile(r"(?:row |section )?(?P<number>\d+)")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """A page without what is code in it, where brackets are no links."""
    return re.sub(r"```.*?```|`[^`\n]*`", "", read(page), flags=re.DOTALL)


def anchors(page: str) -> list[str]:
    """What a link into a page may name: its headings, as GitHub and MyST write them, and the ids given by hand."""
    text = re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
    titles = [title.strip().lower() for title in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)]
    return [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles] + re.findall(r'id="([^"]+)"', text)


def broken(page: str) -> list[str]:
    """Targets of relative links of a page that are not there."""
    found = []
    for link in LINK.finditer(prose(page)):
        path, _, anchor = link["target"].partition("#")
        if ":" in path:
            continue
        there = (ROOT / page).parent / path if path else ROOT / page
        named = there.resolve().relative_to(ROOT).as_posix() if there.exists() else None
        if named is None or (anchor and anchor not in anchors(named)):
            found.append(link["target"])
    return found


def cited(text: str) -> set[int]:
    """Numbers of the sections that a text names: "section 3", "sections 4, 6 and 9", "sections 3 to 5"."""
    numbers = set()
    for found in SECTIONS.finditer(text):
        listed = re.sub(
            r"(\d+)\s+to\s+(\d+)", lambda ends: " ".join(map(str, range(int(ends[1]), int(ends[2]) + 1))), found[1]
        )
        numbers |= set(map(int, re.findall(r"\d+", listed)))
    return numbers


def sections() -> set[int]:
    return set(map(int, re.findall(r"^## (\d+)\. ", read("docs/method.md"), flags=re.MULTILINE)))


def row(number: int) -> str:
    """What DEVIATIONS says in a row, as one line."""
    return next(line for line in read("DEVIATIONS.md").splitlines() if f'id="row-{number}"' in line)


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_and_anchors_lead_somewhere(page):
    assert broken(page) == []


@pytest.mark.parametrize("page", PAGES)
def test_no_anchor_is_there_twice(page):
    assert [name for name, times in Counter(anchors(page)).items() if times > 1] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_to_rows_and_sections_lead_to_the_number_they_name(page):
    for link in LINK.finditer(prose(page)):
        said, there = NUMBERED.fullmatch(link["text"]), re.search(r"#(?:row-)?(\d+)", link["target"])
        if said and there:
            assert said["number"] == there[1], link[0]


def test_sections_are_numbered_without_a_gap():
    assert sections() == set(range(1, max(sections()) + 1))


def test_every_section_that_code_and_notebooks_cite_is_on_the_page():
    sources = [
        *ROOT.glob("lib/**/*.py"),
        *ROOT.glob("notebooks/*.ipynb"),
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
    ]
    by_file = {path: cited(path.read_text(encoding="utf-8")) for path in sources}
    unknown = {path.name: numbers - sections() for path, numbers in by_file.items() if numbers - sections()}
    assert unknown == {}
    of_library = [numbers for path, numbers in by_file.items() if path.suffix == ".py" and numbers]
    assert len(of_library) > 20 and set().union(*of_library) >= set(range(1, 11))  # citations are found at all


def test_citations_are_read_whole():
    assert cited("Source: section 3.") == {3}
    assert cited("Sections 4,\n    6 and 9; sections 2 to 5 and 10") == {4, 6, 9, 2, 3, 5, 10}


def test_the_example_of_the_method_page_is_what_the_library_computes():
    page = read("docs/method.md")
    blocks = [
        np.array([[int(number) for number in re.findall(r"-?\d+", line)[1:]] for line in block.strip().splitlines()])
        for block in re.findall(r"```text\n(.*?)```", page, flags=re.DOTALL)
    ]
    means, weights, matrices, logits, ones, masked, stripes = blocks
    means, weights = (block.reshape(4, 2, 2) for block in (means, weights))  # [label, filters, positions]
    found = fields.field_matrices(means, weights)  # [filters, true_label, out_label]
    clipped = clusters.clip(found)
    of_labels = clusters.find(clipped)
    np.testing.assert_array_equal(np.hstack(found), matrices)
    np.testing.assert_array_equal(found.sum(0), logits)
    np.testing.assert_array_equal(np.hstack(clipped), ones)
    np.testing.assert_array_equal(of_labels, [[0, 0, 1, -1], [-1, 0, -1, 0]])
    assert "Filter 0 has the clusters {0, 1} and {2}" in page and "Filter 1 has the single cluster {1, 3}" in page

    counts = statistics.count_filters(clipped, of_labels)
    layer = statistics.layer_statistics(counts, labels=4, resamples=100)
    expected = {"N_c": 3 / 2, "C_s": 5 / 3, "n": 5 / 2, "S": 5 / 4, "X_internal": 1 / 3, "X_external": 5 / 12}
    assert {name: layer[name] for name in expected} == pytest.approx(expected)
    assert layer["snr"] == pytest.approx(5 / 3)
    for said in (
        "$N_c$ = 3/2",
        "$C_s$ = 5/3",
        "$n$ = 5/2",
        "$S = 5/4$",
        "1/3 is internal and 5/12 external",
        "SNR = 5/3",
    ):
        assert said in page
    dprime = statistics.dprime(logits, np.arange(4))
    shown = [f"{value:.2f}" for value in (*dprime, dprime.mean())]
    assert "$d'$ = {}, {}, {} and {}, on average {}".format(*shown) in " ".join(page.split())

    mask = afcc.head_mask(of_labels)
    np.testing.assert_array_equal(fields.field_matrices(means, weights * mask.numpy()[:, :, None]).sum(0), masked)
    assert f"a kept fraction of {100 * afcc.kept_fraction(mask):.1f} %" in " ".join(page.split())
    assert (logits.argmax(1) == np.arange(4)).all() and (masked.argmax(1) == np.arange(4)).all()
    assert [afcc.convolution_mask(of_labels[:1], of_labels[1:], overlap).item() for overlap in (1, 2)] == [
        True,
        False,
    ]

    one_position = clusters.clip(np.outer([3, 2, 0, 1], [2, 3, 1, 0])[None])
    np.testing.assert_array_equal(one_position[0], stripes)
    assert clusters.find(one_position).tolist() == [[0, 0, -1, -1]]


def test_the_order_of_labels_changes_clusters_as_the_method_page_says():
    path = np.array([[[1, 1, 0], [1, 1, 1], [0, 1, 1]]], bool)
    assert clusters.find(path).tolist() == [[0, 0, 1]]
    backwards = clusters.find(path[:, ::-1, ::-1])[:, ::-1]
    assert backwards.tolist() == [[1, 0, 0]]


def test_claims_of_the_method_page_have_the_sources_and_bars_of_their_rules():
    table = {
        line.split(" | ")[0][2:]: line for line in read("docs/method.md").splitlines() if re.match(r"\| C\d", line)
    }
    rules = {rule.claim: rule for rule in (*layers.RULES, *growth.RULES, *pruning.RULES)}
    assert list(table) == sorted(rules, key=lambda claim: int(claim[1:]))
    for claim, rule in rules.items():
        assert rule.source in table[claim]
    low, high = growth.LINEAR
    within = f"within {low:g} to {high:g}"
    bars = {
        **dict.fromkeys(("C1", "C2", "C5"), [f"at least {TAU:g}"]),
        "C3": [f"at most −{TAU:g}"],
        "C4": [within],
        "C6": [f"at most {growth.HARDLY:g}"],
        "C7": [f"at least −{pruning.POINT:g}", f"at most {pruning.STRONGLY:g}"],
        "C8": [within, f"at least {growth.HARDLY:g}"],
        "C9": [f"at most −{growth.HARDLY:g}"],
        "C10": [f"at least {pruning.POINT:g}"],
        "C11": [f"at least {pruning.FASTER:g} times", f"at most {pruning.SMALLER:g}", f"at least −{pruning.POINT:g}"],
    }
    assert bars.keys() == rules.keys()
    assert [(claim, bar) for claim, said in bars.items() for bar in said if bar not in table[claim]] == []


def test_the_glossary_lists_its_terms_in_order():
    page = read("docs/glossary.md")
    listed = [link["text"] for link in LINK.finditer(page.split("## ", 1)[0]) if link["target"].startswith("#")]
    assert listed == sorted(re.findall(r"^### (.*)$", page, flags=re.MULTILINE), key=str.lower)


def test_references_show_the_numbers_that_they_link():
    page = prose("docs/references.md")
    shown = [(link["text"], link["target"]) for link in LINK.finditer(page) if link["target"].startswith("http")]
    for text, target in shown:
        kind, _, number = text.partition(" ")
        home = {"doi": "https://doi.org/", "arXiv": "https://arxiv.org/abs/"}.get(kind)
        assert home is None or target == home + number, text
    every = " ".join(page.split("\n### ")[1:])
    assert all("http" in entry for entry in page.split("\n### ")[1:])
    named = {
        source
        for path in ROOT.glob("lib/**/*.py")
        for source in re.findall(r"arXiv \d{4}\.\d{5}", path.read_text(encoding="utf-8"))
    }
    assert named and all(source in every for source in named)
    assert re.search(r"doi: (\S+)", read("CITATION.cff"))[1] in every


def test_epochs_named_in_deviations_are_those_of_the_profiles():
    of = {name: profiles.load(name) for name in profiles.available()}
    paper, laptop, quick = of["paper"], of["laptop"], of["quick"]
    steps = f"rate x{paper.training.factor:g} every {paper.training.every} epochs"
    assert f"{paper.training.epochs} epochs at d = {paper.network.width}, learning {steps}" in row(9)
    assert f"`laptop` {laptop.training.epochs} epochs at d = {laptop.network.width} " in row(9)
    assert f"`quick` {quick.training.epochs} at d = {quick.network.width}, " in row(9)

    assert f"{paper.heads.epochs} epochs, rate x{paper.heads.factor:g} each" in row(10)
    assert f"`laptop` {laptop.heads.epochs} and `quick` {quick.heads.epochs} epochs" in row(10)
    last_rates = [profile.heads.factor**profile.heads.epochs for profile in (paper, laptop, quick)]
    assert last_rates == pytest.approx([last_rates[0]] * 3, rel=0.05)  # "falling to the same fraction"

    small, large, glyphs = (profile.by_labels for profile in (laptop, paper, of["glyphs-1000"]))
    assert f"VGG-{small.depths[0]} with d = {small.width}, {small.train_per_label} images per label" in row(20)
    assert f"{small.training.epochs} epochs and no fewer than {small.steps:,} steps" in row(20)
    assert f"`glyphs-1000`: VGG-{glyphs.depths[0]}, {glyphs.steps:,} steps" in row(20)
    assert f"`paper`: d = {large.width}, {large.train_per_label} images per label" in row(20)
    assert f"{large.training.epochs} epochs and no fewer than {large.steps:,} steps" in row(20)


def test_epochs_of_retraining_and_of_efficientnet_in_deviations_are_those_of_the_profiles():
    of = {name: profiles.load(name) for name in profiles.available()}
    laptop, wide = of["laptop"], of["laptop-d64"]
    by_width = laptop.by_width.heads
    short = {
        name: afcc.shortened(recipe, profile.afcc.head_fraction).epochs
        for name, recipe, profile in (
            ("laptop", laptop.heads, laptop), ("widths", by_width, laptop), ("d64", wide.heads, wide)
        )
    }  # fmt: skip
    widths = f"at the widths of notebook 07 {short['widths']} of {by_width.epochs}"
    assert f"(`laptop`: {short['laptop']} of {laptop.heads.epochs}, {widths}" in row(27)
    assert f"`laptop-d64`: {short['d64']} of {wide.heads.epochs}," in row(27)

    cifar, imagenet = of["paper-efficientnet"], of["paper-imagenet"]
    assert f"`paper-efficientnet` {cifar.training.epochs} epochs" in row(35)
    batches = f"`paper-imagenet` {imagenet.training.epochs} epochs in batches of {imagenet.training.batch}"
    assert f"{batches}, heads for {imagenet.heads.epochs} in place of {cifar.heads.epochs}" in row(35)
