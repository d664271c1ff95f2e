"""The command line: stages, notebooks through papermill, figures from their tables."""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from safetensors import SafetensorError

from singlefilter import __version__, data, distributed, environment, notebooks, profiles, progress, store
from singlefilter.figures import files, packing, publishing, registry
from singlefilter.method import fields
from singlefilter.networks import training
from singlefilter.pipeline import stages, sweeps
from singlefilter.studies.pruning import tables as pruning_tables

EXIT_PAUSED = 75  # EX_TEMPFAIL: not a failure, run it again


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0: done, 1: failed, 2: wrong use, 75: paused, 130: interrupted (Ctrl-C), 143: ended (SIGTERM).
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        if distributed.launched() and options.command is not _run:
            raise UsageError("torchrun is for `run`; `all` and `sweep` share out their work themselves")
        with _ended_like_interrupted():
            status = options.command(options)
    except training.Paused as pause:
        _say(pause)
        status = EXIT_PAUSED
    except (profiles.ProfileError, UsageError) as error:
        _complain(error)
        return 2
    except (
        data.DataError,
        training.Diverged,
        training.Unsuited,
        distributed.RankError,
        fields.NotFinite,
        files.TableError,
        notebooks.Failed,
        packing.PackError,
        publishing.Failed,
        sweeps.Failed,
        OSError,
        SafetensorError,
    ) as error:
        _complain(error)
        return 1
    except KeyboardInterrupt as stop:
        what, status = ("ended by SIGTERM", 143) if isinstance(stop, _Ended) else ("interrupted", 130)
        back = f"at most {training.SECONDS_BETWEEN_CHECKPOINTS} seconds and an epoch back"
        print(f"\nsinglefilter: {what}; the same command goes on, {back}", file=sys.stderr)
        return status
    distributed.leave()
    return status


class UsageError(ValueError):
    """The command was asked for something that is not there."""


