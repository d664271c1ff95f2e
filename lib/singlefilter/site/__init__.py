"""A site to read: executed notebooks, figures, claims, the project's pages and the library's, in one folder of HTML.

`building` puts it in place, of what `results` finds of each profile.  `sources` writes what Sphinx reads: `chapters`
of executed notebooks, `galleries` of figures, `claims` as a matrix, `reference` of docstrings, and `start`, the pages
that lead to them.  `links` and `words` turn what was written for other readers into what Sphinx shows; `rendering`
runs it.  Nothing is executed, nothing is fetched, and the pages ask no server for anything.
"""

from singlefilter.site.building import Failed, Unavailable, build

__all__ = ["Failed", "Unavailable", "build"]
