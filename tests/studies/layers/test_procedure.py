"""The schematic of the method: the committed files are what the code draws, and it shows what the method finds."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from singlefilter.figures import method
from singlefilter.method import clusters
from singlefilter.studies.layers import procedure

ROOT = Path(__file__).resolve().parents[3]
COMMITTED = ROOT / "figures" / "method"


def locked(package: str) -> str:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return next(line.split("==")[1].split()[0] for line in lock.splitlines() if line.startswith(f"{package}=="))


@pytest.mark.skipif(
    any(version(package) != locked(package) for package in ("matplotlib", "numpy", "pillow")),
    reason="other versions of matplotlib, numpy or pillow than those of requirements.lock draw other bytes",
)
def test_the_committed_schematic_is_redrawn_to_the_same_bytes(tmp_path):
    written = method.write(tmp_path)
    assert [path.name for path in written] == [f"{name}.{end}" for name in method.PICTURES for end in ("png", "svg")]
    assert {path.name for path in COMMITTED.iterdir()} == {path.name for path in written}
    for path in written:
        assert path.read_bytes() == (COMMITTED / path.name).read_bytes(), "draw figures/method again, and look at it"


def test_it_is_drawn_twice_to_the_same_bytes(tmp_path):
    for first, second in zip(method.write(tmp_path / "a"), method.write(tmp_path / "b"), strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_it_has_the_steps_of_the_method_and_no_text_leaves_the_page():
    fig = procedure.procedure()
    fig.draw_without_rendering()
    said = [text.get_text() for text in fig.texts]
    places = [said.index(name) for name, _ in procedure.STEPS]
    assert len(places) == 8 and places == sorted(places)
    for text in fig.findobj(
        lambda artist: hasattr(artist, "get_text") and artist.get_text() and artist.get_visible()
    ):
        corners = fig.transFigure.inverted().transform(text.get_window_extent().get_points())
        assert (corners > 0).all() and (corners < 1).all(), text.get_text()


def test_no_two_sentences_overlap():
    fig = procedure.procedure()
    fig.draw_without_rendering()
    boxes = [text.get_window_extent() for text in fig.texts if "\n" in text.get_text()]
    assert len(boxes) == 8
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_its_matrix_holds_the_planted_clusters_and_noise():
    clipped = clusters.clip(procedure.planted())
    found = clusters.find(clipped)[0]
    groups = {tuple(np.flatnonzero(found == cluster)) for cluster in set(found[found >= 0])}
    assert groups == {(0, 3, 7, 10), (2, 5, 8), (4, 11)}
    assert clipped.sum() - (16 + 9 + 4) == 7  # six planted, one by chance
