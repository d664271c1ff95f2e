"""What cells of a notebook say, within bounds: a copy that nobody can open tells nothing, and memory ends.

What a cell prints is cut in its kernel, before it is sent (`Printed`), and whatever is sent where it arrives
(`Bounds`); a word says how much was left out.
"""

from __future__ import annotations

import threading
from typing import Any

from ipykernel.iostream import OutStream

PRINTED = 200_000  # characters that a cell prints, of standard output and of errors each; and of any text it shows
SHOWN = 5_000_000  # characters of one picture, page or widget; the largest that the project's notebooks show has two
IN_ALL = 20_000_000  # of all that a notebook shows
LEAST = 500  # what each output counts at least, since it takes some in the file
_CUT = ("text/plain", "text/markdown", "text/latex")  # of which the beginning is still of use


def left_out(count: int, kept: int = PRINTED) -> str:
    """The word about what was left out."""
    return f"[{count:,} more characters were left out here: a copy keeps the first {kept:,}]"


class Printed(OutStream):
    """Standard output, or that of errors, of a kernel: of each cell the first `PRINTED` characters."""

    _cell, _count = None, 0
    _lock = threading.Lock()

    def write(self, string: str) -> int | None:
        if not isinstance(string, str):
            return super().write(string)  # which refuses it
        with self._lock:
            cell = (self.parent_header or {}).get("msg_id")
            if cell != self._cell:
                self._cell, self._count = cell, 0
            room = max(0, PRINTED - self._count)
            self._count += len(string)
        if room or not string:
            super().write(string[:room])
        return len(string)

    def say_what_was_left_out(self) -> None:
        """At the end of a cell."""
        if self._count > PRINTED:
            super().write(f"\n{left_out(self._count - PRINTED)}\n")
        self._count = 0


def say_what_was_left_out(_: Any = None) -> None:
    """Let both streams of this kernel say what they left out of the cell that has run."""
    import sys

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Printed):
            stream.say_what_was_left_out()


class Bounds:
    """What is kept of the messages of a notebook's kernel; `begin` and `end` are called around each cell."""

    def __init__(self) -> None:
        self._kept, self._of_cell, self._widgets = 0, 0, {}
        self.begin()

    def begin(self) -> None:
        """A cell begins."""
        self._of_cell, self._left_out = 0, 0

    def end(self) -> str:
        """What was left out of the cell that ended, in words, "" where nothing was."""
        if not self._left_out:
            return ""
        return f"[{self._left_out:,} more characters of output were left out here: a notebook keeps {IN_ALL:,}]"

    def kept(self, message: dict) -> dict | None:
        """A message with what is kept of it, `None` where nothing is."""
        kind, content = message["msg_type"], message["content"]
        if kind == "clear_output":
            self._kept, self._of_cell = self._kept - self._of_cell, 0
        elif kind in ("display_data", "execute_result", "update_display_data"):
            content = content | {"data": _fitting(content["data"])}
            if size(content.get("metadata")) > PRINTED:
                content["metadata"] = {}
        elif kind == "error":
            content = content | {
                "evalue": _beginning(content["evalue"], PRINTED // 10),
                "traceback": [_beginning(line, PRINTED // 10) for line in content["traceback"][-100:]],
            }
        elif kind in ("comm_open", "comm_msg"):
            return message if self._widget_fits(message) else None
        elif kind != "stream":
            return message
        whole = size(content)
        if kind != "clear_output" and not self._fits(whole):
            self._left_out += whole
            return None
        return message | {"content": content}

    def _fits(self, characters: int) -> bool:
        counted = max(LEAST, characters)
        if self._kept + counted > IN_ALL:
            return False
        self._kept, self._of_cell = self._kept + counted, self._of_cell + counted
        return True

    def _widget_fits(self, message: dict) -> bool:
        content = message["content"]
        whole = size(content.get("data")) + sum(len(buffer) for buffer in message.get("buffers") or ())
        others = sum(self._widgets.values()) - self._widgets.get(content["comm_id"], 0)
        if whole > SHOWN or others + whole > IN_ALL:
            self._left_out += whole
            return False
        self._widgets[content["comm_id"]] = max(whole, self._widgets.get(content["comm_id"], 0))
        return True


def size(value: Any) -> int:
    """About how many characters JSON takes for a value."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(size(key) + size(item) + 4 for key, item in value.items())
    if isinstance(value, list | tuple):
        return sum(size(item) + 2 for item in value)
    return 8


def _fitting(data: dict) -> dict:
    """What a cell shows, in all the ways in which it does, without those that are too large."""
    large = {kind: size(content) for kind, content in data.items() if size(content) > SHOWN and kind not in _CUT}
    kept = {kind: content for kind, content in data.items() if kind not in large}
    for kind in kept.keys() & _CUT:
        if size(kept[kind]) > PRINTED:
            kept[kind] = _beginning(_whole(kept[kind]), PRINTED)
    if large:
        words = "\n".join(f"[{kind} of {count:,} characters was left out here]" for kind, count in large.items())
        kept["text/plain"] = "\n".join(filter(None, [_whole(kept.get("text/plain", "")), words]))
    return kept


def _whole(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _beginning(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n{left_out(len(text) - most, most)}"
