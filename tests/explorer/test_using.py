"""How the page is used: by keyboard alone, by links, by search, in a frame of a notebook."""

import os
import sys

import nbformat
import pytest
from tests.explorer.made_up import content

from singlefilter import explorer, notebooks, progress
from singlefilter.explorer import content as contents
from singlefilter.explorer.page import page
from singlefilter.method import clusters, statistics

START = "#layer=5&filter=0&threshold=0.30"


def counts(shown: contents.Content, place: int, threshold: float = 0.3):
    """`count_filters` of a layer, with the cluster of each label."""
    matrices = shown.cuts[place].matrices(tuple(range(shown.cuts[place].filters)))
    clipped = clusters.clip(matrices, threshold).numpy()
    found = clusters.find(clipped)
    return statistics.count_filters(clipped, found), found


def link_of(window) -> str:
    window.settle()
    return window.page.evaluate("() => location.hash")


def press(window, *keys: str) -> str:
    for key in keys:
        window.page.keyboard.press(key)
    return link_of(window)


def listed(window) -> list[int]:
    return [int(number) for number in window.page.locator("#list .number").all_inner_texts()]


def test_it_begins_with_the_last_layer_and_a_filter_worth_seeing(tiny, opened):
    shown = contents.of(tiny)
    window = opened(page(shown))
    assert link_of(window) == f"#layer=13&filter={shown.cuts[-1].first}&threshold=0.30"
    assert window.text("#banner") == "embedded glyphs — not CIFAR-100"
    window.picture("glyphs")


def test_by_keyboard_alone(opened):
    window = opened(page(content(filters=(5, 30))))
    assert press(window, "[") == "#layer=3&filter=0&threshold=0.30"
    assert press(window, "]", "+", "+", "-") == "#layer=5&filter=0&threshold=0.31"
    assert press(window, "-", "o", "f") == f"{START}&order=labels&show=field"
    assert press(window, "o", "f", "2") == f"{START}&view=compare&with=1@5".replace("@", "%40")
    assert press(window, "1") == START
    press(window, "?")
    assert window.page.locator("#keys").is_visible()
    press(window, "Escape")
    window.page.locator("#keys").wait_for(state="hidden")
    assert press(window, "/") == START
    window.page.locator("#search:focus").wait_for()
    window.page.keyboard.type("label 7")
    assert press(window, "Tab") == f"{START}&label=7"
    window.page.locator("#list").focus()
    order = listed(window)
    assert press(window, "Home").startswith(f"#layer=5&filter={order[0]}&")
    assert press(window, "ArrowDown").startswith(f"#layer=5&filter={order[1]}&")
    assert press(window, "n").startswith(f"#layer=5&filter={order[2]}&")
    assert press(window, "p", "p").startswith(f"#layer=5&filter={order[0]}&")
    assert window.complaints == []


def test_everything_is_reached_by_tab_and_is_seen_to_be(opened):
    window = opened(page(content()))
    reached = set()
    for _ in range(60):
        window.page.keyboard.press("Tab")
        reached.add(window.page.evaluate("""() => {
          const at = document.activeElement;
          const style = getComputedStyle(at);
          const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
          return `${at.id || at.dataset.value || at.className}:${outline}`;
        }"""))  # fmt: skip
    wanted = ("copy", "png", "csv", "theme", "help", "layer", "filter", "compare", "label", "afcc", "threshold")
    wanted += ("search", "best", "typical", "number", "list", "clusters", "labels", "ones", "field", "cells", "chip")
    assert {f"{name}:true" for name in wanted} <= reached


def test_cells_by_arrow_keys_say_names_and_values(opened):
    shown = content()
    window = opened(page(shown))
    window.show(f"{START}&order=labels")
    window.page.locator("#matrix canvas").focus()
    press(window, "ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight")
    assert window.text("#matrix .readout").startswith("label 1 → label 3: ")
    matrix = shown.cuts[1].matrices((0,))[0]
    relative = float(matrix[1, 3] / matrix.max())
    low, high = window.text("#matrix .readout").split(": ", 1)[1].split(" of the")[0].replace("−", "-").split(" to ")
    assert min(float(low), float(high)) <= relative <= max(float(low), float(high))


def test_pointing_at_a_cell(opened):
    window = opened(page(content()))
    window.show(f"{START}&order=labels")
    window.page.locator("#matrix canvas").scroll_into_view_if_needed()
    box = window.page.locator("#matrix canvas").bounding_box()
    unit = box["width"] / 12
    window.page.mouse.move(box["x"] + 4.5 * unit, box["y"] + 9.5 * unit)
    assert window.text("#matrix .readout").startswith("label 9 → label 4: ")


def test_a_link_restores_everything(opened):
    window = opened(page(content()))
    link = "#layer=3&filter=2&threshold=0.45&view=compare&with=4%405&order=labels&show=field&sort=noise&label=6"
    window.goto(link)
    assert link_of(window) == link
    assert window.text("#name") == "layer 3, filter 2" and window.text("#other-name") == "layer 5, filter 4"
    assert window.text("#threshold-value") == "0.45" and window.page.locator("#search").input_value() == "label 6"
    assert window.page.locator("#views [aria-pressed=true]").inner_text() == "Two filters"


