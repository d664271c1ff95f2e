"""The pages that lead to the others: the start page, one of each profile, and the switch between profiles."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from singlefilter import __version__, notebooks
from singlefilter.site import galleries
from singlefilter.site.links import Places, relinked
from singlefilter.site.results import Results
from singlefilter.site.words import markdown
from singlefilter.studies.declaration import counted

_PICTURE = "figures/method/procedure.png"
_HEAD = """\
# What does one filter recognise?

Cut a trained network after any layer, put a linear head there, silence every filter but one, and look at what is
left: a few clusters of labels, and noise. These pages show what that gives, layer by layer, in networks trained by
this companion to *Towards a universal mechanism for successful deep learning* (Meir, Tzach, Hodassman, Tevet, Kanter;
Scientific Reports 14, 5881, 2024), and test each claim of the paper by a rule that was fixed beforehand.
"""
_CARDS = {  # path of a page in the sources -> what it is called, and what one finds there
    "claims.md": ("Claims", "each claim on each data set: verdict, estimate, interval, and the rule behind it"),
    "docs/results.md": ("Results", "all numbers, table by table, and what the verdicts do not show"),
    "docs/method.md": ("Method", "from a network to field matrices, clusters and noise, with every formula"),
    "docs/course.md": ("Course", "hours, exercises and what to prepare"),
    "docs/glossary.md": ("Glossary", "one word for one thing"),
    "docs/references.md": ("References", "the papers, and their neighbours"),
    "DEVIATIONS.md": ("Decisions", "what was decided where the paper is silent"),
    "api/index.rst": ("Library", "every function, from its docstring"),
}
_PAGES = {"README.md": "About this companion", "CONTRIBUTING.md": "Contributing", "DEVIATIONS.md": "Decisions"}


def page(of: Sequence[Results], pages: Sequence[str], places: Places, with_claims: bool) -> str:
    """The start page.  `pages`: the project's pages in the site, by their paths."""
    parts = [_HEAD]
    if (places.root / _PICTURE).is_file():
        there, _ = places.of("README.md", _PICTURE) or ("", False)
        parts.append(f"![The method in eight steps, from training a network to the noise of one filter]({there})")
    whole, others = [one for one in of if one.chapters], [one for one in of if not one.chapters]
    if whole:
        parts += ["## Chapters", _chapters(whole, "index.md", places)]
    if of:
        parts += ["## Profiles and their figures", "\n".join(_line(one) for one in of)]
    there = [*pages, "api/index.rst", *(["claims.md"] if with_claims else [])]
    parts.append(f"## More\n\n{_cards([path for path in _CARDS if path in there])}")
    parts.append(f"*singlefilter {__version__}*")
    for results in whole:
        inside = {results.home: "About this profile"}
        inside |= {results.staged(chapter): chapter.title for chapter in results.chapters}
        inside |= {results.gallery: "Figures"} if results.figures else {}
        parts.append(_toctree(f"Chapters: {results.name}", inside))
    evidence = ["claims.md"] * with_claims + [path for path in pages if path == "docs/results.md"]
    parts.append(_toctree("Evidence", dict.fromkeys(evidence, "")))
    parts.append(_toctree("Figures of other runs", {one.home: one.name for one in others}))
    background = [path for path in pages if path.startswith("docs/") and path not in evidence]
    parts.append(_toctree("Background", dict.fromkeys(background, "") | _named("DEVIATIONS.md", pages)))
    library = {"api/index.rst": ""} | _named("README.md", pages) | _named("CONTRIBUTING.md", pages)
    parts.append(_toctree("Library", library))
    return "\n\n".join(part for part in parts if part) + "\n"


def of_profile(results: Results, places: Places) -> str:
    """The page of a profile: what it is, its chapters and those that are not there yet, its gallery, its machine."""
    title = results.name if results.of_a_machine else f"Profile {results.name}"
    parts = [f"# {markdown(title)}", markdown(results.purpose()), _facts(results)]
    if results.chapters:
        parts += ["## Chapters", _chapters([results], results.home, places)]
    if results.figures:
        count = counted(len(results.figures), "figure")
        parts.append(f"## Figures\n\n[{count}](gallery.rst), each with its caption and its table.")
    if results.explorer:
        parts.append('## Filter explorer\n\n<a href="explorer.html">Play with its filters</a>: one page, no server.')
    if not results.of_a_machine and (missing := _missing(results, places.root)):
        parts += ["## Not there yet", missing]
    if not results.chapters and results.figures:
        parts.append("```{toctree}\n:hidden:\n\ngallery\n```")
    return "\n\n".join(part for part in parts if part) + "\n"


