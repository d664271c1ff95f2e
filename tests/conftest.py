"""What tests share: a project folder of their own, one thread, and one tiny run through every stage."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from singlefilter import profiles, store
from singlefilter.pipeline import stages
from singlefilter.pipeline.tasks import Task
from singlefilter.studies.growth import tables as growth
from singlefilter.studies.layers import tables
from singlefilter.studies.pruning import designs, filters, study

TINY = """\
purpose: as small as a run can be
minutes: 1
data: {name: glyphs, labels: 5, train_per_label: 20, test_per_label: 10}
network: {width: 4}
training: {epochs: 2, batch: 20, learning_rate: 0.05, schedule: cosine, flip: false}
heads: {epochs: 2, batch: 20, flip: false}
analysis: {resamples: 200}
controls: {seeds: [1, 2], orders: 5, thresholds: [0.2, 0.3]}
choice: {held_out: 4, recipes: {short: {epochs: 1, batch: 20, learning_rate: 0.05, flip: false}}}
by_labels:
  data: {name: glyphs, labels: 6, train_per_label: 6, test_per_label: 4}
  train_per_label: 6
  counts: [3, 4, 5, 6]
  subsets: 2
  in_all: 18
  depths: [11, 8]
  width: 2
  training: &short {epochs: 1, batch: 10, learning_rate: 0.05, flip: false}
  heads: &short_heads {epochs: 1, batch: 10, flip: false, kinds: [flat], cuts: [2, 4, 8]}
by_width:
  data: {name: glyphs, labels: 6, train_per_label: 6, test_per_label: 4}
  train_per_label: 6
  widths: [2, 3, 4]
  depths: [11, 8]
  training: *short
  heads: *short_heads
afcc:
  thresholds: [0.2]
  first_layers: [12]
  overlaps: [1]
  truncations: [7]
  scores: [covered]
  budgets: [0.5]
  groups: [2]
  hubs: 2
  rounds: 1
transformer:
  network: {name: cct, depth: 3, width: 8, attention_heads: 2, halvings: 3}
  training: *short
  heads: {epochs: 1, batch: 10, flip: false, kinds: [flat, attention]}
"""


CACHED = (  # what the library remembers within one process
    *(stages.splits, stages.configs, stages._data_folder),
    *(tables.counts, growth.networks_by_labels, growth.restricted_by_labels),
    *(filters.clusters_at, designs._multiply_adds, study._ensure, study.observed),
)


def one_by_one(items, jobs=None, *, scheduler=None):
    """What stands for `sweeps.complete` where a process for each item would take longer than the items."""
    for item in items:
        item.complete() if isinstance(item, Task) else stages.complete(item)


def forget_caches() -> None:
    for cached in CACHED:
        cached.cache_clear()
    store.stages._verified.clear()


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty project folder, in the environment for the time of a test."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("SINGLEFILTER_HOME", str(folder))
    monkeypatch.delenv("SINGLEFILTER_DATA", raising=False)
    forget_caches()
    yield folder
    forget_caches()


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory) -> Path:
    """A project folder in which every stage of the tiny profile is done; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.yaml").write_text(TINY, encoding="utf-8")
    before = os.environ.get("SINGLEFILTER_HOME")
    os.environ["SINGLEFILTER_HOME"] = str(folder)
    try:
        stages.complete(stages.Run(profiles.load(folder / "tiny.yaml")))
    finally:
        del os.environ["SINGLEFILTER_HOME"]
        if before is not None:
            os.environ["SINGLEFILTER_HOME"] = before
    return folder


@pytest.fixture
def tiny(tiny_home, monkeypatch) -> stages.Run:
    """The finished tiny run, its project folder in the environment."""
    monkeypatch.setenv("SINGLEFILTER_HOME", str(tiny_home))
    monkeypatch.delenv("SINGLEFILTER_DATA", raising=False)
    forget_caches()
    yield stages.Run(profiles.load(tiny_home / "tiny.yaml"))
    forget_caches()


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser():
    """The system's Chromium, driven by Playwright: one for all tests, as two drivers do not run side by side."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright's Python package is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH (Debian and Ubuntu: apt install chromium)")
    # Root has no sandbox to start in, and a container little of the memory that pages share; the pages are our own.
    root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=found, args=["--disable-dev-shm-usage", *root])
        yield running
        running.close()