@pytest.mark.parametrize(
    ("link", "missing"),
    [
        ("#layer=99", "layer 99"),
        ("#layer=3&filter=77", "filter 77"),
        ("#threshold=0.95", "threshold 0.95"),
        ("#threshold=x", "threshold x"),
        ("#label=12", "label 12"),
        ("#view=<script>", "view <script>"),
        ("#layer=3&filter=", "filter "),
    ],
)
def test_a_link_to_what_is_not_there_says_so(opened, link, missing):
    window = opened(page(content()))
    window.goto(link)
    assert f"This page has no {missing};" in window.text("#status")
    assert window.text("#name").startswith("layer 3" if "layer=3" in link else "layer 5")
    assert window.complaints == []


@pytest.mark.parametrize("sort", ["clusters", "covered", "noise"])
def test_filters_are_sorted_by_what_the_library_counts(opened, sort):
    shown = content(filters=(5, 30))
    table, _ = counts(shown, 1)
    window = opened(page(shown))
    window.page.locator(f"#sorts [data-value={sort}]").click()
    window.settle()
    assert listed(window) == table.sort_values(sort, ascending=False, kind="stable")["filter"].tolist()


def test_which_filters_recognise_a_label_layer_by_layer(opened):
    shown = content(filters=(5, 30))
    window = opened(page(shown))
    window.page.locator("#search").fill("label 7")
    window.settle()
    _, found = counts(shown, 1)
    those = {int(filter_) for filter_ in (found[:, 7] >= 0).nonzero()[0]}
    assert set(listed(window)) == those and 0 < len(those) < 30
    assert window.text("#filters-title") == f"{len(those)} of 30 filters recognise label 7"
    window.page.locator("#views [data-value=label]").click()
    window.settle()
    for place, cut in enumerate(shown.cuts):
        many = int((counts(shown, place)[1][:, 7] >= 0).sum())
        assert window.text(f"#label-body tr[data-layer='{cut.key}'] .many b") == str(many)
    window.page.locator("#clear").click()
    assert len(listed(window)) == 30 and link_of(window).endswith("threshold=0.30")


def test_filters_worth_seeing(opened):
    shown = content(filters=(5, 30))
    table, _ = counts(shown, 1)
    window = opened(page(shown))

    def picked(kind: str) -> int:
        window.page.locator(f"#picks [data-value={kind}]").click()
        return int(link_of(window).split("filter=")[1].split("&")[0])

    assert picked("best") == contents.worth_seeing(table)
    assert picked("noise") == table["noise"].idxmax()
    assert picked("none") == table["clusters"].eq(0).idxmax()
    middle = table[["clusters", "covered", "noise"]]
    spread = middle.max() - middle.min()
    assert picked("typical") == ((middle - middle.median()).abs() / spread).sum(axis=1).idxmin()


def test_afcc_keeps_what_the_library_keeps(opened):
    shown = content()
    window = opened(page(shown))
    window.show(f"{START}&view=afcc")
    table, _ = counts(shown, 1)
    assert window.text("#kept") == f"{100 * table['covered'].mean() / 12:.1f} %"
    assert window.page.locator("#afcc-body figure").count() == 2  # the second: what was measured of it
    window.show("#layer=3&filter=0&threshold=0.30&view=afcc")
    assert window.page.locator("#afcc-body figure").count() == 1


def test_dark_by_choice(opened):
    window = opened(page(content()), color_scheme="light")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    light = window.page.evaluate(paper)
    window.page.locator("#theme").click()
    window.settle()
    assert window.page.evaluate(paper) != light
    window.page.locator("#theme").click()
    assert window.page.evaluate(paper) == light


def test_a_part_is_said_to_be_one(opened):
    whole = content(labels=40, filters=(30, 90))
    window = opened(page(whole, largest=len(page(whole)) - 60_000))
    assert "A part: " in window.text("#part") and "of 120 filters" in window.text("#part")
    assert not opened(page(content())).page.locator("#part").is_visible()


@pytest.mark.slow
def test_in_a_notebook_that_papermill_runs_and_its_html(tiny, tiny_home, opened, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv(progress.UNWATCHED, "yes")
    cells = [
        nbformat.v4.new_code_cell('profile = ""', metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("from singlefilter import explorer\nfrom singlefilter.pipeline import stages"),
        nbformat.v4.new_code_cell("explorer.embed(stages.of(profile))"),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "04_embedded.ipynb")
    executed = notebooks.execute(
        tmp_path / "04_embedded.ipynb", notebooks.Asked(str(tiny_home / "tiny.yaml"), "embedded")
    )
    text = executed.with_suffix(".html").read_text(encoding="utf-8")
    # What nbconvert's own page asks of other servers is not there offline, and would be waited for.
    lines = [line for line in text.splitlines(keepends=True) if "https://" not in line or "<iframe" in line]

    window = opened(page(content()))
    window.page.set_content("".join(lines), wait_until="commit")
    frame = window.page.frame_locator("iframe[title='filter explorer']")
    frame.locator("body[data-settled]").wait_for(state="attached")
    assert frame.locator("#name").inner_text().startswith("layer 13, filter ")
    frame.locator("#threshold").focus()
    window.page.keyboard.press("ArrowRight")
    frame.locator("body[data-settled*='threshold=0.31']").wait_for(state="attached")
    assert frame.locator("#threshold-value").inner_text() == "0.31"


def test_in_a_notebook_it_is_kept_small():
    whole = content(labels=40, filters=(30, 90))
    everything = len(explorer.embed(whole).page)
    assert everything <= 2_000_000
    assert len(explorer.embed(whole, largest=everything - 60_000).page) <= everything - 60_000
