"""Files that say something else than YAML makes of them, that are no profiles, or whose names are not their own."""

import os
import time

import pytest

from singlefilter import profiles
from singlefilter.profiles import loading, reading

HEAD = "purpose: a test\nminutes: 1\n"
GLYPHS = "data: {name: glyphs, labels: 5, train_per_label: 2, test_per_label: 2}\n"


def refused(path, text: str | bytes) -> str:
    """What is said of a file, within a second, without its folder."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.process_time()
    with pytest.raises(profiles.ProfileError) as error:
        profiles.load(path)
    assert time.process_time() - start < 1
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{path}: ")
    assert all(len(line) < 300 + len(str(path)) for line in lines)
    return str(error.value).replace(f"{path.parent}{os.sep}", "")


def levels(wide: int, of: str, first: str) -> str:
    """Aliases of aliases: ten levels, each of them ten times the one before."""
    lines = [f"a0: &a0 {first}"]
    for level in range(1, 11):
        lines.append(f"a{level}: &a{level} " + of.format(", ".join([f"*a{level - 1}"] * wide)))
    return "\n".join(lines) + "\n"


ODD = {
    "octal": ("seed: 010", "seed has to be int, not '010' (YAML reads a leading 0 as octal, 8: write 8 or 10)"),
    "sixties": ("seed: 1:30", "seed has to be int, not '1:30' (YAML reads this in sixties, as 90: write one number)"),
    "hexadecimal": ("seed: 0x1F", "seed has to be int, not '0x1F'"),
    "no date": ("seed: 2024-13-45", "seed has to be int, not '2024-13-45'"),
    "a date": ("seed: 2024-01-01", "seed has to be int, not '2024-01-01'"),
    "a time": ("seed: 2024-01-01 10:00:00", "seed has to be int, not '2024-01-01 10:00:00'"),
    "quoted": ('seed: "5"', "seed has to be int, not '5' (YAML reads this as text: write 5)"),
    "exponent": ("seed: 1e2", "seed has to be int, not '1e2' (YAML reads this as text: write 100)"),
    "no number": ("training: {factor: 1e999}", "training.factor has to be float, not '1e999' (it has to be a finite"),
    "tag": ("seed: !!int x", "seed: '!!int' in line 4: values have no tags here"),
    "tag of a float": ("training: {factor: !!float 1}", "training.factor: '!!float' in line 4"),
    "tag of Python": ("seed: !!python/object/apply:os.abort []", "seed: '!!python/object/apply:os.abort' in line 4"),
    "tag of a set": ("controls: {seeds: !!set {1, 2}}", "controls.seeds: '!!set' in line 4"),
    "tag of bytes": ("network: {weights: !!binary aGVsbG8=}", "network.weights: '!!binary' in line 4"),
    "400 digits": ("training: {learning_rate: " + "9" * 400 + "}", "training.learning_rate has to be float"),
    "400 digits and a point": ("training: {learning_rate: " + "9" * 400 + ".0}", "training.learning_rate: inf given"),
    "5000 digits": ("seed: " + "9" * 5000, f"seed has to be int, not '{'9' * 27}...{'9' * 28}' (a number of 5000 di"),
    "nested lists": ("seed: " + "[" * 2000 + "]" * 2000, "seed: lists or groups in one another, more than 10 deep"),
    "nested groups": ("part: " + "{a: " * 2000 + "}" * 2000, "part.a.a.a.a.a.a.a.a: lists or groups in one another"),
    "nested key": ("? " + "[" * 2000 + "]" * 2000 + "\n: 1", "the file: lists or groups in one another"),
    "long text": ("network: {name: " + "x" * 20_000 + "}", "network.name: 'xxx"),
    "long list": ("network: {hidden: [" + "9," * 5_000 + "9]}", "network.hidden: "),
    "long purpose": ("part: {draw: -1}\nseed: '" + "y" * 9_000 + "'", "seed has to be int, not 'yyy"),
    "many lists": (levels(10, "[{}]", "[x, x]") + "seed: *a10", "seed has to be int, not [[[[...]"),
    "many lists in a list": (levels(10, "[{}]", "[x]") + "controls: {seeds: *a10}", "controls.seeds has to be int"),
    "many groups": (levels(1, "{{a: {0}, b: {0}}}", "1") + "part: {labels: *a10}", "part.labels has to be int or n"),
    "many merges": (levels(10, "{{<<: [{}]}}", "{x: 1}") + "training: *a10", "unknown key training.x"),
    "inside itself": ("seed: &a [*a]", "seed: '*a' stands inside what it names, in line 4"),
    "merged with itself": ("training: &a {<<: *a}", "training.<<: '*a' stands inside what it names"),
    "wide": ("network: {width: 1000000}", "network.width: 1000000 given, it can be 4,096 at most"),
    "hidden": ("network: {hidden: [1000000000]}", "network.hidden: 1000000000 given, it can be 65,536 at most"),
    "epochs": ("training: {epochs: 1000000000}", "training.epochs: 1000000000 given, it can be 100,000 at most"),
    "labels": ("part: {labels: 1000000000}", "part.labels: 1000000000 given, it can be 1,000,000 at most"),
    "warmup": ("training: {epochs: 3, warmup_epochs: 3.5}", "training.warmup_epochs: 3.5 given, longer than"),
    "warmup of heads": ("heads: {epochs: 3, warmup_epochs: 4}", "heads.warmup_epochs: 4.0 given, longer than"),
    "name of a recipe": ('choice: {held_out: 1, recipes: {"a\\nb": {}}}', "choice.recipes: 'a\\nb' is no name"),
}  # fmt: skip


@pytest.mark.parametrize("odd", ODD)
def test_what_is_odd_is_named(tmp_path, odd):
    text, words = ODD[odd]
    assert f"mine.yaml: {words}" in refused(tmp_path / "mine.yaml", HEAD + GLYPHS + text)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1.0e+999"])
@pytest.mark.parametrize(
    "key", ["minutes", "training.learning_rate", "training.weight_decay", "heads.warmup_epochs", "heads.factor"]
)
def test_numbers_that_are_none(tmp_path, key, number):
    group, _, name = key.rpartition(".")
    text = f"{group}: {{{name}: {number}}}\n" if group else f"{name}: {number}\n"
    said = refused(tmp_path / "mine.yaml", GLYPHS + "purpose: a test\n" + text + ("minutes: 1\n" if group else ""))
    value = number.replace("1.0e+999", "inf").replace(".", "")
    assert said == f"mine.yaml: {key}: {value} given, it has to be a finite number"


def test_a_key_given_twice(tmp_path):
    text = HEAD + GLYPHS + "seed: 1\ntraining: {epochs: 3, epochs: 4}\nseed: 2\nheads:\n  batch: 1\n\n  batch: 2\n"
    assert refused(tmp_path / "mine.yaml", text).splitlines() == [
        "mine.yaml: training.epochs: given 2 times, in line 5; keep one",
        "mine.yaml: heads.batch: given 2 times, in lines 8 and 10; keep one",
        "mine.yaml: seed: given 2 times, in lines 4 and 6; keep one",
    ]
    said = refused(tmp_path / "mine.yaml", HEAD + GLYPHS + "seed: 1\n" * 9)
    assert said == "mine.yaml: seed: given 9 times, in lines 4, 5, 6, 7, ... and 12; keep one"


def test_a_merged_key_may_be_given_again(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        HEAD + GLYPHS + "training: &own {epochs: 3, batch: 7}\nheads: {<<: *own, epochs: 2}\n", encoding="utf-8"
    )
    heads = profiles.load(tmp_path / "mine.yaml").heads
    assert (heads.epochs, heads.batch) == (2, 7)


def test_all_that_is_wrong_comes_at_once(tmp_path):
    text = """\
