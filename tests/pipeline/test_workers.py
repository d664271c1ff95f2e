"""One item in whatever process: processes that die, clocks that differ, a store that is not seen."""

import types
from concurrent.futures import BrokenExecutor

from singlefilter import progress
from singlefilter.pipeline import stages, sweeps, variations, workers


def test_items_are_silent(monkeypatch, capsys):
    monkeypatch.setenv(progress.UNWATCHED, progress.SILENT)
    assert list(progress.bar(range(3), "training", "epoch", total=3)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_an_item_that_kills_its_process_is_named_in_the_end(profile, tmp_path, caplog):
    runs = dict(enumerate(map(stages.Run, variations.variations(profile, {"seed": [1, 2, 3]}))))
    place, pools_made = workers.Place({}, str(tmp_path), 1, workers.clock()), []

    def parallel(work):
        """A pool in which item 1 kills its process, and with it the pool, when item 0 is under way, too."""
        numbers = [arguments[0] for _, arguments, _ in work]
        pools_made.append(numbers)
        for number in numbers:
            tries = workers.tries_of(place, number)
            if number == 1 and tries < workers.TRIES:
                for under_way in {0, 1} & set(numbers):
                    workers.ledger_of(place, under_way).write_text(
                        str(workers.tries_of(place, under_way) + 1), encoding="utf-8"
                    )
                raise BrokenExecutor
            if number or len(numbers) == 1:
                yield workers.item(number, runs[number], "data", place)

    outcomes = {outcome.number: outcome.failure for outcome in sweeps._outcomes(runs, "data", place, parallel)}
    assert pools_made == [[0, 1, 2], [2], [0], [1], [1], [1]]
    assert outcomes.pop(1) == "tiny-seed2: BrokenExecutor: its process died 3 times (killed, or out of memory?)"
    assert outcomes == {0: None, 2: None}
    assert "run again later: tiny-seed1, tiny-seed2" in caplog.text


def test_processes_that_die_before_any_item_end_the_sweep(profile, tmp_path):
    def parallel(work):
        raise BrokenExecutor("out of memory")
        yield

    place = workers.Place({}, str(tmp_path), 1, workers.clock())
    outcomes = list(sweeps._outcomes({4: stages.Run(profile)}, "measure", place, parallel))
    assert [(outcome.number, outcome.failure) for outcome in outcomes] == [
        (4, "tiny: processes die before it: out of memory")
    ]


def test_a_deadline_is_the_same_moment_where_clocks_begin_elsewhere(profile, tmp_path, monkeypatch):
    """Set at 50 by a clock that the wall clock, 1,000 ahead, shows as 1,050; another machine was just started."""
    place, deadlines = workers.Place({}, str(tmp_path), 1, clock=1000.0), []
    monkeypatch.setattr(stages, "complete", lambda run, _: deadlines.append(run.deadline))
    item, outcomes = stages.Run(profile, deadline=50.0), []
    for wall, monotonic in ((1040.0, 7.0), (1051.0, 18.0)):
        here = types.SimpleNamespace(time=lambda wall=wall: wall, monotonic=lambda monotonic=monotonic: monotonic)
        monkeypatch.setattr(workers, "time", here)
        outcomes.append(workers.item(0, item, "train", place))
    assert deadlines == [17.0]
    assert [(outcome.paused, outcome.failure) for outcome in outcomes] == [(False, None), (True, None)]


def test_a_worker_that_does_not_see_the_store(profile, tmp_path):
    place = workers.Place({}, str(tmp_path / "elsewhere"), 1, workers.clock())
    assert (
        "workers need the project's folder under the same path"
        in workers.item(0, stages.Run(profile), "data", place).failure
    )