class _Ended(KeyboardInterrupt):
    """The process was told to end, as a time limit of a cluster does before it kills."""


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Inside, SIGTERM ends work as Ctrl-C does: seconds are noted, and the processes of a sweep ended.

    Not under torchrun, which so ends ranks that wait for another one where Python is not asked.
    """

    def end(*_) -> None:
        raise _Ended

    if distributed.launched():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m singlefilter",
        description="Train a network, cut it after each layer, look at it through one filter at a time.",
    )
    parser.add_argument("--version", action="version", version=f"singlefilter {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function, help_: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help_, description=help_)
        added.set_defaults(command=function)
        return added

    everything = command("all", _all, "run every notebook of a profile, with the stages they need, to every figure")
    run = command("run", _run, "run the stages of a profile without notebooks; what is there is reused")
    sweep = command("sweep", _sweep, "train, prune and retrain what the notebooks of some profiles need, in parallel")
    draw = command("figures", _figures, "draw every figure of a profile again from its saved table alone")
    publish = command("publish", _publish, "make every figure of a profile, and its table, without notebooks")
    pack = command("pack", _pack, "write figures of a profile, and what they are drawn from, into a few small files")
    unpack = command("unpack", _unpack, "put what was packed on another machine in place")
    command("check", _check, "check that the packages fit together")

    for added in (everything, run, draw):
        added.add_argument("--profile", default="quick", help="a profile's name, or a YAML file (default: quick)")
    for added in (everything, run, sweep, publish, pack):
        added.add_argument("--data-dir", type=_folder, help="folder of the data sets (default: data/ in the project)")
    for added in (everything, run):
        added.add_argument("--fresh", action="store_true", help="forget what was trained and measured before")
    sweep.add_argument("profiles", nargs="+", metavar="PROFILE", help="profiles by name, or YAML files")
    sweep.add_argument("--jobs", type=int, help="items at a time (default: one a core; on a GPU 4)")
    sweep.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster, such as tcp://host:8786")
    for added in (publish, pack):
        added.add_argument("profile", metavar="PROFILE", help="a profile's name, or a YAML file")
    publish.add_argument("--figure", nargs="+", choices=registry.FIGURES, metavar="NAME", help="only these")
    pack.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where its files are written")
    pack.add_argument("--cuts", type=_cuts, default=(), metavar="A,B", help="heads at these cuts only (default: all)")
    unpack.add_argument("files", nargs="+", type=Path, metavar="FILE", help="all files of a pack, or of several")
    everything.add_argument("--only", metavar="NN", help="one notebook by its number, with the stages it needs")
    run.add_argument(
        "--stages",
        default=",".join(stages.NAMES),
        metavar="A,B",
        help=f"among {','.join(stages.NAMES)} (default: all)",
    )
    for added, more in ((run, ""), (sweep, ", and begin no item after it")):
        text = f"pause at the first epoch's end after this{more}; the same command goes on"
        added.add_argument("--minutes", type=_minutes, default=math.inf, metavar="M", help=text)
    return parser


def _all(options: argparse.Namespace) -> int:
    profile = profiles.load(options.profile)
    chosen = _chosen(options.only)
    if options.only is not None and (group := notebooks.group(chosen[0])):
        profiles.group(profile, group)  # without it there is nothing to run
    run = stages.Run(profile, options.data_dir)
    if options.fresh:
        _forget(run)
    if options.only is None:  # side by side, which is faster than each when its notebook comes to it
        _complete([run])
    for path in chosen:
        if (group := notebooks.group(path)) and getattr(profile, group) is None:
            print(f"{path.stem} ... passed over: profile {profile.name} has no group {group}")
        else:
            notebooks.execute(path, options.profile, profile.name, options.data_dir)
    _name_figures(profile.name)
    return 0


def _chosen(only: str | None) -> list[Path]:
    """The notebooks to run: all, or the one of a number."""
    found = notebooks.numbered()
    chosen = [path for path in found if only is None or path.name[:2] == only.zfill(2)]
    if not chosen:
        numbers = ", ".join(path.name[:2] for path in found) or "none"
        asked = f"--only {only}: no such notebook" if only else "no notebooks to run"
        raise UsageError(f"{asked}; there are {numbers} in {store.project_root() / 'notebooks'}")
    return chosen


def _run(options: argparse.Namespace) -> int:
    wanted = options.stages.split(",")
    if unknown := [name for name in wanted if name not in stages.NAMES]:
        raise UsageError(f"--stages: no stage named {', '.join(unknown)}; there are {', '.join(stages.NAMES)}")
    run = stages.Run(profiles.load(options.profile), options.data_dir, time.monotonic() + options.minutes * 60)
    distributed.join()
    if distributed.rank() > 0:  # the first speaks for all
        os.environ[progress.UNWATCHED] = progress.SILENT
        logging.disable(logging.WARNING)
    distributed.only_first(lambda: stages.data_folder(run))
    if options.fresh:
        distributed.only_first(lambda: _forget(run))
    stages.complete(run, max(wanted, key=stages.NAMES.index))
    for name, folder in stages.folders(run).items():
        if store.is_complete(folder):
            _say(f"{name}: {folder}, {store.manifest(folder)['seconds']:.0f} s{_by_epoch(folder)}")
    return 0


def _by_epoch(folder: Path) -> str:
    """The median time of an epoch of a stage that trained for some."""
    curves = folder / "curves.csv"
    seconds = pd.read_csv(curves)["seconds"] if curves.exists() else pd.Series(dtype=float)
    return f", {seconds.median():.3g} s an epoch" if len(seconds) else ""


def _sweep(options: argparse.Namespace) -> int:
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"--jobs: at least 1 is needed, {options.jobs} given")
    deadline = time.monotonic() + options.minutes * 60
    named = [stages.Run(profiles.load(name), options.data_dir, deadline) for name in options.profiles]
    _complete(named, options.jobs, options.dask)
    return 0


def _complete(runs: list[stages.Run], jobs: int | None = None, scheduler: str | None = None) -> None:
    """Train every network that the notebooks of some profiles need, and then, if all are there, retrain what is
    pruned of them."""
    for items_of in (registry.networks, pruning_tables.tasks):  # what is pruned has to be trained
        items = dict.fromkeys(item for run in runs for item in items_of(run))
        if items:
            print(sweeps.complete(list(items), jobs, scheduler=scheduler), flush=True)


def _figures(options: argparse.Namespace) -> int:
    folder = figures_folder(profiles.load(options.profile).name)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not there yet: run the profile first")
    for path in files.redraw(folder):
        print(path)
    return 0


def _publish(options: argparse.Namespace) -> int:
    publishing.show_all(stages.Run(profiles.load(options.profile), options.data_dir), options.figure)
    return 0


def _pack(options: argparse.Namespace) -> int:
    run = stages.Run(profiles.load(options.profile), options.data_dir)
    for path in packing.pack(run, options.to, options.cuts):
        print(f"{path}, {path.stat().st_size / 2**20:.1f} MiB")
    return 0


def _unpack(options: argparse.Namespace) -> int:
    for path in packing.unpack(options.files):
        print(path)
    return 0


def _check(options: argparse.Namespace) -> int:
    return environment.main([])


def figures_folder(profile: str) -> Path:
    """Folder of a profile's figures and tables."""
    return store.project_root() / "figures" / profile


def _say(message: object) -> None:
    """Print it once, however many ranks there are."""
    if distributed.rank() == 0:
        print(message)


def _complain(error: Exception) -> None:
    who = f"rank {distributed.rank()}: " if distributed.world() > 1 else ""
    print(f"singlefilter: {who}{error}", file=sys.stderr)


def _forget(run: stages.Run) -> None:
    for name in stages.forget(run):
        print(f"forgotten: {name}")


def _name_figures(profile: str) -> None:
    folder = figures_folder(profile)
    drawn = sorted(folder.glob("*.png"))
    print(f"\n{len(drawn)} figures in {folder} (.png, .svg, and the .csv each is drawn from):")
    for path in drawn:
        print(f"  {path.name}")
    print(f"executed notebooks and their HTML: {store.project_root() / 'build' / profile}")


def _folder(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no folder")
    return path.resolve()


def _cuts(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: cuts are numbers of layers, such as 2,4,7") from error


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0
    if not minutes > 0:
        raise argparse.ArgumentTypeError(f"{text}: minutes are a number above 0")
    return minutes
