"""singlefilter: what single filters of a trained network recognise, layer by layer.

Companion to Meir, Tzach, Hodassman, Tevet and Kanter, "Towards a universal mechanism for successful deep
learning", Scientific Reports 14, 5881 (2024).  The rooms, in the order in which data flow through them; each imports
only what stands before it:

- `profiles` (what is asked for), `store` (what was made), `provenance` (where and by what), `progress`,
  `distributed`, `environment`, `drawing` (the look of all figures): what everything stands on
- `data`: images, from folders, downloads or drawn glyphs
- `networks`: networks, where they may be cut, and their training
- `method`: heads -> fields -> clusters -> statistics, and null models
- `afcc`: pruning by what filters recognise
- `analysis`: all of that for a network and images of one's own
- `pipeline`: the stages of a profile, kept in the store, and many of them at once
- `studies`: a folder for each question, with its tables, claims, charts, and what its figures say
- `figures`: the registry of all figures, their files, and packs of them
- `explorer`, `notebooks`, `site`, `run`: a widget and a page, the notebooks, all of it as a site, the command line

For one's own network: `analyze`, `cuts`, `compare`, `load`; `CutError`, `HeadError`, `InputError`, `ForwardError` say
what is wrong with it or its images.
"""

from singlefilter.errors import CutError, ForwardError, HeadError, InputError

__version__ = "0.1.0"
__all__ = ["CutError", "ForwardError", "HeadError", "InputError", "analyze", "compare", "cuts", "load"]


def __getattr__(name: str):
    """What needs torch is imported when it is asked for."""
    if name in ("analyze", "compare", "cuts", "load"):
        from singlefilter import analysis

        return getattr(analysis, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
