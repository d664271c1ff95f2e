"""The command line: its options, its exit status, and what it says when it ends otherwise."""

from __future__ import annotations

import argparse
import logging
import math
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from singlefilter import (
    __version__,
    commands,
    data,
    distributed,
    explorer,
    notebooks,
    profiles,
    site,
    store,
    surroundings,
)
from singlefilter.figures import files, packing, publishing, registry
from singlefilter.method import fields
from singlefilter.networks import epochs, training
from singlefilter.pipeline import stages, sweeps

EXIT_PAUSED = 75  # EX_TEMPFAIL: not a failure, run it again


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status.

    0: done, 1: failed, 2: wrong use, 75: paused, 130: interrupted (Ctrl-C), 143: ended (SIGTERM).
    """
    if arguments is None:  # as a program of its own
        surroundings.settle()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        if distributed.launched() and options.command is not commands.run:
            raise commands.UsageError("torchrun is for `run`; `all` and `sweep` share out their work themselves")
        with _ended_like_interrupted():
            status = options.command(options)
    except epochs.Paused as pause:
        commands.say(pause)
        status = EXIT_PAUSED
    except (profiles.ProfileError, commands.UsageError) as error:
        _complain(error)
        return 2
    except (
        data.DataError,
        epochs.Diverged,
        training.Unsuited,
        distributed.RankError,
        explorer.NotRun,
        fields.NotFinite,
        files.TableError,
        notebooks.Failed,
        packing.PackError,
        publishing.Failed,
        site.Failed,
        sweeps.Failed,
        OSError,
        SafetensorError,
    ) as error:
        _complain(error)
        return 1
    except KeyboardInterrupt as stop:
        what, status = ("ended by SIGTERM", 143) if isinstance(stop, _Ended) else ("interrupted", 130)
        back = f"at most {epochs.SECONDS_BETWEEN_CHECKPOINTS} seconds and an epoch back"
        print(f"\nsinglefilter: {what}; the same command goes on, {back}", file=sys.stderr)
        return status
    distributed.leave()
    return status


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
    named = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function, help_: str) -> argparse.ArgumentParser:
        added = named.add_parser(name, help=help_, description=help_)
        added.set_defaults(command=function)
        return added

    everything = command(
        "all", commands.everything, "run every notebook of a profile, with the stages they need, to every figure"
    )
    run = command("run", commands.run, "run the stages of a profile without notebooks; what is there is reused")
    sweep = command(
        "sweep", commands.sweep, "train, prune and retrain what the notebooks of some profiles need, in parallel"
    )
    draw = command("figures", commands.figures, "draw every figure of a profile again from its saved table alone")
    publish = command("publish", commands.publish, "make every figure of a profile, and its table, without notebooks")
    read = command(
        "site", commands.read, "build the site of executed notebooks and figures again, without running any"
    )
    explore = command("explore", commands.explore, "write a page with every filter of a profile, and open it")
    pack = command(
        "pack", commands.pack, "write figures of a profile, and what they are drawn from, into a few small files"
    )
    unpack = command("unpack", commands.unpack, "put what was packed on another machine in place")
    lab = command("lab", commands.lab, "start JupyterLab on working copies of the notebooks")
    command("check", commands.check, "check that the packages fit together")

    for added in (everything, run, draw):
        added.add_argument("--profile", default="quick", help="a profile's name, or a YAML file (default: quick)")
    for added in (everything, run, sweep, publish, explore, pack):
        added.add_argument("--data-dir", type=_folder, help="folder of the data sets (default: data/ in the project)")
    for added in (everything, run):
        added.add_argument("--fresh", action="store_true", help="forget what was trained and measured before")
    for added in (sweep, read):
        added.add_argument("profiles", nargs="+", metavar="PROFILE", help="profiles by name, or YAML files")
    sweep.add_argument("--jobs", type=int, metavar="N", help="items at a time (default: one a core; on a GPU 4)")
    text = "networks, and then notebooks, at a time (default: as many networks as cores, two notebooks)"
    everything.add_argument("--jobs", type=int, metavar="N", help=text)
    sweep.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster, such as tcp://host:8786")
    for added in (publish, explore, pack):
        added.add_argument("profile", metavar="PROFILE", help="a profile's name, or a YAML file")
    publish.add_argument("--figure", nargs="+", choices=registry.FIGURES, metavar="NAME", help="only these")
    explore.add_argument("--to", type=Path, metavar="FILE", help="default: build/<profile>/explorer.html")
    explore.add_argument("--no-open", dest="open", action="store_false", help="write it only")
    explore.add_argument(
        "--no-pictures", dest="pictures", action="store_false", help="without an image of each label"
    )
    pack.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="where its files are written")
    pack.add_argument("--cuts", type=_cuts, default=(), metavar="A,B", help="heads at these cuts only (default: all)")
    unpack.add_argument("files", nargs="+", type=Path, metavar="FILE", help="all files of a pack, or of several")
    lab.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="for JupyterLab, after --: lab -- --no-browser")
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


def _complain(error: Exception) -> None:
    who = f"rank {distributed.rank()}: " if distributed.world() > 1 else ""
    print(f"singlefilter: {who}{store.in_words(error)}", file=sys.stderr)


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
