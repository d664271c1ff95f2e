"""Figures for print: as wide as one or two columns of a page, no text under 7 points, captions beside them."""

import re

import pytest
from tests.figures.made_up import CIFAR, GLYPHS, tables
from tests.figures.reading import texts, words

from singlefilter import drawing, lettering
from singlefilter.figures import files, registry

SMALLEST = 7  # points


@pytest.mark.parametrize("name", registry.FIGURES)
def test_printed_at_its_width_every_text_can_be_read_and_none_is_cut_off(name):
    declared = registry.FIGURES[name]
    for common, layers, labels in ((CIFAR, 3, 20), (GLYPHS, 13, 100)):
        table = tables(common, layers, labels)[name]
        with drawing.in_print(declared.across):
            fig = declared.drawn(table)
        assert 25.4 * fig.get_figwidth() == pytest.approx({1: 88, 2: 180}[declared.across])
        fig.draw_without_rendering()
        for text in texts(fig):
            assert text.get_fontsize() >= SMALLEST, text
            extent = text.get_window_extent()
            assert extent.x0 >= -1 and extent.x1 <= fig.bbox.width + 1, text
            assert extent.y0 >= -1 and extent.y1 <= fig.bbox.height + 1, text
        said = declared.words(table)
        assert said.title not in words(fig) and "Data: " not in words(fig)
        assert (drawing.BANNER in words(fig)) == (common is GLYPHS and name != "samples")


def test_no_text_is_smaller_on_a_screen():
    for name, table in tables(GLYPHS, 13, 100).items():
        fig = registry.FIGURES[name].drawn(table)
        assert min(text.get_fontsize() for text in texts(fig)) >= SMALLEST, name
        assert fig.get_figwidth() == pytest.approx(180 / 25.4)


def test_files_for_print_are_a_pdf_each_and_their_captions_in_order(tmp_path):
    made = tables(CIFAR)
    for name in ("curves", "statistics_by_layer"):
        files.publish(name, made[name], tmp_path / "figures")
    written = files.to_print(tmp_path / "figures", tmp_path / "print")
    assert [path.name for path in written] == ["curves.pdf", "statistics_by_layer.pdf", "captions.md"]
    first = [path.read_bytes() for path in written]
    assert all(content.startswith(b"%PDF") for content in first[:2])
    millimetres = [float(content.split(b"/MediaBox [ 0 0 ")[1].split()[0]) / 72 * 25.4 for content in first[:2]]
    assert millimetres == pytest.approx([88, 180], abs=0.1)
    page = first[2].decode("utf-8")
    title = registry.FIGURES["curves"].words(made["curves"]).title
    assert f"**Figure 1. {title}.** Data: CIFAR-100. " in page and "curves.pdf, 88 mm wide" in page
    assert page.index("Figure 1") < page.index("Figure 2") and "statistics_by_layer.pdf, 180 mm wide" in page
    files.to_print(tmp_path / "figures", tmp_path / "print")
    assert [path.read_bytes() for path in written] == first, "the same table gives the same bytes"
    with pytest.raises(files.TableError, match=r"No table .*samples\.csv"):
        files.to_print(tmp_path / "figures", tmp_path / "print", ["samples"])


def test_a_table_that_others_can_make_is_made_once_and_no_other(tmp_path):
    made = tables(CIFAR)
    assert files.join(tmp_path) == []
    files.publish("accuracy_by_layer", made["accuracy_by_layer"], tmp_path)
    assert files.join(tmp_path) == [], "half of what it is made of"
    files.publish("statistics_by_layer", made["statistics_by_layer"], tmp_path)
    assert [path.name for path in files.join(tmp_path)] == ["accuracy_and_snr.csv"]
    table = files.read_table(tmp_path / "accuracy_and_snr.csv")
    flat = made["accuracy_by_layer"].query("head == 'flat'")
    assert table["accuracy"].tolist() == flat["accuracy"].tolist()[: len(table)] and set(table["split"]) == {"train"}
    assert files.join(tmp_path) == [] and len(files.redraw(tmp_path)) == 6


def test_logarithmic_axes_say_so_and_panels_have_letters():
    for name, table in tables(CIFAR).items():
        fig = registry.FIGURES[name].drawn(table)
        for ax in fig.axes:
            if ax.axison and ax.get_xscale() == "log" and ax.get_xlabel():
                assert ax.get_xlabel().endswith("(log)"), name
            if ax.axison and ax.get_yscale() == "log" and (label := ax.get_ylabel() or ax.get_title(loc="left")):
                assert label.endswith("(log)"), name
        panels = drawing.panels(fig)
        if len(panels) > 1 and name not in ("samples", "claims"):
            assert [ax.get_title(loc="left")[:4] for ax in panels] == [
                f"({'abcdefghij'[k]}) " for k in range(len(panels))
            ]


def test_minus_signs_and_units_are_the_same_everywhere():
    assert (
        lettering.tidy("C7: -0.5, 6.7% kept, log-log slope 1e-3, K-1")
        == "C7: −0.5, 6.7\u00a0% kept, log-log slope 1e-3, K-1"
    )
    for name, table in tables(CIFAR).items():
        said = words(registry.FIGURES[name].drawn(table))
        labels = set(table.select_dtypes("object").stack().astype(str))
        if not any("%" in label or "-" in label.replace("VGG-", "").replace("CIFAR-", "") for label in labels):
            assert not re.search(r"\d%|(?<![\w])-\d", said), name
