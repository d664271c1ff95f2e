"""The site in a real browser, from disk: the system's Chromium, driven by Playwright."""

from pathlib import Path

import pytest
from tests.site import project

PICTURES = project.ROOT / "build" / "screenshots"  # to look at
LOOKED_AT = (
    "index",
    f"profiles/quick/{project.FIRST}",
    "claims",
    "profiles/laptop/gallery",
    "api/method",
    "docs/glossary",
)


@pytest.fixture
def window(browser):
    """A tab that notes what it asks for and what goes wrong."""
    tab = browser.new_page(viewport={"width": 390, "height": 800})
    tab.asked, tab.wrong = [], []
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("requestfailed", lambda request: tab.wrong.append(f"{request.url}: {request.failure}"))
    tab.on("console", lambda said: tab.wrong.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    yield tab
    tab.close()


def test_pages_fit_a_telephone_ask_no_server_and_have_nothing_to_complain_about(site, window):
    wide, wrong = {}, {}
    for name in site.pages:
        window.wrong.clear()
        window.goto(f"file://{site.folder / name}", wait_until="load")
        if "math notranslate" in site[name].html:
            window.wait_for_selector("mjx-container", state="attached")
        if (width := window.evaluate("document.documentElement.scrollWidth")) > 390:
            wide[name] = width
        if window.wrong:
            wrong[name] = list(window.wrong)
    assert (wide, wrong) == ({}, {})
    assert len(window.asked) > 5 * len(site.pages)
    assert [url for url in window.asked if not url.startswith(("file:", "data:"))] == []


def test_formulas_are_set(site, window):
    for name in ("docs/method.html", f"profiles/quick/{project.FIRST}.html"):
        window.goto(f"file://{site.folder / name}")
        window.wait_for_function("document.querySelectorAll('mjx-container svg').length > 0")
        window.wait_for_function("!document.body.innerText.includes('\\\\sum')")
        assert window.locator("mjx-merror, [data-mml-node=merror]").count() == 0


def test_search_finds_from_disk(site, window):
    window.goto(f"file://{site.folder / 'search.html'}?q=cluster")
    window.wait_for_selector("ul.search li a")
    found = window.locator("ul.search li a").evaluate_all("links => links.map(link => link.href)")
    assert any("method" in url for url in found)
    assert all(Path(url.removeprefix("file://").partition("?")[0].partition("#")[0]).is_file() for url in found)
    assert window.wrong == []


def test_the_switch_changes_the_profile(site, window):
    window.goto(f"file://{site.folder / f'profiles/quick/{project.FIRST}.html'}")
    window.click("nav.switch >> text=laptop")
    assert window.url.endswith(f"profiles/laptop/{project.FIRST}.html")
    assert window.locator("nav.switch [aria-current=page]").inner_text() == "laptop"


def test_verdicts_are_told_apart_by_colour_and_sign(site, window):
    window.goto(f"file://{site.folder / 'claims.html'}")
    cells = {
        kind: window.locator(f"table.claims td.{kind}").first.evaluate(
            "cell => [getComputedStyle(cell).backgroundColor, cell.innerText.trim()[0]]"
        )
        for kind in ("supported", "not-supported", "undecided")
    }
    colours, signs = zip(*cells.values(), strict=True)
    assert len(set(colours)) == 3 and list(signs) == ["✓", "✗", "?"]


@pytest.mark.parametrize("width", [1280, 390])
def test_screenshots_are_kept_and_not_blank(site, window, width):
    PICTURES.mkdir(parents=True, exist_ok=True)
    window.set_viewport_size({"width": width, "height": 900})
    for name in LOOKED_AT:
        window.goto(f"file://{site.folder / name}.html")
        path = PICTURES / f"site-{name.replace('/', '-')}-{width}.png"
        window.screenshot(path=path)
        assert path.stat().st_size > 10_000
