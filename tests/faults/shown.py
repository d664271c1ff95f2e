"""Faults of what is shown: tables that figures are drawn from, notebooks, and messages of their kernels."""

from __future__ import annotations

import csv
import functools
import io
import json
from pathlib import Path

import nbformat
import pandas as pd

from singlefilter import notebooks, tablefiles
from singlefilter.notebooks import outputs
from tests.faults.harness import Bad, Family, Trial, in_its_place, mutated, mutated_json
from tests.notebooks.made_up import write

COLUMNS = ("layer", "head", "accuracy", "low", "high")


@functools.cache
def table() -> str:
    rows = [
        (layer, head, layer / 20, layer / 21, layer / 19) for layer in range(1, 14) for head in ("flat", "pooled")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(index=False)


def table_edited(trial: Trial) -> None:
    """By a line or a cell, as people and programs do it: the line is named, or the same is read."""
    rng, path = trial.rng, trial.home / "accuracy_by_layer.csv"
    lines = table().splitlines(keepends=True)
    number = rng.randrange(1, len(lines))
    cells = lines[number].rstrip("\n").split(",")
    place = rng.randrange(len(cells))
    how = rng.choice(["more", "fewer", "doubled", "text", "huge", "byte", "zero", "long", "quote"])
    changed = {
        "more": [*cells, rng.choice(["", "1", "x"])],
        "fewer": cells[:-1],
        "text": ["many", *cells[1:]],
        "huge": [*cells[:2], rng.choice(["1e19", "1e300", "-1e30"]), *cells[3:]],
        "long": [*cells[:1], "x" * rng.randint(2001, 9000), *cells[2:]],
        "quote": [*cells[:place], '"' + cells[place], *cells[place + 1 :]],
    }.get(how, cells)
    lines[number] = ",".join(changed) + "\n"
    if how == "doubled":
        lines.insert(number, lines[number])
    content = "".join(lines).encode()
    if how in ("byte", "zero"):
        start = sum(map(len, lines[:number])) + rng.randrange(len(lines[number]) - 1)
        content = content[:start] + (b"\0" if how == "zero" else b"\xff") + content[start:]
    path.write_bytes(content)
    read(trial, path, f"{path.name}, line {number + (2 if how == 'doubled' else 1)}")


def table_mutated(trial: Trial) -> None:
    """By bytes: refused by its name, or read as what Python's own reader of such files makes of it."""
    path = trial.home / "accuracy_by_layer.csv"
    path.write_text(table(), encoding="utf-8")
    if trial.rng.random() < 0.1:
        in_its_place(path, trial.rng)
    else:
        path.write_bytes(mutated(table().encode(), trial.rng))
    read(trial, path, path.name)


def read(trial: Trial, path: Path, named: str) -> None:
    try:
        found = tablefiles.read_table(path, COLUMNS)
    except (tablefiles.TableError, OSError) as error:
        trial.said.append(str(error))
        if named not in str(error):
            raise Bad("unnamed", f"{named} in {error}") from error
        return
    if "line" in named:
        raise Bad("wrong", found)
    text = path.read_bytes().decode("utf-8-sig")
    rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    if len(found) != len(rows) - 1 or any(len(row) != len(rows[0]) for row in rows):
        raise Bad("wrong", text)
    for name in ("layer", "accuracy", "low", "high"):
        if not pd.api.types.is_numeric_dtype(found[name]):
            raise Bad("wrong", found[name])


def notebook_changed(trial: Trial) -> None:
    """By bytes, by JSON, or by what lies there: refused by its name, or a notebook with its cell of parameters."""
    path = write(trial.home, "05_x", "a = 1", "b = 2")
    content, kind = path.read_text(encoding="utf-8"), trial.rng.choice(["bytes", "json", "json", "thing"])
    if kind == "thing":
        in_its_place(path, trial.rng)
    elif kind == "bytes":
        path.write_bytes(mutated(content.encode(), trial.rng))
    else:
        path.write_text(json.dumps(mutated_json(json.loads(content), trial.rng)), encoding="utf-8")
    try:
        found = notebooks.read(path)
    except notebooks.Failed as error:
        trial.said.append(str(error))
        trial.named(path)
        if len(str(error)) > 1000:
            raise Bad("unnamed", error) from error
        return
    nbformat.validate(found)
    if sum("parameters" in cell.metadata.get("tags", []) for cell in found.cells) != 1:
        raise Bad("wrong", found)


KINDS = ("stream", "display_data", "execute_result", "error", "update_display_data", "clear_output", "comm_msg")


@functools.cache
def printed(length: int) -> str:
    return "x" * length


def output_of_any_size(trial: Trial) -> None:
    """Messages of a cell up to fifty megabytes: what is kept stays within bounds, what is left out is counted."""
    rng, bounds, kept = trial.rng, outputs.Bounds(), 0
    for _ in range(rng.choice([1, 3, 100])):
        length = rng.choice([1, 10**3, 10**6, 5 * 10**7])
        kind, text = rng.choice(KINDS), printed(length)
        content = {
            "stream": {"name": "stdout", "text": text},
            "error": {"ename": "E", "evalue": text, "traceback": [text]},
            "comm_msg": {"comm_id": rng.choice("ab"), "data": {"state": {"value": text}}},
            "clear_output": {"wait": True},
        }.get(kind, {"data": {rng.choice(["text/plain", "image/png", "text/html"]): text}, "metadata": {}})
        arrived = bounds.kept({"msg_type": kind, "content": content})
        whole, rest = outputs.size(content), outputs.size(arrived["content"]) if arrived else 0
        kept = 0 if kind == "clear_output" else kept + rest * (kind != "comm_msg")
        if rest < whole and "left out" not in bounds.end() + str(arrived and arrived["content"]):
            raise Bad("unnamed", (kind, length))
        if kept > outputs.IN_ALL or rest > outputs.SHOWN + 1000:
            raise Bad("wrong", (kind, kept, rest))


FAMILIES = [
    Family(
        "a table of a figure",
        "a line longer, shorter, doubled; a cell that is no number, or huge; a byte that is no UTF-8",
        "refused with its line",
        60,
        table_edited,
    ),
    Family("the same, by chance", "bytes flipped, zero, cut, added, swapped", "read, or refused", 60, table_mutated),
    Family(
        "a notebook",
        "bytes or values in it changed, or no file",
        "run with its parameters, or refused by its name",
        60,
        notebook_changed,
    ),
    Family(
        "what cells show",
        "up to 100 pieces of up to 50 megabytes",
        "cut, with a word on how much was left out",
        20,
        output_of_any_size,
    ),
]
