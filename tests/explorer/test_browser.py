"""What a real browser shows of the page: the library's numbers, nothing of another server, nothing blank."""

import csv
import io
import random

import numpy as np
import pytest
from PIL import Image
from tests.explorer.made_up import NASTY, content

from singlefilter import drawing
from singlefilter.explorer import content as contents
from singlefilter.explorer.page import page
from singlefilter.method import clusters, statistics

COLOURS = """() => {
  const canvas = document.querySelector("#matrix canvas");
  const labels = JSON.parse(document.getElementById("header").textContent).names.length;
  const side = canvas.width / labels;
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const rows = [];
  for (let row = 0; row < labels; row++) for (let column = 0; column < labels; column++) {
    const at = 4 * (Math.floor((row + 0.5) * side) * canvas.width + Math.floor((column + 0.5) * side));
    rows.push([pixels[at], pixels[at + 1], pixels[at + 2]]);
  }
  return rows;
}"""


PIXELS = """() => {
  const canvas = document.querySelector("#matrix canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: canvas.height }, (_, row) => Array.from({ length: canvas.width }, (_, column) =>
    [...data.slice(4 * (row * canvas.width + column), 4 * (row * canvas.width + column) + 3)]));
}"""


class Expected:
    """What the library says of a filter of a content at a threshold."""

    def __init__(self, shown: contents.Content, place: int, filter_: int, threshold: float):
        matrices = shown.cuts[place].matrices(tuple(range(shown.cuts[place].filters)))
        clipped = clusters.clip(matrices, threshold).numpy()
        found = clusters.find(clipped)
        self.counts = statistics.count_filters(clipped, found)
        self.labels = len(shown.names)
        self.clipped, self.found = clipped[filter_], found[filter_]
        self.order = clusters.display_order(found)[filter_]
        in_order = dict.fromkeys(int(self.found[label]) for label in self.order if self.found[label] >= 0)
        self.members = [np.flatnonzero(self.found == number) for number in in_order]  # the largest first
        self.sizes = [len(of_cluster) for of_cluster in self.members]
        self.row = self.counts.iloc[filter_]

    @property
    def layer(self) -> dict[str, float]:
        return statistics.layer_statistics(self.counts, self.labels, 10)


def as_shown(name: str, number: int) -> str:
    return drawing.spoken(name) if name.strip() else f"label {number}"


def names_of(opened) -> list[list[str]]:
    """Names of the labels of each cluster on the page, those behind "more" too."""
    for more in opened.page.locator("#clusters .more").all():
        more.click()
    return [
        cluster.locator(".chip .label").all_text_contents()
        for cluster in opened.page.locator("#clusters .cluster").all()
    ]


def check(opened, shown: contents.Content, place: int, filter_: int, threshold: float) -> None:
    expected = Expected(shown, place, filter_, threshold)
    opened.show(f"#layer={shown.cuts[place].key}&filter={filter_}&threshold={threshold:.2f}")
    sizes = opened.value("#summary .sizes")
    assert [int(size) for size in sizes.split(",") if size] == expected.sizes
    assert int(opened.text("#summary .n-clusters")) == len(expected.sizes) == expected.row["clusters"]
    assert int(opened.value("#summary .covered")) == expected.row["covered"]
    assert int(opened.value("#summary .noise")) == expected.row["noise"]
    written = [[as_shown(shown.names[label], label) for label in of_cluster] for of_cluster in expected.members]
    assert names_of(opened) == written
    layer = expected.layer
    for name, digits in (("N_c", 2), ("C_s", 2), ("n", 1), ("snr", 2)):
        exact, said = opened.value(f"#layer-{name}"), opened.text(f"#layer-{name}")
        assert float(exact.replace("Infinity", "inf")) == pytest.approx(layer[name], nan_ok=True), name
        if np.isfinite(layer[name]):
            assert abs(float(said) - layer[name]) <= 0.5001 * 10**-digits, name
        else:
            assert said == ("–" if np.isnan(layer[name]) else "∞"), name
    assert opened.text(f"[data-snr='{shown.cuts[place].key}']") == said


