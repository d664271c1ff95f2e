"""One self-contained page from what an explorer shows: no request to any server, the same bytes whenever it is made.

The page is `web/`: a frame (`page.html`), a style sheet, and one JavaScript module in a few files, put together here
with the data: what is small as JSON, the matrices of each cut compressed.  The browser unpacks them itself.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from singlefilter import __version__, analysis, drawing, store
from singlefilter.explorer import levels
from singlefilter.explorer.content import Content, Cut, of
from singlefilter.pipeline import stages

LARGEST = 20_000_000  # bytes of a page; one that would be larger shows a part of its filters
EMBEDDED = 2_000_000  # of one inside a notebook
ELEMENTS = 60_000_000  # of matrices in a page: a byte each in a reader's browser
FEW = 3  # filters of a layer that are packed to estimate what all of them take
THUMBNAIL = 32  # pixels
SCRIPTS = (
    "method",
    "data",
    "state",
    "matrix",
    "charts",
    "lists",
    "views",
    "app",
    "choices",
    "leaving",
)  # of one module, in this order
Source = stages.Run | analysis.Result | Content


@dataclass(frozen=True)
class Embedded:
    """A page that a notebook shows in a frame of its own; it needs no kernel, and stays when the notebook is saved,
    run by papermill or made into HTML."""

    page: str
    height: int

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="filter explorer" width="100%" height="{self.height}" '
            'sandbox="allow-scripts allow-downloads" '
            'style="box-sizing: border-box; border: 1px solid #8884; border-radius: 8px"></iframe>'
        )


def write(
    source: Source,
    path: str | Path,
    pictures: bool | np.ndarray | torch.Tensor | None = None,
    largest: int = LARGEST,
) -> Path:
    """Write the explorer of a profile's run or of the result of an analysis as one HTML file; its path.

    pictures: as `content.of`.  largest: bytes; where all filters would take more, as with 1,000 labels, every layer
    shows a part of its filters, evenly spread, and the page says so.  Raises `NotRun` for a profile that has not run,
    `ValueError` where not even a filter of each layer fits, `OSError` where it cannot be written.

    Example: `explorer.write(singlefilter.load("resnet.sf"), "resnet.html")`.
    """
    content = page(source, pictures, largest)
    path = Path(path)
    with store.atomic_file(path) as temporary:
        temporary.write_bytes(content)
    return path


def embed(
    source: Source,
    pictures: bool | np.ndarray | torch.Tensor | None = None,
    largest: int = EMBEDDED,
    height: int = 860,
) -> Embedded:
    """The explorer as what a notebook's cell shows: `write`'s page in a frame, kept small (`largest`, in bytes).

    height: of the frame in pixels.  Raises as `write`.
    """
    return Embedded(page(source, pictures, largest).decode(), height)


def page(source: Source, pictures: bool | np.ndarray | torch.Tensor | None = None, largest: int = LARGEST) -> bytes:
    """The page in UTF-8, at most `largest` bytes.  Raises as `write`."""
    content = source if isinstance(source, Content) else of(source, pictures)
    share = _estimated_share(content, largest)
    while True:
        text = _assembled(content, share)
        if len(text) <= largest:
            return text
        if share == 1:
            raise ValueError(
                f"the explorer takes {len(text):,} bytes with one filter of each of {len(content.cuts)} layers, more "
                f"than the {largest:,} that it may; allow more (largest=), or leave pictures out (pictures=False)"
            )
        share = max(1, min(share - 1, int(0.97 * share * largest / len(text))))


def _estimated_share(content: Content, largest: int) -> int:
    """How many filters a layer may show at most, from what a few of each take."""
    filters, matrix = [cut.filters for cut in content.cuts], len(content.names) ** 2
    few = [levels.spread(count, FEW) for count in filters]
    frame = len(_assembled(content, 0))
    taken = [len(_encoded(cut, which)) / len(which) for cut, which in zip(content.cuts, few, strict=True)]
    room = max(0, largest - frame) / max(*taken, 1)
    return levels.fair_share(filters, matrix, min(ELEMENTS, room * matrix))


def _encoded(cut: Cut, which: tuple[int, ...]) -> str:
    return base64.b64encode(levels.packed(levels.levels(cut.matrices(which)))).decode() if which else ""


def _assembled(content: Content, share: int) -> bytes:
    shown = [levels.spread(cut.filters, share) for cut in content.cuts]
    header = {
        "made": f"singlefilter {__version__}",
        "title": content.title,
        "about": content.about,
        "banner": content.banner,
        "names": [drawing.spoken(name) for name in content.names],
        "raw": content.names,
        "threshold": content.threshold,
        "tested": content.tested,
        "layers": [_layer(cut, which) for cut, which in zip(content.cuts, shown, strict=True)],
        "pictures": None if content.pictures is None else _sprite(content.pictures),
    }
    matrices = "\n".join(
        f'<script type="text/plain" id="levels-{number}">{_encoded(cut, which)}</script>'
        for number, (cut, which) in enumerate(zip(content.cuts, shown, strict=True))
    )
    script = "\n".join(_file(f"{name}.js") for name in SCRIPTS)
    parts = {
        "TITLE": html.escape(content.title),
        "STYLE": _file("explorer.css"),
        "HEADER": _json(header),
        "LEVELS": matrices,
        "SCRIPT": f'"use strict";\n(() => {{\n{script}\n}})();',
    }
    text = _file("page.html")
    for name, part in parts.items():
        before, after = text.split(f"<!--{name}-->")
        text = before + part + after
    return text.encode("utf-8", "xmlcharrefreplace")  # half of a pair that a name may hold has no UTF-8


def _layer(cut: Cut, which: tuple[int, ...]) -> dict:
    return {
        "key": cut.key,
        "name": cut.name,
        "filters": cut.filters,
        "shown": None if len(which) == cut.filters else which,
        "accuracy": cut.accuracy,
        "images": cut.images,
        "statistics": cut.statistics,
        "first": which.index(cut.first) if cut.first in which else 0,
        "masked": cut.masked,
    }


def _file(name: str) -> str:
    return (resources.files("singlefilter.explorer") / "web" / name).read_text(encoding="utf-8")


def _json(value: object) -> str:
    """JSON that may stand in a script element: `</script>` and the like cannot occur; infinity is text, NaN null."""
    text = json.dumps(_plain(value), ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _sprite(pictures: np.ndarray) -> dict:
    """All pictures in one image, ten in a row, each scaled to fit `THUMBNAIL` pixels, as base64 of a PNG."""
    columns = 10
    rows = math.ceil(len(pictures) / columns)
    sheet = Image.new("RGB", (columns * THUMBNAIL, rows * THUMBNAIL), (128, 128, 128))
    for number, picture in enumerate(pictures):
        image = Image.fromarray(np.ascontiguousarray(np.moveaxis(picture, 0, -1)))
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        left, top = (THUMBNAIL - image.width) // 2, (THUMBNAIL - image.height) // 2
        row, column = divmod(number, columns)
        sheet.paste(image, (column * THUMBNAIL + left, row * THUMBNAIL + top))
    file = io.BytesIO()
    sheet.save(file, format="PNG", compress_level=9)
    return {"columns": columns, "rows": rows, "png": base64.b64encode(file.getvalue()).decode()}
