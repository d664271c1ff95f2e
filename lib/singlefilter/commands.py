"""What each command does: functions from options, as `run` reads them, to an exit status.

Errors of theirs, and of all that they call, are said by `run.main`.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pandas as pd

from singlefilter import distributed, environment, explorer, notebooks, profiles, progress, site, store, surroundings
from singlefilter.figures import files, packing, publishing, registry
from singlefilter.pipeline import stages, sweeps


class UsageError(ValueError):
    """The command was asked for something that is not there."""


def everything(options: argparse.Namespace) -> int:
    """Run every notebook of a profile, or one, with the stages that they need; in the end, name those that failed."""
    jobs = _jobs(options)
    profile = profiles.load(options.profile)
    chosen = _chosen(options.only)
    if options.only is not None and (group := notebooks.about(chosen[0]).get("group")):
        profiles.group(profile, group)  # without it there is nothing to run
    run = stages.Run(profile, options.data_dir)
    if options.fresh:
        _forget(run)
    problems: list[str] = []
    asked = notebooks.Asked(options.profile, profile.name, options.data_dir, profile.limits)
    chosen, whole = [path for path in chosen if _is_for(path, profile)], options.only is None
    again = options.fresh or not whole  # whatever is there already
    outcomes, current = [], []
    if whole:  # something to look at, while networks are trained side by side
        first = [path for path in chosen if notebooks.runs(path) == "first"]
        outcomes, current = notebooks.execute_changed(first, asked, jobs, again)
        problems += _networks(run, jobs)
        chosen = [path for path in chosen if path not in first]
    others = notebooks.execute_changed(chosen, asked, jobs, again)
    outcomes, current = outcomes + others[0], current + others[1]
    failed = [outcome for outcome in outcomes if outcome.problem]
    _name_figures(profile.name)
    if whole:
        problems += _tried(lambda: _name_explorer(run))
        notebooks.keep([*current, *(outcome.notebook for outcome in outcomes if not outcome.problem)], asked)
    problems += _tried(lambda: _name_site(profile.name))
    if failed:
        the_others = ", the others ran to their end" if len(failed) < len(outcomes) else ""
        named = [outcome.problem for outcome in failed]
        problems.insert(0, "\n".join([f"{len(failed)} of {len(outcomes)} notebooks failed{the_others}:", *named]))
    if problems:
        raise notebooks.Failed("\n".join(problems))
    return 0


def _networks(run: stages.Run, jobs: int | None) -> list[str]:
    """Train what the notebooks of a profile need; what failed, where notebooks can run nevertheless."""
    try:
        _complete([run], jobs)
    except sweeps.Failed as error:
        if not all(store.is_complete(folder) for folder in stages.folders(run).values()):
            raise  # no notebook can do without the profile's own network
        print(f"{error}\nthe notebooks run nevertheless, and those that need what failed try it again", flush=True)
        return [str(error)]
    return []


def _is_for(path: Path, profile: profiles.Profile) -> bool:
    """Whether a profile has the group that a notebook is about; said where not."""
    try:
        group = notebooks.about(path).get("group")
    except notebooks.Failed:  # said when it is to be run
        return True
    if group and profile.lacks(group):
        print(f"{path.stem} ... passed over: profile {profile.name} has no group {group}")
        return False
    return True


def _tried(work: Callable[[], object]) -> list[str]:
    """What went wrong in a piece of work that must not hide what went wrong before it."""
    try:
        work()
    except Exception as error:
        return [str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"]
    return []


def _jobs(options: argparse.Namespace) -> int | None:
    if options.jobs is not None and options.jobs < 1:
        raise UsageError(f"--jobs: at least 1 is needed, {options.jobs} given")
    return options.jobs


def read(options: argparse.Namespace) -> int:
    """Build the site of what was run, without running anything."""
    try:
        print(site.build([profiles.load(name).name for name in options.profiles]))
    except site.Unavailable as why:
        raise UsageError(str(why)) from why
    return 0


def _chosen(only: str | None) -> list[Path]:
    """The notebooks to run: all, or the one of a number."""
    found = notebooks.numbered()
    asked_for = only if only is None or only[1:2].isdigit() else f"0{only}"  # 4 and 5b, too
    chosen = [path for path in found if only is None or notebooks.number(path) == asked_for]
    if not chosen:
        numbers = ", ".join(map(notebooks.number, found)) or "none"
        asked = f"--only {only}: no such notebook" if only else "no notebooks to run"
        raise UsageError(f"{asked}; there are {numbers} in {store.project_root() / 'notebooks'}")
    return chosen


def run(options: argparse.Namespace) -> int:
    """Run the stages of a profile up to the last one named, without notebooks."""
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
            say(f"{name}: {folder}, {store.manifest(folder)['seconds']:.0f} s{_by_epoch(folder)}")
    return 0


def _by_epoch(folder: Path) -> str:
    """The median time of an epoch of a stage that trained for some."""
    curves = folder / "curves.csv"
    seconds = pd.read_csv(curves)["seconds"] if curves.exists() else pd.Series(dtype=float)
    return f", {seconds.median():.3g} s an epoch" if len(seconds) else ""


def sweep(options: argparse.Namespace) -> int:
    """Train, prune and retrain what the notebooks of some profiles need, in parallel."""
    jobs = _jobs(options)
    deadline = time.monotonic() + options.minutes * 60
    named = [stages.Run(profiles.load(name), options.data_dir, deadline) for name in options.profiles]
    _complete(named, jobs, options.dask)
    return 0


def _complete(runs: list[stages.Run], jobs: int | None = None, scheduler: str | None = None) -> None:
    """Train every network that the notebooks of some profiles need, and then, if all are there, retrain what is
    pruned of them."""
    for items_of in (registry.trained, registry.tasks):  # what is pruned has to be trained
        items = dict.fromkeys(item for run in runs for item in items_of(run))
        if items:
            print(sweeps.complete(list(items), jobs, scheduler=scheduler), flush=True)


def figures(options: argparse.Namespace) -> int:
    """Draw every figure of a profile again from its saved table alone, as it is or for print."""
    name = profiles.load(options.profile).name
    folder = figures_folder(name)
    if not folder.is_dir():
        raise UsageError(f"{folder} is not there yet: run the profile first")
    try:
        if options.print:
            written = files.to_print(folder, store.project_root() / "build" / name / "print")
        else:
            written = files.join(folder) + files.redraw(folder)
    except files.NotDrawn as some:
        print(*some.written, sep="\n")
        raise
    print(*written, sep="\n")
    return 0


def publish(options: argparse.Namespace) -> int:
    """Make figures of a profile, and their tables, without notebooks."""
    publishing.show_all(stages.Run(profiles.load(options.profile), options.data_dir), options.figure)
    return 0


def explore(options: argparse.Namespace) -> int:
    """Write the page on which every filter of a profile can be looked at, and open it."""
    run = stages.Run(profiles.load(options.profile), options.data_dir)
    path = explorer.write(run, options.to or _explorer_page(run), None if options.pictures else False)
    print(f"{path}, {path.stat().st_size / 1e6:.1f} MB")
    if options.open and not webbrowser.open(path.resolve().as_uri()):
        print("no browser to open it with was found: open it yourself")
    return 0


def pack(options: argparse.Namespace) -> int:
    """Write figures of a profile, and what they are drawn from, into a few small files."""
    run = stages.Run(profiles.load(options.profile), options.data_dir)
    for path in packing.pack(run, options.to, options.cuts):
        print(f"{path}, {path.stat().st_size / 2**20:.1f} MiB")
    return 0


def unpack(options: argparse.Namespace) -> int:
    """Put what was packed on another machine in place."""
    for path in packing.unpack(options.files):
        print(path)
    return 0


def lab(options: argparse.Namespace) -> NoReturn:
    """Start JupyterLab on working copies of the notebooks; this process becomes its server."""
    folder, made, older = notebooks.copies()
    print(f"working copies of the notebooks: {folder} ({len(made)} made now; what was there stays as it is)")
    for name in older:
        print(f"{name}: the project has a newer one than yours, which stays; move yours away to get it")
    print("JupyterLab starts, at an address of this machine alone, with a token; Ctrl-C twice ends it", flush=True)
    from singlefilter import interpreter

    command = [sys.executable, "-m", "jupyterlab", *_settings(folder, options.arguments), *options.arguments]
    environment = os.environ | interpreter.folders_instead()
    environment["SINGLEFILTER_HOME"] = str(store.project_root())  # wherever a kernel is started
    environment["PYTHONPATH"] = surroundings.python_path()
    environment.pop(progress.UNWATCHED, None)
    os.execve(sys.executable, command, environment)


def _settings(folder: Path, given: list[str]) -> list[str]:
    """How JupyterLab is to run: those of ours that are not among the ones given, since it takes none twice."""
    ours = {
        "--ServerApp.root_dir": str(folder.parent),  # where the links of notebooks lead: pages, solutions
        "--ServerApp.ip": "localhost",
        "--ServerApp.kernel_spec_manager_class": "singlefilter.interpreter.Specs",  # `python3` is this one
    }
    short = {"--ServerApp.root_dir": "--notebook-dir", "--ServerApp.ip": "--ip"}
    named = {argument.split("=")[0] for argument in given}
    if not named & {"--ServerApp.root_dir", "--notebook-dir", "--ServerApp.preferred_dir"}:
        ours["--ServerApp.preferred_dir"] = str(folder)  # what it opens with
    settings = [f"{name}={value}" for name, value in ours.items() if not named & {name, short.get(name)}]
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # whom JupyterLab refuses unless it is told
    return settings + (["--allow-root"] if root and "--allow-root" not in named else [])


def check(options: argparse.Namespace) -> int:
    """Check that the packages fit together."""
    return environment.main([])


def figures_folder(profile: str) -> Path:
    """Folder of a profile's figures and tables."""
    return store.project_root() / "figures" / profile


def _explorer_page(run: stages.Run) -> Path:
    return store.project_root() / "build" / run.profile.name / "explorer.html"


def say(message: object) -> None:
    """Print it once, however many ranks there are."""
    if distributed.rank() == 0:
        print(message)


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


def _name_site(profile: str) -> None:
    try:
        print(f"site: {site.build([profile])}")
    except site.Unavailable as why:
        print(f"site: {why}")


def _name_explorer(run: stages.Run) -> None:
    print(f"every filter to look at, in a browser: {explorer.write(run, _explorer_page(run))}")