def random_filters(shown: contents.Content, count: int, seed: int) -> list[tuple[int, int, float]]:
    rng = random.Random(seed)
    places = [rng.randrange(len(shown.cuts)) for _ in range(count)]
    return [(place, rng.randrange(shown.cuts[place].filters), rng.randrange(10, 91) / 100) for place in places]


def test_twenty_random_filters_of_a_run_have_the_librarys_numbers(tiny, opened):
    shown = contents.of(tiny)
    window = opened(page(shown))
    for place, filter_, threshold in random_filters(shown, 20, seed=1):
        check(window, shown, place, filter_, threshold)
    assert window.complaints == []


def test_twenty_random_filters_with_large_clusters_have_the_librarys_numbers(opened):
    shown = content(labels=45, filters=(9, 12))
    window = opened(page(shown))
    for place, filter_, threshold in random_filters(shown, 20, seed=2):
        check(window, shown, place, filter_, threshold)
    window.picture("one-filter-made-up")
    assert window.complaints == []


@pytest.mark.parametrize("labels", [12, 60])
def test_what_lies_over_the_picture_lies_where_it_belongs(opened, labels):
    shown = content(labels=labels)
    expected = Expected(shown, 1, 0, 0.25)
    window = opened(page(shown))
    window.show("#layer=5&filter=0&threshold=0.25")
    canvas = window.page.locator("#matrix canvas").bounding_box()
    for square, size, before in zip(
        window.page.locator("#matrix .square").all(), expected.sizes, np.cumsum([0, *expected.sizes]), strict=False
    ):
        box, unit = square.bounding_box(), canvas["width"] / labels
        assert box["x"] + box["width"] / 2 == pytest.approx(canvas["x"] + (before + size / 2) * unit, abs=0.6)
        assert box["y"] + box["height"] / 2 == pytest.approx(canvas["y"] + (before + size / 2) * unit, abs=0.6)
        assert box["width"] == pytest.approx(size * unit, abs=2)
    assert window.page.locator("#matrix .square").count() == len(expected.sizes) > 0
    assert window.page.locator("#matrix .name").count() == (2 * labels if labels == 12 else 0)


@pytest.mark.parametrize("order", ["clusters", "labels"])
def test_the_picture_shows_each_one_where_it_is(opened, order):
    shown = content()
    expected = Expected(shown, 1, 0, 0.25)
    window = opened(page(shown))
    window.show("#layer=5&filter=0&threshold=0.25" + ("&order=labels" if order == "labels" else ""))
    colours = np.array(window.page.evaluate(COLOURS)).reshape(12, 12, 3)
    places = expected.order if order == "clusters" else np.arange(12)
    ones = expected.clipped[np.ix_(places, places)]
    same = (expected.found[places][:, None] == expected.found[places]) & (expected.found[places] >= 0)
    grey = (colours == (0x8D, 0x94, 0x9E)).all(2)
    assert np.array_equal(grey, ones & ~same) and grey.any()
    largest = (colours == (0x01, 0x73, 0xB2)).all(2)
    in_largest = np.isin(places, expected.members[0])
    assert np.array_equal(largest, in_largest[:, None] & in_largest) and largest.any()
    assert len({tuple(colour) for colour in colours[~ones]}) > 3  # below the threshold it is shaded by value


def test_of_more_labels_than_pixels_no_one_is_lost(opened):
    shown = content(labels=400, filters=(2, 2))
    window = opened(page(shown), width=390)
    window.show("#layer=5&filter=0&threshold=0.60&order=labels")
    pixels = np.array(window.page.evaluate(PIXELS))
    size = len(pixels)
    assert 200 < size < 400
    expected, place = Expected(shown, 1, 0, 0.6), np.arange(400) * size // 400
    ones = np.zeros((size, size), bool)
    ones[tuple(place[axis] for axis in expected.clipped.nonzero())] = True
    below = pixels.min(2) > 0xD0  # from the paper to its tone; grey and clusters are darker
    assert np.array_equal(~below, ones) and 0 < ones.mean() < 0.5


