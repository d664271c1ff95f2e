"""A profile that ships with odd things in it: a profile still, or an error that names file and key, in a second."""

import dataclasses
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singlefilter import profiles
from singlefilter.profiles import loading

TEXTS = {name: (loading._SHIPPED / f"{name}.yaml").read_text(encoding="utf-8") for name in profiles.available()}
GROUPS = {item.name for item in dataclasses.fields(profiles.Profile)}
ODD = (
    *("", "~", "true", "no", "0", "-1", "010", "1:30", "0x1F", "1e-3", ".nan", "-.inf", "1.0e+400", "9" * 400),
    *(
        "2024-13-45",
        "2024-01-01",
        "!!int x",
        "!!python/name:os.system",
        "!x y",
        "'",
        '"',
        "[",
        "{a: 1}",
        "[1, [2, 3]]",
    ),
    *(
        "*short",
        "*nothing",
        "&a [*a]",
        "&short 3",
        "{<<: *short}",
        "<<",
        "a: b",
        "? x",
        "- 1",
        "%",
        "@",
        "`",
        "|",
        ">",
    ),
    *(
        "99999999999",
        "0.5",
        "x" * 500,
        "[" * 300,
        "../..",
        "{1: 2, ~: 3}",
        "{a: 1, a: 2}",
        "3 # three",
        "\u2028",
        "𝟙",
    ),
)
NAMED = re.compile(r"(?:missing )?(\w*)")
WORDS = ("unknown key ", "and more", "a profile is a mapping of keys")
IN_LINE = re.compile(r" in lines? \d+")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("odd") / "mine.yaml"


@st.composite
def mutated(draw) -> str:
    lines = draw(st.sampled_from(sorted(TEXTS.values()))).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        key, colon, value = lines[place].partition(":")
        odd = draw(st.sampled_from(ODD) | st.text(max_size=8) | st.floats().map(str) | st.integers().map(str))
        done = draw(st.sampled_from(["value", "value", "value", "key", "twice", "gone", "indent"]))
        if done == "value":
            lines[place] = f"{key}{colon} {odd}"
        elif done == "key":
            lines[place] = f"{key[: len(key) - len(key.lstrip())]}{odd}{colon}{value}"
        elif done == "twice":
            lines.insert(place, lines[place])
        elif done == "gone" and len(lines) > 1:
            del lines[place]
        else:
            lines[place] = f" {lines[place]}"
    return "\n".join(lines) + "\n"


@settings(max_examples=400, deadline=None)
@given(text=mutated())
def test_odd_files_are_profiles_or_named(path, text):
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    start = time.process_time()
    try:
        profile = profiles.load(path)
    except profiles.ProfileError as error:
        said = str(error)
    else:
        said, names = "", {"name": profile.name}
        assert profiles.from_mapping(dataclasses.asdict(profile) | names, "again") == profile
    assert time.process_time() - start < 1
    assert len(said) < 20_000
    if not said or "not valid YAML" in said or "cannot be read" in said:  # which say the line, or the byte
        assert said == "" or said.startswith(f"{path}: ")
        return
    for line in said.splitlines():
        assert line.startswith(f"{path}: ")
        words = line.removeprefix(f"{path}: ")
        assert words.startswith(WORDS) or NAMED.match(words)[1] in GROUPS or IN_LINE.search(words), line
