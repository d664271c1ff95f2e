"""The embedded data set: which characters, how they are drawn, and that the bytes never change."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.path import Path as Outline

from singlefilter.data import glyphs
from singlefilter.data.glyphs import alphabet, outlines
from singlefilter.data.glyphs import images as images_

# These hold for the font files in matplotlib, on any machine. If they fail with unchanged code, a font file has
# changed: compare the sha256 of the files that `glyphs.fonts` lists with those of an older matplotlib. If the code
# was meant to change the images, put in the new values and another `glyphs.EDITION`, by which the store knows them.
CHARACTERS_SHA256 = "da8d434bac5b815fe91561df307ab8f39833d92a60a99ba08359391945422c2e"
IMAGES_SHA256 = {
    "train": "43bf8cd5e927bdc731f0696f0e6cb195675cf36fed2eb7feb76be58f364f8466",
    "test": "d1a2fef36ade7f418c5606f5ea942be17d478e37889f77abdf51269c9753e9a3",
}


def sha256(images: np.ndarray) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()


@pytest.fixture(scope="module")
def every_character():
    return glyphs.characters(1000)


@pytest.fixture(scope="module")
def coverage(every_character):
    """Coverage of each character in each font that draws it: {font: {character: [48, 48]}}."""
    filled = {}
    for path in glyphs.fonts("train") + glyphs.fonts("test"):
        drawable = FT2Font(str(path)).get_charmap()
        here = tuple(character for character in every_character if ord(character) in drawable)
        filled[path] = dict(zip(here, outlines.fill(here, (path,))[:, 0], strict=True))
    return filled


# ---- characters and fonts


def test_characters_are_pinned(every_character):
    assert hashlib.sha256("".join(every_character).encode()).hexdigest() == CHARACTERS_SHA256


def test_a_smaller_set_begins_a_larger_one(every_character):
    assert len(set(every_character)) == 1000
    for count in (3, 10, 64, 65, 300):
        assert glyphs.characters(count) == every_character[:count]


def test_look_alikes_come_early_and_homoglyphs_once(every_character):
    assert set("OQ0Il1") <= set(every_character[:6])
    assert set("0123456789ABCXYZabcxyz") <= set(every_character[:70])
    for homoglyphs in (
        "A\u0391\u0410",
        "O\u039f\u041e",
        "P\u03a1\u0420",
        "x\u0445",
        "\u03a9\u2126",
        "K\u212a",
    ):
        assert [c for c in homoglyphs if c in every_character] == [homoglyphs[0]]


def test_fonts_of_the_splits_are_disjoint_files():
    train, test = glyphs.fonts("train"), glyphs.fonts("test")
    assert not set(train) & set(test)
    assert len({sha256(np.frombuffer(path.read_bytes(), np.uint8)) for path in train + test}) == 16


def test_every_character_can_be_drawn_in_both_splits(every_character):
    able = {split: Counter() for split in ("train", "test")}
    for split in able:
        for path in glyphs.fonts(split):
            able[split].update(FT2Font(str(path)).get_charmap())
    for character in every_character:
        train, test = able["train"][ord(character)], able["test"][ord(character)]
        assert train >= 4 and test >= 2 and train + test >= 8, glyphs.describe(character)


def test_no_character_is_empty_or_the_box_of_a_missing_glyph(coverage):
    for path, filled in coverage.items():
        face = FT2Font(str(path))
        face.load_glyph(0, flags=LoadFlags.NO_SCALE)
        missing = face.get_path()[0]
        for character, pixels in filled.items():
            face.load_char(ord(character), flags=LoadFlags.NO_SCALE)
            assert not np.array_equal(face.get_path()[0], missing), (path.name, glyphs.describe(character))
            assert pixels.max() >= 96, (path.name, glyphs.describe(character))


def test_no_two_characters_look_the_same(coverage):
    for path, filled in coverage.items():
        assert len({pixels.tobytes() for pixels in filled.values()}) == len(filled), path.name
        if path.name != "DejaVuSans.ttf":
            continue
        # the rule itself, in exact integers, in the reference font
        pixels = np.stack(list(filled.values())).astype(np.int64).reshape(-1, 24, 2, 24, 2).sum(axis=(2, 4)) // 32
        flat = pixels.reshape(len(pixels), -1)
        for i in range(1, len(flat)):
            apart = ((flat[:i] - flat[i]) ** 2).sum(axis=1)
            larger = np.maximum((flat[:i] ** 2).sum(axis=1), (flat[i] ** 2).sum())
            assert (100 * apart >= larger).all()


def test_likeness_against_a_loop():
    random = np.random.default_rng(0)
    old = random.integers(0, 17, (3, 6, 9)).astype(np.float32)
    new = random.integers(0, 17, (3, 5, 9)).astype(np.float32)
    new[1, 0] = old[1, 2]  # the same in one font only
    new[:, 1] = np.minimum(old[:, 4] + 1, 16)  # nearly the same in all
    old[2, 5] = new[0, 3] = 0  # a font that lacks the character
    expected = np.zeros((5, 6), bool)
    for i in range(5):
        for j in range(6):
            pairs = [(new[f, i], old[f, j]) for f in range(3) if new[f, i].any() and old[f, j].any()]
            apart = [int(((a - b) ** 2).sum()) for a, b in pairs]
            larger = [int(max((a**2).sum(), (b**2).sum())) for a, b in pairs]
            one = any(100 * x < y for x, y in zip(apart, larger, strict=True))
            expected[i, j] = one or 10 * sum(apart) < sum(larger)
    assert expected[0, 2] and expected[1, 4] and not expected.all()
    np.testing.assert_array_equal(alphabet.alike(new, old), expected)


@pytest.mark.parametrize("count", [2, 1001, 0, -3, 10.0, "10", None, True, np.nan])
def test_bad_number_of_labels(count):
    with pytest.raises(ValueError, match="integer from 3 to 1000"):
        glyphs.characters(count)
    with pytest.raises(ValueError, match="number of glyph labels"):
        glyphs.render(count, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "validation"}, "'validation'.*'train' and 'test'"),
        ({"per_label": 0}, "images per label is 0"),
        ({"per_label": 1.5}, "images per label is 1.5"),
        ({"per_label": True}, "images per label is True"),
        ({"seed": -1}, "seed of the glyphs is -1"),
        ({"seed": None}, "seed of the glyphs is None"),
        ({"chunk_images": 0}, "images per chunk is 0"),
    ],
)
def test_bad_arguments_of_render(arguments, message):
    with pytest.raises(ValueError, match=message):
        glyphs.render(**({"labels": 3, "per_label": 1} | arguments))


def test_numpy_integers_are_integers():
    assert glyphs.characters(np.int64(5)) == glyphs.characters(5)


def test_description_names_the_character():
    assert glyphs.describe("Ж") == "Ж  CYRILLIC CAPITAL LETTER ZHE"


# ---- drawing


def test_outlines_are_made_of_lines_and_quadratic_curves(coverage):
    """Cubic curves (code 4) would be ignored; a contour that is not closed would leak."""
    for path, filled in coverage.items():
        face = FT2Font(str(path))
        for character in filled:
            face.load_char(ord(character), flags=LoadFlags.NO_SCALE)
            codes = Counter(face.get_path()[1].tolist())
            assert set(codes) <= {1, 2, 3, 79} and codes[1] == codes[79] and codes[3] % 2 == 0


@pytest.mark.parametrize("character", "Og8%kЯ")
def test_filling_against_matplotlib(character):
    """Each of 4 x 4 points in a pixel is inside or outside the outline: in an odd number of contours here."""
    path = next(path for path in glyphs.fonts("train") if path.name == "DejaVuSans.ttf")
    face = FT2Font(str(path))
    face.load_char(ord(character), flags=LoadFlags.NO_SCALE)
    vertices, codes = face.get_path()
    vertices = vertices * 64  # in font units: large, so that matplotlib cuts the curves finely
    box = Outline(vertices, codes).get_extents()
    pixels_per_unit = outlines.EM / face.units_per_EM
    place = (np.arange(48 * 4) + 0.5) / 4 - 24
    x, y = np.meshgrid(place / pixels_per_unit, -place / pixels_per_unit)
    points = np.stack([x.ravel() + (box.x0 + box.x1) / 2, y.ravel() + (box.y0 + box.y1) / 2], axis=1)
    first = np.flatnonzero(codes == Outline.MOVETO)[1:]
    contours = zip(np.split(vertices, first), np.split(codes, first), strict=True)
    inside = sum(Outline(*contour).contains_points(points).astype(int) for contour in contours) % 2
    inside = inside.reshape(48, 4, 48, 4).sum(axis=(1, 3)) * 8
    ours = outlines.fill((character,), (path,))[0, 0].astype(int)
    assert inside.sum() > 5_000
    # points close to an edge may differ; one point is 8 of 128
    assert np.abs(ours - inside).max() <= 32 and np.abs(ours - inside).sum() < 0.01 * inside.sum()


def test_sampling_against_a_loop():
    random = np.random.default_rng(1)
    cells = np.zeros((3, 48, 48), np.uint8)
    cells[:, 5:43, 5:43] = random.integers(0, 129, (3, 38, 38))
    cell = np.array([2, 0])
    matrix = np.array([[[6000, 5000], [900, -1500]], [[-900, 1200], [6100, 7000]]])
    shift = np.array([[20, -64], [-31, 50]])
    sampled = images_.sample(images_.packed(cells), cell, matrix, shift)
    for image in range(2):
        for row in range(32):
            for column in range(32):
                x, y = 16 * column - 248 - shift[0, image], 16 * row - 248 - shift[1, image]
                u = matrix[0, 0, image] * x + matrix[0, 1, image] * y + 47 * 2**15
                v = matrix[1, 0, image] * x + matrix[1, 1, image] * y + 47 * 2**15
                u, v = min(max(u, 0), 47 * 2**16 - 1), min(max(v, 0), 47 * 2**16 - 1)
                (i, fu), (j, fv) = divmod(u // 4096, 16), divmod(v // 4096, 16)
                four = cells[cell[image], j : j + 2, i : i + 2].astype(int)
                expected = (four @ [16 - fu, fu]) @ [16 - fv, fv] // 256
                assert sampled[image, row, column] == expected
    assert sampled.max() > 64


@pytest.fixture(scope="module")
def with_and_without():
    """Luminance [images, 32, 32] of the same images with and without their character."""
    words = np.random.PCG64(3).random_raw(600 * images_.WORDS).reshape(600, images_.WORDS)
    paths = glyphs.fonts("train")
    neighbours = images_.packed(outlines.fill(tuple("AE"), paths))
    glyph = images_.packed(outlines.fill(("R",), paths))
    weights = np.array([0.299, 0.587, 0.114])[:, None, None]
    return [(images_.compose(words, cells, neighbours) * weights).sum(axis=1) for cells in (glyph, 0 * glyph)]


def test_the_character_stands_out_in_every_image(with_and_without):
    with_character, without = with_and_without
    strongest = np.quantile(np.abs(with_character - without), 0.97, axis=(1, 2))
    assert strongest.min() > 25  # of 255
    assert np.quantile(strongest, 0.05) > 40


def test_the_character_is_not_cut_off(with_and_without):
    with_character, without = with_and_without
    changed = np.abs(with_character - without) > 8
    border = np.ones((32, 32), bool)
    border[1:-1, 1:-1] = False
    assert changed.any(axis=(1, 2)).all()
    assert changed[:, border].sum() < 0.01 * changed.sum()


# ---- the data set


def test_shapes_types_and_balance():
    images, labels, names = glyphs.render(7, 5)
    assert images.shape == (35, 3, 32, 32) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and labels.tolist() == sorted(list(range(7)) * 5)
    assert names == glyphs.characters(7)
    assert len({image.tobytes() for image in images}) == 35
    assert images.min() < 16 and images.max() > 240


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_are_pinned(split):
    assert sha256(glyphs.render(12, 5, split, seed=1)[0]) == IMAGES_SHA256[split]


def test_another_process_draws_the_same_images():
    program = (
        "import hashlib; from singlefilter.data import glyphs;"
        "print(hashlib.sha256(glyphs.render(12, 5, 'test', seed=1, chunk_images=2)[0].tobytes()).hexdigest())"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", env=environment)
    assert result.stdout.strip() == sha256(glyphs.render(12, 5, "test", seed=1)[0]), result.stderr


@settings(max_examples=10, deadline=None)
@given(
    labels=st.integers(3, 8),
    per_label=st.integers(1, 9),
    chunk_images=st.integers(1, 12),
    split=st.sampled_from(["train", "test"]),
)
def test_fewer_labels_images_or_any_chunk_give_the_same_images(labels, per_label, chunk_images, split):
    whole = glyphs.render(8, 9, split, seed=5)[0].reshape(8, 9, 3, 32, 32)
    part = glyphs.render(labels, per_label, split, seed=5, chunk_images=chunk_images)[0]
    np.testing.assert_array_equal(part, whole[:labels, :per_label].reshape(-1, 3, 32, 32))


def test_seed_split_and_label_each_change_the_images():
    base = glyphs.render(3, 4)[0]
    for other in (glyphs.render(3, 4, seed=1)[0], glyphs.render(3, 4, split="test")[0]):
        assert not (base == other).reshape(12, -1).all(axis=1).any()
    noise = base.reshape(3, 4, 3, 32, 32)[:, 0].astype(int)
    assert np.abs(noise[0] - noise[1]).mean() > 5
