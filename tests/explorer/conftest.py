"""A real browser for the pages: the system's Chromium, driven by Playwright's Python package."""

from pathlib import Path

import pytest

from singlefilter import store

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots" / "explorer"


class Opened:
    """A page in the browser: what it asked for, what it complained about."""

    def __init__(self, page, address: str):
        self.page, self.address = page, address
        self.requests, self.complaints = [], []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda said: said.type in ("error", "warning") and self.complaints.append(said.text))
        self.goto("")

    def goto(self, link: str) -> None:
        """Open the page anew at a link, and wait until all of it is drawn."""
        self.page.goto("about:blank")
        self.page.goto(self.address + link)
        self.settle()

    def settle(self) -> None:
        self.page.locator("body[data-settled]").wait_for(state="attached")

    def show(self, link: str) -> None:
        """Follow a link in its usual form inside the open page."""
        self.page.evaluate("link => { location.hash = link }", link)
        self.page.locator(f"body[data-settled='{link}']").wait_for(state="attached")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def value(self, selector: str) -> str:
        return self.page.locator(selector).get_attribute("data-value")

    def picture(self, name: str) -> Path:
        """A screenshot of the whole page, kept in `build/`."""
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of some bytes, in a window of a width: `opened(page, width=1280, **of_context)`."""
    contexts = []

    def open_(page: bytes, width: int = 1280, **of_context) -> Opened:
        path = tmp_path / f"page-{len(contexts)}.html"
        with store.atomic_file(path) as temporary:
            temporary.write_bytes(page)
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **of_context))
        contexts[-1].set_default_timeout(60_000)
        return Opened(contexts[-1].new_page(), path.as_uri())

    yield open_
    for context in contexts:
        context.close()
