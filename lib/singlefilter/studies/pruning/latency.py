"""Latency and memory of the retrained networks on one machine: all of them in turn, in one run."""

from __future__ import annotations

import copy
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.profiler import ProfilerActivity, profile

from singlefilter import afcc, progress, provenance, store
from singlefilter.networks import training
from singlefilter.pipeline import stages
from singlefilter.studies.pruning import network_study
from singlefilter.studies.pruning.designs import DENSE

BATCHES = (1, 100)
SECONDS = 0.05  # of one timing at least; a round takes one of each network and batch


def observations(run: stages.Run) -> pd.DataFrame:
    """A row for each network and batch, measured once on each machine; `forget` has it measured anew.

    The networks are those of the run's own seed: those of other seeds have the same shapes, compact heads excepted.
    Columns: seed, design, batch; latency_ms (of the batch), the median over rounds, with the quartiles latency_low
    and latency_high; speedup over the dense network in the same round, likewise with speedup_low and speedup_high;
    rounds, threads, peak_mb, machine.  Batch norms are folded into the convolutions in front of them, in all
    networks.
    """
    names = network_study.tasks(run)
    config = {
        "machine": provenance.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "networks": {design.title: task.folder().name for design, task in names.items()},
        "rounds": run.profile.afcc.rounds,
    }

    def build(work: Path) -> None:
        networks = {design.title: network_study.retrained(run, design) for design in names}
        side = run.profile.data.image_size
        table = measured(networks, side, config["rounds"])
        table.to_csv(work / "latency.csv", index=False)

    folder = store.stage("afcc-latency", config, build)
    where = config["machine"]["processor" if config["machine"]["gpu"] == "none" else "gpu"]
    return pd.read_csv(folder / "latency.csv").assign(seed=run.profile.seed, machine=where)


def forget(run: stages.Run) -> int:
    """Remove what was measured of these networks, on whatever machine; how many measurements there were."""
    wanted = {design.title: task.folder().name for design, task in network_study.tasks(run).items()}
    found = [path.parent for path in store.runs_folder().glob(f"afcc-latency-*/{store.MANIFEST}")]
    mine = [folder for folder in found if store.manifest(folder)["config"]["networks"] == wanted]
    return sum(store.forget(folder) for folder in mine)


def measured(networks: Mapping[str, nn.Module], side: int, rounds: int) -> pd.DataFrame:
    """Latency and peak memory of some networks, one of them called `dense`, A B C A B C ..., on `side` pixels.

    What slows the machine down slows all of them.  Columns as `observations`, without seed and machine.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that it finds no compiler for GPUs
    from torch.utils.benchmark import Timer

    on = training.device()
    ready = {name: folded(network).to(on, memory_format=torch.channels_last) for name, network in networks.items()}
    threads = torch.get_num_threads()
    parts = []
    for batch in BATCHES:
        images = torch.zeros(batch, 3, side, side, device=on).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            peaks = {name: peak_megabytes(network, images) for name, network in ready.items()}
            timers = {
                name: Timer("network(images)", globals={"network": network, "images": images}, num_threads=threads)
                for name, network in ready.items()
            }
            every = progress.bar(range(rounds), f"latency, batch {batch}", "round", total=rounds)
            times = pd.DataFrame(
                [
                    {name: timer.blocked_autorange(min_run_time=SECONDS).median for name, timer in timers.items()}
                    for _ in every
                ]
            )
        parts.append(_summary(times, batch).assign(peak_mb=pd.Series(peaks)))
    table = pd.concat(parts).rename_axis("design").reset_index()
    return table.assign(rounds=rounds, threads=threads)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, afcc.GroupedConvolution) or super().is_leaf_module(module, name)


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode, every batch norm folded into the convolution in front of it, a grouped one included."""
    network = copy.deepcopy(network).eval()
    modules = dict(network.named_modules())
    for node in list(_Tracer().trace(network).nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        reads = node.all_input_nodes[0]
        convolution = modules.get(reads.target) if reads.op == "call_module" else None
        if isinstance(convolution, afcc.GroupedConvolution):
            network.set_submodule(reads.target, convolution.followed_by(modules[node.target]))
            network.set_submodule(node.target, nn.Identity())
    return fuse(network)


def peak_megabytes(network: nn.Module, images: torch.Tensor) -> float:
    """Most memory that one pass holds at a time beside images and parameters, in megabytes (10**6).

    As PyTorch's allocator counts it: maps, outputs and scratch space, the same on an idle and on a busy machine.
    """
    network(images)  # what is allocated once and kept is no part of it
    if images.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        network(images)
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's remarks on itself
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        network(images)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        watched.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    memory = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    return float(np.cumsum([size for _, size in memory]).max()) / 1e6


def _summary(times: pd.DataFrame, batch: int) -> pd.DataFrame:
    """Medians and quartiles of the seconds of each network, a column each, over rounds, a row each."""
    speedups = pd.DataFrame({name: times[DENSE] / times[name] for name in times})
    columns = {"batch": batch}
    for name, values in (("latency", 1000 * times), ("speedup", speedups)):
        low, median, high = (values.quantile(q) for q in (0.25, 0.5, 0.75))
        columns |= {"latency_ms" if name == "latency" else name: median, f"{name}_low": low, f"{name}_high": high}
    return pd.DataFrame(columns)
