"""Letters of any script in figures: matplotlib's own fonts where they have them, this machine's where not."""

import logging
import warnings
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest
from matplotlib import font_manager

from singlefilter import drawing, lettering, tablefiles
from singlefilter.figures import files
from tests.figures.made_up import CIFAR, one_filter_table, samples_table

CHINESE, ARABIC, EMOJI = "狗猫", "قطة", "🐶"


@pytest.fixture(autouse=True)
def forgotten():
    for cached in (lettering._more, lettering._say_missing):
        cached.cache_clear()
    yield
    for cached in (lettering._more, lettering._say_missing):
        cached.cache_clear()


@pytest.mark.parametrize("text", ["", "otter", "Ωж₂ ½ →", "a\nb\t", "−1.5 × 10⁻³", "‿\u200d"])
def test_usual_text_asks_no_font_of_the_machine(monkeypatch, text):
    monkeypatch.setattr(lettering, "_of_this_machine", lambda: pytest.fail("looked for fonts"))
    assert lettering.families(text) == list(lettering.FAMILIES)


def test_fonts_are_taken_that_have_what_is_missing(monkeypatch, caplog):
    have = {"Noto Sans One": CHINESE[0], "Plain": "x", "Zeta": "कख", "Noto Sans Two": CHINESE}
    own = lettering._letters
    monkeypatch.setattr(lettering, "_of_this_machine", lambda: iter(have))
    monkeypatch.setattr(lettering, "_letters", lambda name: frozenset(have[name]) if name in have else own(name))
    more = ["Noto Sans One", "Zeta", "Noto Sans Two"]
    assert lettering.families(f"dog {CHINESE} {ARABIC} ख") == [*lettering.FAMILIES, *more]
    assert not caplog.text
    lettering.families(EMOJI)
    lettering.families(EMOJI * 2 + "🐱")
    assert caplog.text.count("no font of this machine has all letters") == 1  # a word, once


def test_every_font_of_the_machine_can_be_asked():
    for family in lettering._of_this_machine():
        assert isinstance(lettering._letters(family), frozenset)
    assert lettering._letters("no such font") == frozenset()


@pytest.mark.skipif(
    not any("CJK" in entry.name for entry in font_manager.fontManager.ttflist), reason="no font for Chinese is here"
)
def test_chinese_is_drawn_and_not_as_boxes(caplog):
    with warnings.catch_warnings(), drawing.style(CHINESE):
        warnings.simplefilter("error")
        fig = drawing.canvas(1)
        fig.text(0.5, 0.5, CHINESE)
        fig.draw_without_rendering()
    assert not caplog.text


ODD = (
    *(CHINESE, ARABIC, EMOJI, "a\nb", "c\rd", "e\r\nf", 'quo"ted', "--x", "$x_1$", "<b>&amp;", "bell\x07", "\u2028"),
    *("nan", " "),
)


@pytest.mark.parametrize("name", ["samples", "one_filter"])
def test_names_of_any_kind_are_published_drawn_and_read_back(tmp_path, monkeypatch, caplog, name):
    monkeypatch.setattr(lettering, "_of_this_machine", lambda: iter(()))
    table = one_filter_table(list(ODD)) if name == "one_filter" else samples_table()
    table = table.assign(**CIFAR, title=CHINESE) if name == "samples" else table.assign(**CIFAR)
    if name == "samples":
        table["label"] = [ODD[place % len(ODD)] for place in range(len(table))]
    columns = [column for column in ("label", "true_label", "out_label") if column in table]
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        files.publish(name, table, tmp_path)
        assert files.redraw(tmp_path)
    for column in columns:
        assert tablefiles.read_table(tmp_path / f"{name}.csv")[column].tolist() == table[column].tolist()
    ElementTree.parse(tmp_path / f"{name}.svg")
    assert caplog.text.count("no font of this machine") == 1


def test_tables_without_a_carriage_return_are_written_as_ever():
    assert files._as_csv(pd.DataFrame({"label": ["a", 'b"'], "n": [1.5, 2]})) == b'label,n\na,1.5\n"b""",2.0\n'
    quoted = files._as_csv(pd.DataFrame({"label": ["a\r", "b"], "n": [1.5, float("nan")]}))
    assert quoted == b'"label","n"\n"a\r","1.5"\n"b",""\n'


def test_wide_letters_take_more_room():
    assert lettering.mean_width("otter") < lettering.mean_width("狗otter") < lettering.mean_width("狗狗")
    assert drawing.fit("狗" * 10, 1, 8).count("\n") > drawing.fit("x" * 10, 1, 8).count("\n")
    assert drawing.spoken("a\nb_c") == "a b c"
