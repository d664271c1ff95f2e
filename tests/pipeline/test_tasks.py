"""Stages beyond those of a run: named by all they depend on, items of a sweep like runs."""

import dataclasses

import pytest

from singlefilter import profiles
from singlefilter.pipeline import stages, sweeps
from singlefilter.pipeline.tasks import Task

PROFILE = {
    "name": "tiny",
    "purpose": "tasks",
    "minutes": 1,
    "data": {"name": "glyphs", "labels": 4, "train_per_label": 5, "test_per_label": 5},
    "network": {"width": 2, "depth": 8},
}


@dataclasses.dataclass(frozen=True)
class Word:
    word: str

    @property
    def title(self) -> str:
        return f"the word {self.word}"


def write_word(run, settings, work):
    if settings.word == "bad":
        raise ValueError("not this one")
    (work / "word.txt").write_text(settings.word, encoding="utf-8")


def test_a_sweep_takes_tasks(home):
    run = stages.Run(profiles.from_mapping(PROFILE, "test"))
    stages.data_folder(run)
    tasks = [Task("word", run, Word(word), write_word) for word in ("good", "bad")]
    with pytest.raises(
        sweeps.Failed, match="1 of 2 items failed.*\ntiny, seed 1, the word bad: ValueError: not this"
    ):
        sweeps.complete(tasks, jobs=1)
    assert (tasks[0].folder() / "word.txt").read_text(encoding="utf-8") == "good"
    done = sweeps.complete(tasks[:1], jobs=1)
    assert (done.items, done.found) == (1, 1)
    assert tasks[0].folder() != Task("word", run, Word("other"), write_word).folder()