sed: 1
seed: x
minutes: .nan
training: {epoch: 3, batch: 0, learning_rate: 1e-3}
network: {depth: 17, weights: imagenet}
heads: {epochs: 0}
controls: {seeds: [1, 1]}
afcc: {hubs: !!int 3, rounds: 0, rounds: 0}
"""
    assert refused(tmp_path / "mine.yaml", GLYPHS + text).splitlines() == [
        "mine.yaml: afcc.hubs: '!!int' in line 9: values have no tags here, write it alone",
        "mine.yaml: afcc.rounds: given 2 times, in line 9; keep one",
        "mine.yaml: missing purpose",
        "mine.yaml: minutes: nan given, it has to be a finite number",
        "mine.yaml: seed has to be int, not 'x'",
        "mine.yaml: network.depth: 17 given, VGG comes in 8, 11, 13, 16, 19",
        "mine.yaml: network.weights: only efficientnet_b0 has ready weights, named imagenet; 'imagenet' given",
        "mine.yaml: training.batch: 0 given, it has to be above 0",
        "mine.yaml: training.learning_rate has to be float, not '1e-3' (YAML reads this as text: write 0.001)",
        "mine.yaml: unknown key training.epoch, did you mean epochs?",
        "mine.yaml: heads.epochs: 0 given, a head is trained for at least 1",
        "mine.yaml: controls.seeds: 1, 1 given, each number once",
        "mine.yaml: unknown key sed, did you mean seed?",
    ]


def test_more_than_a_screen_of_mistakes(tmp_path):
    said = refused(tmp_path / "mine.yaml", HEAD + GLYPHS + "".join(f"k{place}: 1\n" for place in range(500)))
    assert len(said.splitlines()) == 21
    assert said.endswith("mine.yaml: and more; mend these first")


def test_what_is_no_file_of_words(tmp_path):
    path = tmp_path / "mine.yaml"
    assert refused(path, "") == "mine.yaml: a profile is a mapping of keys to values, this is empty"
    assert refused(path, HEAD.encode("utf-16")) == (
        "mine.yaml: cannot be read (not UTF-8 from byte 0): save it as UTF-8"
    )
    assert "mine.yaml: cannot be read (not UTF-8 from byte 9)" in refused(path, "purpose: é\n".encode("latin-1"))
    assert "special characters are not allowed" in refused(path, HEAD + "\0")
    assert refused(path, "#" * (reading.LARGEST + 1)) == (
        "mine.yaml: cannot be read (more than 32 KiB, which no profile has)"
    )
    path.unlink()
    path.mkdir()
    with pytest.raises(profiles.ProfileError, match=r"mine.yaml: cannot be read \(Is a directory\)"):
        profiles.load(path)
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(profiles.ProfileError, match=r"pipe.yaml: cannot be read \(it is no file\)"):
        profiles.load(tmp_path / "pipe.yaml")
    with pytest.raises(profiles.ProfileError, match="cannot be read .embedded null byte"):
        profiles.load("a\0b.yaml")


def test_a_mark_of_byte_order_is_no_matter(tmp_path):
    (tmp_path / "mine.yaml").write_text(HEAD + GLYPHS, encoding="utf-8-sig")
    assert profiles.load(tmp_path / "mine.yaml").purpose == "a test"


@pytest.mark.parametrize(
    "name",
    ["../../x", "/abs", "", ".", "..", "a/b", "a\\b", ".hidden", "-rf", "a b", "a\nb", "x" * 101, "ж" * 51, "é/"],
)
def test_names_that_would_write_elsewhere(tmp_path, name):
    said = refused(tmp_path / "mine.yaml", HEAD + GLYPHS + f"name: {name!r}\n".replace("\\n", "\n\n"))
    assert said.startswith("mine.yaml: name: ")
    assert "rename the file, or give it a key `name` of its own" in said


@pytest.mark.parametrize("name", ["mine", "mine.2", "Ж-ok_1", "2024", "a.."])
def test_names_that_are_fine(tmp_path, name):
    (tmp_path / "mine.yaml").write_text(HEAD + GLYPHS + f"name: '{name}'\n", encoding="utf-8")
    assert profiles.load(tmp_path / "mine.yaml").name == name


def test_a_name_from_a_file_that_is_no_name(tmp_path):
    (tmp_path / "my pets, 2.yaml").write_text(HEAD + GLYPHS, encoding="utf-8")
    with pytest.raises(profiles.ProfileError, match="name: 'my pets, 2' given, .* rename the file, or give it a key"):
        profiles.load(tmp_path / "my pets, 2.yaml")
    (tmp_path / "my pets, 2.yaml").write_text(HEAD + GLYPHS + "name: pets", encoding="utf-8")
    assert profiles.load(tmp_path / "my pets, 2.yaml").name == "pets"


@pytest.mark.parametrize("name", ["laptop", "Laptop", "quick", "benchmarks"])
def test_a_name_that_is_taken(tmp_path, name):
    with pytest.raises(profiles.ProfileError, match=rf"name: {name} is taken by what comes with .* rename the file"):
        (tmp_path / f"{name}.yaml").write_text(HEAD + GLYPHS, encoding="utf-8")
        profiles.load(tmp_path / f"{name}.yaml")
    assert f"name: {name} is taken" in refused(tmp_path / "mine.yaml", HEAD + GLYPHS + f"name: {name}\n")


def test_a_profile_that_ships_by_its_path(tmp_path, monkeypatch):
    shipped = loading._SHIPPED / "laptop.yaml"
    assert profiles.load(str(shipped)) == profiles.load("laptop")
    monkeypatch.chdir(shipped.parent)
    assert profiles.load("laptop.yaml") == profiles.load("laptop")
    (tmp_path / "laptop.yaml").write_text(shipped.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(profiles.ProfileError, match="name: laptop is taken"):
        profiles.load(tmp_path / "laptop.yaml")


def test_code_may_name_a_profile_as_it_likes():
    content = {"name": "laptop, own recipe", "purpose": "", "minutes": 1, "data": {"name": "cifar100"}}
    assert profiles.from_mapping(content, "here").name == "laptop, own recipe"
