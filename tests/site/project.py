"""A small project for a site: two notebooks as if executed, the real pages, and real figures of one profile."""

import base64
import io
import json
import shutil
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "DEVIATIONS.md", "CONTRIBUTING.md", "LICENSE", "CITATION.cff", "docs")
NASTY = "<script>alert('label')</script> \"猫\" 🐈 $x$ \\(y\\) *b* `c` | <b>"
FIRST, SECOND, THIRD = "01_data_sets", "02_train", "03_accuracy_by_layer"
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='20' height='20'>\n<rect width='9' height='9'/></svg>"
SEEN = 'What one sees: "clusters" & <noise>, $5 | 100 %'


def picture(shade: int) -> str:
    """A PNG of one colour, in base64 as notebooks keep it."""
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 100, 150)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def prose(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text: str, *outputs: dict, count: int | None = 1) -> dict:
    return {
        "cell_type": "code",
        "metadata": {"tags": []},
        "source": text,
        "execution_count": count,
        "outputs": list(outputs),
    }


def shown(data: dict, **metadata) -> dict:
    return {"output_type": "execute_result", "execution_count": 1, "data": data, "metadata": metadata}


def printed(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def write(path: Path, *cells: dict) -> Path:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}), encoding="utf-8"
    )
    return path


def first() -> tuple[dict, ...]:
    """Cells of a whole chapter: links, a formula, pictures with and without words, tables, a widget, what is wide."""
    table = "<table><tr><th>label</th></tr><tr><td>&lt;script&gt;alert(1)&lt;/script&gt;</td></tr></table>"
    wide = f"<table><tr>{''.join(f'<td>column{number}</td>' for number in range(60))}</tr></table>"
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "interactive(...)"}
    long = r"\sum_{i=1}^{100} " + " + ".join(f"a_{{{number}}} b_{{{number}}}" for number in range(40))
    return (
        prose(
            "# 01 · Data sets\n\n**The question.** What do $K$ labels look like, see [02](02_train.ipynb)?\n\nMore."
        ),
        prose(
            "See [the next](02_train.ipynb), [one that was not run](03_accuracy_by_layer.ipynb), the "
            "[method](../docs/method.md#4-clip), a [row](../DEVIATIONS.md#row-3) and `[code](02_train.ipynb)`.\n\n"
            "<details><summary>Solution</summary>\n\n```python\n1 + 1  # [no link](02_train.ipynb)\n```\n\n</details>"
        ),
        prose(f"## Formulas\n\n$$\nz_j = \\sum_f W_{{j,f}} A_f\n$$\n\n$$\n{long}\n$$"),
        code("figure", shown({"image/png": picture(10), "text/plain": "<Figure>"}, **{"image/png": {"alt": SEEN}})),
        prose("## Pictures without words"),
        code("svg", shown({"image/svg+xml": SVG, "text/plain": "svg"})),
        code("words", shown({"text/markdown": "**set** [lost](nowhere.md), [found](02_train.ipynb)"})),
        code("figure", shown({"image/png": picture(20), "text/plain": "<Figure>"})),
        code("table", shown({"text/html": table, "text/plain": "label"}), printed(NASTY + " word" * 200)),
        code("wide", shown({"text/html": wide, "text/plain": "wide"}), shown(widget)),
    )


def second() -> tuple[dict, ...]:
    """Cells of a chapter that ended with an error."""
    error = {
        "output_type": "error",
        "ename": "Diverged",
        "evalue": "loss is NaN",
        "traceback": ["\x1b[31mDiverged\x1b[0m: loss"],
    }
    return (prose("# 02 · Train"), code("train()", error), code("show()", count=None))


def make(home: Path) -> Path:
    """Profiles `quick` (two chapters, no figures) and `laptop` (one chapter, and the figures that are committed)."""
    home.mkdir(parents=True)
    for name in PAGES:
        (home / name).symlink_to(ROOT / name)
    (home / "figures").mkdir()
    for name in ("laptop", "method"):
        shutil.copytree(ROOT / "figures" / name, home / "figures" / name)
    for name in (FIRST, SECOND, THIRD):
        write(home / "notebooks" / f"{name}.ipynb", prose(f"# {name}"))
    write(home / "build" / "quick" / f"{FIRST}.ipynb", *first())
    write(home / "build" / "quick" / f"{SECOND}.ipynb", *second())
    write(home / "build" / "laptop" / f"{FIRST}.ipynb", *first())
    for folder in (home / "build" / "quick", home / "figures" / "laptop"):
        (folder / "explorer.html").write_text(f"<html><title>{folder.name}</title></html>", encoding="utf-8")
    (home / "build" / "quick" / "99_half_written.ipynb").write_text('{"cells": [', encoding="utf-8")
    return home
