"""Notebook 04 in JupyterLab, in a real browser: it opens, runs, a slider moves, and the picture changes."""

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.explorer import lab

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
pytest.importorskip("jupyterlab", reason="needs JupyterLab")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "browser"
NOTEBOOK = "04_one_filter.ipynb"
SHOWN = ".widget-image"
LONG = 120_000  # milliseconds; a few seconds do where the machine has nothing else to do

# What an image shows, by a sum of its bytes: whoever looks at its address alone sees any new drawing as another.
BYTES = """async image => {
    const bytes = await (await fetch(image.src)).arrayBuffer();
    const sum = await crypto.subtle.digest("SHA-256", bytes);
    return Array.from(new Uint8Array(sum)).join(" ");
}"""


@pytest.fixture(scope="module")
def home(tiny_home, tmp_path_factory) -> Path:
    """A project whose stages are done, with notebook 04 about the tiny profile."""
    folder = tmp_path_factory.mktemp("lab") / "home"
    shutil.copytree(tiny_home, folder)
    (folder / "notebooks").mkdir()
    content = json.loads((ROOT / "notebooks" / NOTEBOOK).read_text(encoding="utf-8"))
    for cell in content["cells"]:
        if "parameters" in cell["metadata"].get("tags", []):
            cell["source"] = [f"profile = {str(folder / 'tiny.yaml')!r}\n", "data_dir = ''"]
    (folder / "notebooks" / NOTEBOOK).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _run_all(page) -> None:
    """Choose "Run All Cells" as a reader does: again where the page was not ready for it."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    page.get_by_text("(ipykernel) | Idle").wait_for()
    begun = page.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[[*\d]+\]"))
    for _ in range(10):
        page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
        page.get_by_text("Run All Cells", exact=True).click()
        try:
            begun.first.wait_for(timeout=5000)
            return
        except sync_api.TimeoutError:
            page.keyboard.press("Escape")
    pytest.fail("the notebook does not begin to run")


def test_a_slider_moves_and_the_picture_changes(home, browser):
    PICTURES.mkdir(parents=True, exist_ok=True)
    with lab.server(home) as address, lab.page(browser, PICTURES / "lab-failed.png") as page:
        page.set_default_timeout(LONG)
        page.goto(address.format(NOTEBOOK))
        _run_all(page)
        wrong = []  # from here on: what is chosen before the page is ready is an error of JupyterLab's own
        page.on("pageerror", lambda error: wrong.append(str(error)))
        shown = page.locator(SHOWN)
        shown.wait_for(state="attached")
        page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
        shown.evaluate("image => image.scrollIntoView({block: 'center'})")
        seen, place = [shown.evaluate(BYTES)], shown.bounding_box()
        page.screenshot(path=PICTURES / "lab-start.png")
        for slider, key in (("filter", "ArrowLeft"), ("threshold", "ArrowRight"), ("layer", "Home")):
            address_before = shown.get_attribute("src")
            page.locator(".widget-hslider", has_text=slider).locator(".noUi-handle").press(key)
            page.wait_for_function(
                "([css, before]) => { const image = document.querySelector(css);"
                " return image.src !== before && image.complete && image.naturalWidth > 0; }",
                arg=[SHOWN, address_before],
            )
            assert shown.count() == 1, "one picture, whatever is moved"
            seen.append(shown.evaluate(BYTES))
            assert shown.bounding_box() == place, "the page stays where it is"
        page.screenshot(path=PICTURES / "lab-moved.png")
        assert len(set(seen)) == len(seen)
        assert wrong == []
