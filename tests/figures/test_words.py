"""What figures say in words: sentences that a reader of a page, or of no picture, can do with."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.figures.test_files import CIFAR, GLYPHS, tables, words

from singlefilter import drawing, figures
from singlefilter.figures import registry
from singlefilter.studies.declaration import Words, counted, course, number, span

ROOT = Path(__file__).resolve().parents[2]
EVERY = registry.FIGURES | registry.OF_A_MACHINE
COMMITTED = sorted((ROOT / "figures").glob("*/*.csv"))


def check(said: Words) -> None:
    """A title, a caption and an alt text: all there, different, in sentences, without names of columns."""
    assert len({said.title, said.caption, said.alt}) == 3
    assert re.fullmatch(r"[A-Z\d].*[a-z)?\d%]", said.title), said.title
    assert not re.search(r"_|(nan|inf|None(?! of))", re.sub("|".join(drawing.SYMBOLS), "", said.title)), said.title
    for text in (said.caption, said.alt):
        assert len(text.split()) >= 12, text
        assert re.match(r"[A-Z]", text) and text.endswith("."), text
        assert not re.search(r"\s\s|\n|\.\.|,\.|[({\[]\s|\b(nan|inf|None|True|False)\b", text), text
        assert text.count("(") == text.count(")"), text
        starts = re.findall(r"(?<=[.?] )(?!n = )[^A-Z(]\S*", text)  # of sentences; n is the name of a number
        assert not starts, text
        assert not re.search(r"\w_\w", text), text
    assert "<" not in said.alt and "$" not in said.alt
    assert not re.search("<", re.sub("|".join(drawing.SYMBOLS), "", said.title + said.caption))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_words_of_committed_figures(path):
    check(registry.figure(path.stem).words(figures.read_table(path)))


@pytest.mark.parametrize("common", [CIFAR, GLYPHS], ids=["photographs", "glyphs"])
@pytest.mark.parametrize("name", registry.FIGURES)
def test_words_of_every_figure_and_the_note_stands_on_the_picture(name, common):
    declared, table = registry.FIGURES[name], tables(common)[name]
    said = declared.words(table)
    check(said)
    assert said.caption.startswith(declared.shows + " ")
    fig = declared.drawn(table)
    shown, note = words(fig), said.caption.removeprefix(declared.shows + " ")
    assert fig.alt == said.alt
    assert " ".join(said.title.split()) in shown
    if not any(symbol in note for symbol in drawing.SYMBOLS):
        assert " ".join(note.split()) in shown


@pytest.mark.parametrize(
    "name", sorted(registry.FIGURES.keys() - {"label_orders"})
)  # whose table has all of its quantities
def test_words_of_a_table_of_which_most_is_missing(name):
    """A profile may measure one layer, one split, one method."""
    table = tables(CIFAR)[name]
    for place in range(0, len(table), max(1, len(table) // 20)):
        check(registry.FIGURES[name].words(table.iloc[[place]]))


def test_no_two_figures_say_the_same():
    for one, other in combinations(EVERY.values(), 2):
        assert one.title != other.title and one.shows != other.shows
    made = {name: registry.FIGURES[name].words(table) for name, table in tables(CIFAR).items()}
    assert len({said.alt for said in made.values()}) == len({said.caption for said in made.values()}) == len(made)


def test_alt_text_says_what_the_table_says():
    rows = pd.DataFrame({"layer": [3, 1, 2], "snr": [9.0, 1.25, 4.0]})
    assert course(rows, "snr") == "from 1.25 at layer 1 to 9 at layer 3"
    assert (
        course(rows.assign(labels=[1000, 3, 30]), "snr", "labels", True)
        == "from 125 % at K = 3 to 900 % at K = 1,000"
    )
    assert course(rows[:1], "snr") == "9 at layer 3"
    assert course(rows[:0], "snr") == "no value"
    assert course(rows.assign(snr=[np.inf, np.nan, 1]), "snr") == "from no value at layer 1 to infinity at layer 3"
    assert [counted(one, "label") for one in (0, 1, 1024)] == ["0 labels", "1 label", "1,024 labels"]
    assert [number(value) for value in (-0.5, 12345.6, 0.1234)] == ["−0.5", "12,346", "0.123"]
    assert (span(pd.Series([10000, 10000])), span(pd.Series([16, 1280]))) == ("10,000", "16–1,280")
    accuracy = tables(CIFAR, layers=3)["accuracy_by_layer"]
    assert (
        "The accuracy of flat heads goes from 4 % at layer 1 to 12 % at layer 3."
        in EVERY["accuracy_by_layer"].words(accuracy).alt
    )


def test_a_notebook_shows_a_figure_without_pyplot_and_says_what_one_sees():
    fig = registry.FIGURES["curves"].drawn(tables(CIFAR)["curves"])
    png, said = fig._repr_png_()
    assert png.startswith(b"\x89PNG") and said == {"alt": fig.alt} and fig.alt


def symbols_of(name: str) -> list[str]:
    """Texts of a figure, of synthetic data, in which matplotlib reads mathematics."""
    fig = registry.FIGURES[name].drawn(tables(CIFAR)[name])
    every = [text for text in fig.findobj(drawing.Text) if text.get_visible()]
    assert not [text for text in every if "<sub>" in text.get_text()], "a symbol that was not set"
    assert not [text for text in every if re.search(r"N_c|C_s", text.get_text()) and not text.get_parse_math()]
    return [text.get_text() for text in every if text.get_parse_math() and "$" in text.get_text()]


def test_symbols_are_set_and_nothing_else_is_read_as_mathematics():
    with_symbols = {name: found for name in registry.FIGURES if (found := symbols_of(name))}
    assert all(re.search(r"\$(N_c|C_s)\$", text) for found in with_symbols.values() for text in found)
    assert set(with_symbols) >= {"statistics_by_layer", "seeds", "thresholds", "label_orders"}
    assert "(a) clusters per filter, $N_c$" in with_symbols["statistics_by_layer"]


def test_other_signs_of_mathematics_stay_what_they_are():
    assert drawing.typeset(f"price in $, {drawing.N_C}") == r"price in \$, $N_c$"
    assert drawing.with_symbols("C_s and N_c, not N_cut") == f"{drawing.C_S} and {drawing.N_C}, not N_cut"
    wrapped = drawing.fit(" ".join([drawing.N_C] * 9), inches=0.5, points=7)
    assert wrapped.split() == [drawing.N_C] * 9 and {len(line.split()) for line in wrapped.split("\n")} == {3}
    assert drawing.fit(f"aa {drawing.C_S} bb", 10, 7) == f"aa {drawing.C_S} bb"
