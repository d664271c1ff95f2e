"""Faults of every kind, more than a thousand of them, and the page that says so: `tests/FAULTS.md`."""

import functools
import math
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.faults import brought, harness, refused, shown, stored, trained

PAGE = Path(__file__).resolve().parents[1] / "FAULTS.md"
FAMILIES = [*stored.FAMILIES, *trained.FAMILIES, *brought.FAMILIES, *shown.FAMILIES, *refused.FAMILIES]
IN_ALL = sum(family.times for family in FAMILIES)
ASKED = int(os.environ.get("SINGLEFILTER_FAULTS", IN_ALL))


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """How the trials of a family ended, each done once."""
    at = tmp_path_factory.mktemp("faults")

    @functools.cache
    def of(family: harness.Family) -> tuple[Counter, list[str]]:
        return harness.tried(family, math.ceil(family.times * ASKED / IN_ALL), at)

    return of


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.fault)
def test_no_fault_is_believed(ended, family):
    counts, seen = ended(family)
    assert not counts, "\n".join(seen[:5])


def test_the_page_is_that_of_this_run(ended):
    if ASKED != IN_ALL:
        pytest.skip("the page is of as many faults as CI makes")
    page = harness.table(FAMILIES, {family.fault: ended(family)[0] for family in FAMILIES})
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    if page != before:
        PAGE.write_text(page, encoding="utf-8")
    assert page == before, f"{PAGE} was not of this run; it is now, so look at it and commit it"


def test_at_least_a_thousand_faults_are_made():
    assert IN_ALL >= 1000
    assert len({family.fault for family in FAMILIES}) == len(FAMILIES)


def test_a_fault_that_is_believed_is_counted(tmp_path):
    """The harness itself: an oversight of each kind."""

    def wrong(trial: harness.Trial) -> None:
        raise harness.Bad("wrong", "seen")

    def unexpected(trial: harness.Trial) -> None:
        raise KeyError("seconds")

    def nothing_said(trial: harness.Trial) -> None:
        trial.named("checkpoint.pt")

    def well(trial: harness.Trial) -> None:
        trial.said.append("checkpoint.pt")
        trial.named("checkpoint.pt")

    expected = {wrong: {"wrong": 3}, unexpected: {"unnamed": 3}, nothing_said: {"unnamed": 3}, well: {}}
    for trial, counts in expected.items():
        family = harness.Family("f", "", "", 3, trial)
        assert harness.tried(family, 3, tmp_path)[0] == Counter(counts)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", range(50))
def test_what_is_mutated_is_another_thing(number):
    rng = harness.random.Random(number)
    assert harness.mutated(b"some content of a file", rng) != b"some content of a file"
    value = {"a": [1, 2.5, "x"], "b": {"c": None}, "d": True}
    assert harness.json.dumps(harness.mutated_json(value, rng)) != harness.json.dumps(value)
