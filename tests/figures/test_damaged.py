"""Tables that something has happened to: each is named with its line, and none keeps the others from being drawn."""

import base64
import io
import os

import pytest
from PIL import Image
from tests.figures.made_up import CIFAR, curves_table, tables

from singlefilter import tablefiles
from singlefilter.figures import files
from singlefilter.run import main

BOMB = io.BytesIO()
Image.new("1", (9000, 9000)).save(BOMB, "PNG")
AS_TEXT = base64.b64encode(BOMB.getvalue()).decode()


def on_line(number, change):
    """Another line of that number, from 1."""

    def changed(text):
        lines = text.splitlines(keepends=True)
        return "".join([*lines[: number - 1], change(lines[number - 1]), *lines[number:]])

    return changed


def other(field, value):
    """The line with another value in a field, from 0."""
    return lambda line: ",".join([*line.split(",")[:field], value, *line.split(",")[field + 1 :]])


DAMAGES = {
    "a field too many": (
        on_line(3, lambda line: line[:-1] + ",1\n"),
        "line 3: 11 fields, where the first line has",
    ),
    "a field too few": (on_line(4, lambda line: line.split(",", 1)[1]), "line 4: 9 fields"),
    "cut short": (lambda text: text[:-20], r"line \d+: \d fields"),
    "no UTF-8": (
        lambda text: on_line(5, lambda line: "\udcff" + line)(text),
        r"line 5: a byte that is no UTF-8",
    ),
    "a zero byte": (on_line(5, lambda line: "\0" + line), "line 5: a byte that is zero"),
    "a quote": (on_line(3, lambda line: '"' + line), "line 3: cannot be read"),
    "doubled rows": (on_line(4, lambda line: line + line), "line 5: the same as line 4"),
    "doubled file": (lambda text: text + text, r"line \d+: column epoch: 'epoch', where a number is due"),
    "a column gone": (
        lambda text: text.replace("loss", "lost", 1),
        r"curves.csv has no column loss. Columns it",
    ),
    "a column twice": (lambda text: text.replace("loss", "epoch", 1), "line 1: column epoch is there twice"),
    "empty": (lambda text: "", "curves.csv is empty"),
    "nothing but its columns": (lambda text: text.splitlines()[0] + "\n", "curves.csv has no rows"),
    "text for a number": (on_line(3, other(0, "many")), "line 3: column epoch: 'many', where a number is due"),
    "a huge number": (
        on_line(3, other(0, "1e300")),
        "line 3: column epoch: '1e300', which is no number that",
    ),
    "many digits": (on_line(3, other(0, "9" * 5000)), "line 3: column epoch: 5000 characters"),
    "a huge text": (
        on_line(3, other(1, "x" * 10**6)),
        "line 3: column split: 1000000 characters, more than",
    ),
    "semicolons": (lambda text: text.replace(",", ";"), "curves.csv has no column epoch"),
}


@pytest.fixture
def folder(tmp_path):
    """A folder with two tables and nothing drawn."""
    files.publish("curves", curves_table().assign(**CIFAR), tmp_path)
    files.publish("samples", tables(CIFAR)["samples"], tmp_path)
    for path in [*tmp_path.glob("*.png"), *tmp_path.glob("*.svg")]:
        path.unlink()
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_table_is_named_with_its_line_and_the_others_are_drawn(folder, damage):
    change, words = DAMAGES[damage]
    path = folder / "curves.csv"
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode("utf-8", "surrogateescape"))
    with pytest.raises(files.NotDrawn, match=words) as failed:
        files.redraw(folder)
    assert str(failed.value).startswith(f"1 of 2 figures failed, the others are drawn:\n{path}")
    assert len(str(failed.value)) < 1000
    assert failed.value.written == [folder / "samples.png", folder / "samples.svg"]
    assert all(written.stat().st_size > 1000 for written in failed.value.written)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (AS_TEXT, "line 2: column png: A picture of 9000 x 9000 pixels"),
        ("A" * 300_000, "line 2: column png: 300000 characters, more than a cell has"),
        ("ABC", "line 2: column png: Not a PNG"),
        (base64.b64encode(BOMB.getvalue()[:60]).decode(), "line 2: column png: (Not a PNG|A picture of)"),
    ],
    ids=["a bomb", "long", "no base64", "cut short"],
)
def test_a_picture_that_is_none_or_huge(folder, picture, words):
    table = tablefiles.read_table(folder / "samples.csv").iloc[:1].assign(png=picture)
    table.to_csv(folder / "samples.csv", index=False)
    with pytest.raises(files.NotDrawn, match=words):
        files.redraw(folder)
    assert (folder / "curves.png").exists() and not (folder / "samples.png").exists()


def test_what_is_no_file_or_too_large(folder, monkeypatch):
    path = folder / "curves.csv"
    monkeypatch.setattr(tablefiles, "LARGEST", 10)
    with pytest.raises(tablefiles.TableError, match=r"curves.csv has \d+ bytes, more than a table has"):
        tablefiles.read_table(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(files.NotDrawn, match="curves.csv is no file"):
        files.redraw(folder, ["curves"])


def test_what_programs_for_tables_make_of_them_is_read(folder):
    before = tablefiles.read_table(folder / "curves.csv")
    text = (folder / "curves.csv").read_text(encoding="utf-8")
    (folder / "curves.csv").write_bytes(("\ufeff" + text.replace("\n", "\r\n") + "\r\n").encode("utf-8"))
    assert tablefiles.read_table(folder / "curves.csv").equals(before)


def test_the_command_says_what_it_drew_and_what_not(folder, home, monkeypatch, capsys):
    (folder / "stray.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (folder / "curves.csv").write_text("", encoding="utf-8")
    monkeypatch.setattr("singlefilter.commands.figures_folder", lambda name: folder)
    assert main(["figures"]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [str(folder / "samples.png"), str(folder / "samples.svg")]
    assert "2 of 3 figures failed, the others are drawn:" in err
    assert "curves.csv is empty" in err and "stray.csv: There is no figure 'stray'" in err and "Traceback" not in err