def switch(of: Sequence[Results]) -> dict[str, list[tuple[str, str, str]]]:
    """Page, without ending -> the same page in each profile: name of the profile, its page, what is there.

    Where a profile has a chapter's figures alone, they stand for it.
    """
    every = [one for one in of if not one.of_a_machine]
    found: dict[str, list[tuple[str, str, str]]] = {}
    for name in dict.fromkeys(chapter.name for one in every for chapter in one.chapters):
        same, number = [], name.partition("_")[0]
        for one in every:
            if any(chapter.name == name for chapter in one.chapters):
                same.append((one.name, f"{one.place}/{name}", ""))
            elif any(shown.declared.notebook == number for shown in one.figures):
                same.append((one.name, f"{one.place}/gallery#{galleries.anchor(number)}", "figures"))
        found |= {page: same for _, page, _ in same if "#" not in page}
    for kind, has in (("gallery", lambda one: one.figures), ("index", lambda one: True)):
        same = [(one.name, f"{one.place}/{kind}", "") for one in every if has(one)]
        found |= {page: same for _, page, _ in same}
    return {page: same for page, same in found.items() if len(same) > 1}


def _chapters(of: Sequence[Results], page_: str, places: Places) -> str:
    """A line for each chapter: its title, its question, and the profiles that have it where there are several."""
    here = Path(page_).parent
    lines = []
    for name in sorted({chapter.name for results in of for chapter in results.chapters}):
        same = [(results, chapter) for results in of for chapter in results.chapters if chapter.name == name]
        links = {one.name: os.path.relpath(one.staged(chapter), here) for one, chapter in same}
        first = same[0][1]
        said = relinked(first.question, f"notebooks/{first.path.name}", page_, places)
        notes = [f"**{chapter.problem}**" for _, chapter in same[:1] if chapter.problem]
        if len(of) > 1:
            notes.append(" · ".join(f"[{markdown(profile)}]({link})" for profile, link in links.items()))
        title = f"**[{first.title}]({links[same[0][0].name]})**"
        lines.append("- " + "<br>".join([title, *([said] if said else []), *notes]))
    return ":::{container} chapters\n" + "\n".join(lines) + "\n:::"


def _line(results: Results) -> str:
    """A profile in a line: what it is for, and where its chapters, figures and explorer are."""
    links = [f"[figures]({results.gallery})"] if results.figures else []
    if results.explorer:
        links.append(f'<a href="{html.escape(results.place)}/{results.explorer.name}">filter explorer</a>')
    purpose = results.purpose() or ("speed and memory on one machine" if results.of_a_machine else "")
    said = f": {markdown(purpose)}" if purpose else ""
    return (
        f"- [{markdown(results.name)}]({results.home}){said} ({', '.join(links)})"
        if links
        else (f"- [{markdown(results.name)}]({results.home}){said}")
    )


def _missing(results: Results, root: Path) -> str:
    """The notebooks of the project that were not run with this profile, and how to run them."""
    there = {chapter.name for chapter in results.chapters}
    missing = [path for path in notebooks.found_in(root / "notebooks") if path.stem not in there]
    if not missing:
        return ""
    command = f"./run_all.sh --profile {results.name}"
    if not there:
        return f"No notebook has been run with this profile here: `{command}` runs them all."
    named = markdown(", ".join(path.stem for path in missing))
    alone = f"{command} --only {notebooks.number(missing[0])}"
    return f"Not run with this profile, or passed over: {named}. One alone: `{alone}`."


def _facts(results: Results) -> str:
    said = results.provenance()
    machine, data = said.get("machine") or {}, said.get("data") or {}
    parts = [machine.get(key) for key in ("processor", "gpu")]
    facts = {
        "Data": data.get("title"),
        "Machine": ", ".join(str(part) for part in parts if part not in (None, "none")),
        "Cores": machine.get("cores"),
        "Commit": said.get("commit"),
    }
    return "\n".join(f"- **{name}**: {markdown(str(value))}" for name, value in facts.items() if value)


def _cards(paths: Sequence[str]) -> str:
    cards = (
        f'<a href="{path.rpartition(".")[0]}.html"><b>{_CARDS[path][0]}</b><span>{_CARDS[path][1]}</span></a>'
        for path in paths
    )
    return f'````{{raw}} html\n<div class="cards">{"".join(cards)}</div>\n````'


def _named(path: str, pages: Sequence[str]) -> dict[str, str]:
    return {path: _PAGES[path]} if path in pages else {}


def _toctree(caption: str, titles: Mapping[str, str]) -> str:
    """A part of the sidebar.  `titles`: path of a page -> what it is called there, "" for its own title."""
    if not titles:
        return ""
    lines = [f"{title} <{path}>" if title else path for path, title in titles.items()]
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *lines, "```"])
