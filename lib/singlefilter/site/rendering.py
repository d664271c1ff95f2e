"""Sphinx, told how: MyST-NB without execution, the theme, MathJax from a file, and nothing from another server."""

from __future__ import annotations

import html
import posixpath
import shutil
from pathlib import Path
from typing import TextIO

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from singlefilter import __version__
from singlefilter.site.sources import Written

_LOOK = Path(__file__).parent / "look"
_COLOURS = {"color-brand-primary": "#0b5e94", "color-brand-content": "#0b5e94"}
_DARK = {"color-brand-primary": "#6db3e3", "color-brand-content": "#6db3e3"}

SETTINGS = {
    "project": "singlefilter",
    "author": "singlefilter contributors",
    "release": __version__,
    "extensions": ["myst_nb", "sphinx.ext.mathjax"],
    "exclude_patterns": [],
    "language": "en",
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},  # its own come from other servers
    "nb_merge_streams": True,
    "smartquotes": False,  # text is shown as it is
    "myst_enable_extensions": ["dollarmath", "amsmath", "colon_fence", "attrs_inline"],
    "myst_heading_anchors": 4,
    "myst_update_mathjax": False,
    "mathjax_path": "mathjax.js",
    # Formulas alone: what stands in the output of a cell is never read as one.
    "mathjax3_config": {"options": {"ignoreHtmlClass": ".*", "processHtmlClass": "math", "enableMenu": False}},
    "add_module_names": False,
    "toc_object_entries": False,  # every page carries the contents of all
    "python_maximum_signature_line_length": 80,
    "suppress_warnings": ["myst.xref_missing", "mystnb.unknown_mime_type", "ref.python"],
    "html_theme": "furo",
    "html_title": "singlefilter",
    "html_static_path": [str(_LOOK)],
    "html_css_files": ["site.css"],
    "html_theme_options": {
        "navigation_with_keys": True,
        "light_css_variables": _COLOURS,
        "dark_css_variables": _DARK,
    },
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_show_search_summary": False,  # a page on disk may not fetch another one
    "html_show_copyright": False,
    "html_last_updated_fmt": None,
}


def render(sources: Path, to: Path, written: Written, mathjax: Path, complaints: TextIO) -> None:
    """Build the HTML of a folder of sources; warnings go to `complaints`."""
    with patch_docutils(str(sources)), docutils_namespace():
        app = Sphinx(
            sources,
            None,
            to,
            to.with_name("doctrees"),
            "html",
            SETTINGS,
            status=None,
            warning=complaints,
            freshenv=True,
        )
        app.connect("doctree-read", lambda _, tree: _describe(tree, written.alts))
        app.connect("html-page-context", lambda _, page, __, context, ___: _add_switch(page, context, written))
        app.build()
    shutil.copyfile(mathjax, to / "_static" / "mathjax.js")


def _describe(tree: nodes.document, alts: dict[str, str]) -> None:
    """Give pictures of notebooks, which MyST-NB names by their content, the words that go with them."""
    for picture in tree.findall(nodes.image):
        if alt := alts.get(Path(picture["uri"]).stem):
            picture["alt"] = alt


def _add_switch(page: str, context: dict, written: Written) -> None:
    """Links to the same page in other profiles, above the page."""
    if "body" not in context or page not in written.switch:
        return
    links = []
    for profile, there, note in written.switch[page]:
        path, mark, anchor = there.partition("#")
        target = posixpath.relpath(path, posixpath.dirname(page) or ".")
        name = html.escape(profile) + (f" <small>{note}</small>" if note else "")
        here = ' aria-current="page"' if path == page else ""
        links.append(f'<a href="{html.escape(target)}.html{mark}{anchor}"{here}>{name}</a>')
    bar = f'<nav class="switch" aria-label="The same page in other profiles">{"".join(links)}</nav>'
    context["body"] = bar + context["body"]
