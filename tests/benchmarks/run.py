"""Speed and memory on this machine: every benchmark, or one of them, printed and drawn.

    python tests/benchmarks/run.py [--only NAME] [--small] [--folder DIR]

Writes `benchmarks.csv`, `scaling.csv`, `imagenet_plan.csv`, a chart of each and `provenance.json` into
`figures/benchmarks/` of the project (with --small, into `build/benchmarks/`). With --only, the rows of the others
stay as they are there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # the modules beside this one are a package, below tests/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd
import torch
from benchmarks import decoding, scaling
from benchmarks.cases import FULL, SMALL, Sizes
from benchmarks.suite import BENCHMARKS
from benchmarks.table import COLUMNS, sentence

from singlefilter import provenance, store
from singlefilter.figures import files

SCALING = "scaling"
PLAN = "imagenet_plan"
COMMON = {"profile": "benchmarks", "seed": "1"}


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for, print it, write its table and chart."""
    names = (*BENCHMARKS, SCALING, PLAN)
    parser = argparse.ArgumentParser(prog="run.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--small", action="store_true", help="tiny cases: a check of the benchmarks alone")
    parser.add_argument("--folder", type=Path, help="where the tables and charts go")
    options = parser.parse_args(arguments)
    sizes = SMALL if options.small else FULL
    root = store.project_root()
    folder = options.folder or (root / "build" / "benchmarks" if options.small else root / "figures" / "benchmarks")
    about, cpu = provenance.machine(), torch.get_num_threads()
    print(f"{about['processor']}, {about['cores']} cores, {cpu} threads, GPU: {about['gpu']}\n", flush=True)
    missed = 0
    for name in names if options.only is None else [options.only]:
        start = time.perf_counter()
        rows = {SCALING: scaling.points, PLAN: decoding.plan, **BENCHMARKS}[name](sizes)
        seconds = time.perf_counter() - start
        if name == PLAN:
            about = {"network": "EfficientNet-B0", "data": "ImageNet, planned; decoded: random JPEGs"}
            files.publish(PLAN, rows.assign(**about, **COMMON), folder)
        elif name == SCALING:
            _print_exponents(rows)
            publish(SCALING, pd.DataFrame(rows), None, folder, sizes)
        elif rows:
            print(*map(sentence, rows), sep="\n", flush=True)
            missed += sum(row["met"] == 0 for row in rows)
            publish("benchmarks", pd.DataFrame(rows)[list(COLUMNS)], name, folder, sizes)
        _record(folder / "provenance.json", name, seconds, sizes)
    print(f"\n{missed} figures to reach were missed; tables and charts: {folder}")
    return 0


def publish(figure: str, rows: pd.DataFrame, only: str | None, folder: Path, sizes: Sizes) -> None:
    """Write a table and its chart; rows of other benchmarks than `only` are kept from the table that is there."""
    about = {"network": f"VGG-16, d = {sizes.width}", "data": "random images as large as CIFAR-100's"}
    table = rows.assign(**about, **COMMON)
    path = folder / f"{figure}.csv"
    if only is not None and path.exists():
        before = files.read_table(path)
        table = pd.concat([before[before["benchmark"] != only], table], ignore_index=True)
        order = {name: place for place, name in enumerate(BENCHMARKS)}
        table = table.sort_values("benchmark", key=lambda names: names.map(order), kind="stable")
    files.publish(figure, table, folder)


def _print_exponents(rows: list[dict]) -> None:
    for row in {(row["task"], row["over"]): row for row in rows}.values():
        exponents = f"{row['exponent_seconds']:.2f} in time, {row['exponent_peak_mb']:.2f} in memory"
        print(f"scaling      {row['task']} over {row['over']}: exponent {exponents}", flush=True)


def _record(path: Path, name: str, seconds: float, sizes: Sizes) -> None:
    """Say of one benchmark where its rows come from."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[name] = {
        "seconds": round(seconds, 1),
        "sizes": sizes,
        "machine": provenance.machine(),
        "threads": torch.get_num_threads(),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }
    store.write_json(path, known)


if __name__ == "__main__":
    sys.exit(main())
