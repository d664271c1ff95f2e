"""The site, built by Sphinx from what the project holds, offline, into `build/<profile>/site/`."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from singlefilter import store
from singlefilter.site import results, sources

log = logging.getLogger(__name__)

_NEEDED = {"sphinx": "sphinx", "myst_nb": "myst-nb", "furo": "furo"}  # module -> package
_MATHJAX = "sphinx-mathjax-offline"


class Unavailable(RuntimeError):
    """What builds the site is not installed; the message says what is missing and how to get the site."""


class Failed(RuntimeError):
    """The site could not be built; the message says why."""


def build(names: Sequence[str]) -> Path:
    """Build the site of the project's profiles, those named first; its start page.

    Every profile with executed notebooks in `build/` is in it, and every folder of `figures/`.  Nothing is run.  The
    same site is put into `build/<profile>/site/` of each named profile and of each with executed notebooks, as a
    whole or not at all.  Raises `Unavailable` where Sphinx or what goes with it is not installed, and `Failed` where
    a named profile has neither executed notebooks nor figures, or where Sphinx fails.
    """
    _check()
    root = store.project_root()
    found = results.found(root, names)
    there = {one.name for one in found}
    if missing := [name for name in names if name not in there]:
        raise Failed(
            f"there is nothing to show of {', '.join(missing)}: neither executed notebooks in {root / 'build'} nor "
            f"figures; ./run_all.sh --profile {missing[0]} makes them"
        )
    home = root / "build"
    home.mkdir(exist_ok=True)
    with (
        store.held(FileLock(home / ".site.lock"), "the site"),
        store.naming(home),
        tempfile.TemporaryDirectory(dir=home, prefix=".unfinished-site-", ignore_cleanup_errors=True) as work,
    ):
        html = _built(root, found, Path(work))
        for name in dict.fromkeys([*names, *(one.name for one in found if one.chapters)]):
            _put(html, home / name / "site")
    return home / names[0] / "site" / "index.html"


def _check() -> None:
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if mathjax() is None:
        missing.append(_MATHJAX)
    if missing:
        raise Unavailable(
            f"no site, since this Python lacks {', '.join(missing)}: `pip install {' '.join(missing)}`, then "
            "`python -m singlefilter site PROFILE` makes it of what was run"
        )


def mathjax() -> Path | None:
    """MathJax in one file, as its package brings it: nothing is fetched, nothing more is loaded by it."""
    try:
        files = metadata.distribution(_MATHJAX).files or []
    except metadata.PackageNotFoundError:
        return None
    found = (file.locate() for file in files if file.name == "tex-svg-full.js")
    return next((Path(str(path)) for path in found if Path(str(path)).is_file()), None)


def _built(root: Path, found: Sequence[results.Results], work: Path) -> Path:
    from singlefilter.site import rendering

    written = sources.write(root, found, work / "sources")
    complaints = io.StringIO()
    try:
        rendering.render(work / "sources", work / "html", written, mathjax(), complaints)
    except Exception as error:  # Sphinx and its extensions raise what they like
        if store.is_full(error):
            raise
        raise Failed(f"the site could not be built: {type(error).__name__}: {error}") from error
    log.info("%s", complaints.getvalue())  # nothing that a reader of the site would miss
    for one in found:
        if one.explorer:
            shutil.copyfile(one.explorer, work / "html" / one.place / one.explorer.name)
    return work / "html"


def _put(html: Path, site: Path) -> None:
    """A copy of the site in its place; files are shared with the other copies where the file system can."""
    site.parent.mkdir(parents=True, exist_ok=True)
    fresh = site.with_name(".unfinished-site")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(html, fresh, copy_function=_linked)
    shutil.rmtree(site, ignore_errors=True)
    os.replace(fresh, site)


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
