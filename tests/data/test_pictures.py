"""Pixels of one image, however it was kept: depth, EXIF, transparency, formats, and what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from tests.data.written import RNG

from singlefilter import data
from singlefilter.data import pictures
from singlefilter.data.pictures import CONVERTED, DEEP, SEVERAL, TRANSPARENT, TURNED, read_image


def grey16(path, values) -> None:
    Image.fromarray(np.asarray(values, np.uint16)).save(path)


@pytest.mark.parametrize("ending", [".png", ".tif", ".pgm"])
def test_grey_of_16_bits_is_scaled_by_its_depth(tmp_path, ending):
    values = np.linspace(0, 65535, 64).round().reshape(8, 8)
    grey16(tmp_path / f"a{ending}", values)
    pixels, done = read_image(tmp_path / f"a{ending}", 8)
    assert done == {DEEP, CONVERTED}
    for channel in pixels:
        np.testing.assert_array_equal(channel, np.rint(values / 257))
    assert pictures.read_otherwise(tmp_path / f"a{ending}")


def test_a_grey_value_of_16_bits_may_be_transparent(tmp_path):
    """By the PNG's tRNS chunk, put in by hand."""
    grey16(tmp_path / "a.png", np.full((8, 8), 1000))
    content = (tmp_path / "a.png").read_bytes()
    chunk = b"tRNS" + struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
    pixels, done = read_image(tmp_path / "a.png", 8)
    assert done == {DEEP, CONVERTED, TRANSPARENT}
    assert (pixels == 255).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_numbers_that_may_lie_anywhere_are_refused(tmp_path, kind):
    Image.fromarray(np.arange(64, dtype=kind).reshape(8, 8)).save(tmp_path / "a.tif")
    with pytest.raises(data.DataError, match="a.tif is not a readable image .pixels of mode .*save it with 8 bits"):
        read_image(tmp_path / "a.tif", 8)


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_exif_says(tmp_path, ending, orientation):
    upright = np.zeros((24, 16, 3), np.uint8)
    upright[:8, :8, 0] = upright[16:, 8:, 1] = 255  # red in the upper left corner, green in the lower right
    back = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = Image.fromarray(upright)
    if back > 1:
        stored = stored.transpose(pictures._TURNS[back])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == ".webp" else {"quality": 95} if ending == ".jpg" else {}
    stored.save(tmp_path / f"a{ending}", exif=exif, **options)
    pixels, done = read_image(tmp_path / f"a{ending}", None)
    assert pixels.shape == (3, 24, 16)
    assert np.abs(pixels.transpose(1, 2, 0).astype(int) - upright).max() < (90 if ending == ".jpg" else 1)
    if ending != ".tif":  # Pillow turns these itself
        assert (TURNED in done) == (orientation > 1) == pictures.read_otherwise(tmp_path / f"a{ending}")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_shows_one_colour_and_nothing_hidden(tmp_path, mode):
    hidden = Image.new("RGBA", (8, 8), (10, 200, 30, 0))
    hidden.paste((0, 0, 0, 255), (0, 0, 4, 8))
    if mode == "P":
        hidden = hidden.quantize(4)
    elif mode == "LA":
        hidden = hidden.convert("LA")
    hidden.save(tmp_path / "a.png")
    pixels, done = read_image(tmp_path / "a.png", 8)
    assert TRANSPARENT in done
    assert (pixels[:, :, :4] == 0).all() and (pixels[:, :, 4:] == 255).all()
    assert pictures.read_otherwise(tmp_path / "a.png")


def test_an_alpha_that_hides_nothing_changes_nothing(tmp_path):
    colours = RNG.integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(colours).convert("RGBA").save(tmp_path / "a.png")
    pixels, done = read_image(tmp_path / "a.png", 8)
    assert done == {CONVERTED}
    np.testing.assert_array_equal(pixels, colours.transpose(2, 0, 1))
    assert not pictures.read_otherwise(tmp_path / "a.png")


@pytest.mark.parametrize(
    "ending", [one for one in pictures.ENDINGS if one not in (".jpg", ".jpeg", ".jfif", ".avif")]
)
def test_formats_that_pillow_reads(tmp_path, ending):
    bits = ending == ".pbm"
    colours = RNG.integers(0, 256, (8, 8, 3), np.uint8) if not bits else np.full((8, 8, 3), 255, np.uint8)
    image = Image.fromarray(colours)
    image = image.convert("1") if bits else image.convert("L") if ending in (".pgm", ".gif") else image
    options = {".webp": {"lossless": True}, ".pbm": {"format": "PPM"}, ".pgm": {"format": "PPM"}}.get(ending, {})
    image.save(tmp_path / f"a{ending.upper()}", **options)
    pixels, done = read_image(tmp_path / f"a{ending.upper()}", 8)
    np.testing.assert_array_equal(pixels, np.asarray(image.convert("RGB")).transpose(2, 0, 1))


def test_the_first_of_several_pictures_is_taken_and_it_is_said(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    pixels, done = read_image(tmp_path / "a.gif", 8)
    assert SEVERAL in done
    assert (pixels[0] == 255).all() and (pixels[2] == 0).all()


def test_no_other_program_is_started_for_an_image(tmp_path):
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(data.DataError, match="a.png is not a readable image"):
        read_image(tmp_path / "a.png", 8)


def test_huge_images_are_refused_before_they_are_decoded(tmp_path, monkeypatch, recwarn):
    """100 megapixels and more, in a file of 60 bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    for wide, high in ((10_000, 10_000), (100_000_000, 1), (60_000, 60_000)):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0))
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bytes(10)))
        words = f"has {wide} x {high} pixels, 100 million or more: save it smaller|exceeds limit"
        with pytest.raises(data.DataError, match=f"a.png .*{words}"):
            read_image(tmp_path / "a.png", 8)
    assert not recwarn.list


def test_a_damaged_note_leaves_a_sound_image(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, "jpeg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff garbage")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    pixels, done = read_image(tmp_path / "a.jpg", 8)
    assert not done and (pixels[0] > 250).all()