def test_pictures_of_labels_are_there(opened):
    shown = content(labels=300, filters=(2, 2))
    window = opened(page(shown))
    size = window.page.evaluate("""async () => {
      const style = getComputedStyle(document.querySelector("#details .picture"));
      const image = new Image();
      image.src = style.backgroundImage.slice(5, -2);
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    }""")
    assert size == [320, 30 * 32]


def test_the_field_is_drawn_where_it_is_asked_for(opened):
    window = opened(page(content()))
    window.show("#layer=5&filter=0&threshold=0.30&show=field")
    assert len({tuple(colour) for colour in window.page.evaluate(COLOURS)}) > 20


def test_a_filter_without_anything_above_zero(opened):
    window = opened(page(content()))
    window.show("#layer=5&filter=8&threshold=0.30")
    assert (window.text("#summary .n-clusters"), window.value("#summary .noise")) == ("0", "0")
    assert "no cluster at this threshold" in window.text("#clusters")
    assert len({tuple(colour) for colour in window.page.evaluate(COLOURS)}) == 1


def test_nothing_is_asked_of_any_server(opened):
    window = opened(page(content()))
    for view in ("compare", "label", "afcc"):
        window.page.locator(f"#views [data-value={view}]").click()
        window.settle()
    kinds = {address.partition(":")[0] for address in window.requests}
    assert kinds <= {"file", "data", "blob", "about"}
    assert {address.partition("#")[0] for address in window.requests if address.startswith("file")} == {
        window.address
    }
    assert window.complaints == []


def test_names_as_nasty_as_they_come_are_shown_as_they_are(opened):
    shown = content(labels=len(NASTY), names=NASTY)
    window = opened(page(shown))
    window.show("#layer=5&filter=0&threshold=0.10")
    seen = {name for of_cluster in names_of(window) for name in of_cluster}
    expected = Expected(shown, 1, 0, 0.10)
    written = {as_shown(NASTY[label], label) for of_cluster in expected.members for label in of_cluster}
    assert {name.replace("\ud83c", "\ufffd") for name in written} == {
        name.replace("\ud83c", "\ufffd") for name in seen
    }
    assert len(seen) > 5
    window.page.locator("#views [data-value=label]").click()
    window.settle()
    assert window.page.title() == "made up <b>numbers</b>"
    window.picture("nasty-names")
    assert window.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_view_is_wider_than_the_screen(opened, width, scheme):
    window = opened(
        page(content(labels=30, names=tuple(f"a rather long name {n}" for n in range(30)))),
        width,
        color_scheme=scheme,
    )
    for view in ("filter", "compare", "label", "afcc"):
        window.page.locator(f"#views [data-value={view}]").click()
        window.settle()
        assert window.page.evaluate("() => document.documentElement.scrollWidth") <= width, view
        window.picture(f"{view}-{width}-{scheme}")
    assert window.complaints == []


def test_downloads(opened):
    shown = content(labels=len(NASTY), names=tuple(name for name in NASTY if "\ud83c" not in name) + ("last",))
    window = opened(page(shown), accept_downloads=True)
    window.show("#layer=5&filter=0&threshold=0.20")
    with window.page.expect_download() as loaded:
        window.page.locator("#csv").click()
    assert loaded.value.suggested_filename == "layer-5-filter-0.csv"
    text = loaded.value.path().read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    expected = Expected(shown, 1, 0, 0.20)
    in_order = [label for of_cluster in expected.members for label in of_cluster]
    assert [int(row["label"]) for row in rows] == in_order
    assert [row["name"] for row in rows] == [shown.names[label] for label in in_order]
    assert [int(row["size"]) for row in rows] == [size for size in expected.sizes for _ in range(size)]
    with window.page.expect_download() as loaded:
        window.page.locator("#png").click()
    picture = np.asarray(Image.open(loaded.value.path()).convert("RGB"))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
