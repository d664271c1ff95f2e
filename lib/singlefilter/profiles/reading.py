"""The text of a profile as plain keys and values: YAML without what would be read as something else than it says.

No tags, no dates, no octal or sexagesimal numbers (they stay text, and a message says so), no key twice, nothing
nested deeply; aliases and merges (`<<`) are read, but not those that contain themselves.
"""

from __future__ import annotations

import re
import stat
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from singlefilter.profiles.wording import Problem, ProfileError, key_of, shown

LARGEST = 2**15  # bytes; those that ship have 4,000 at most
DEEPEST = 10  # levels of nesting; by_labels.data.labels is on the third
_PREFIX = "tag:yaml.org,2002:"
_WHOLE = r"[-+]?(?:0|[1-9][0-9_]{0,17})"
_DECIMAL = (
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


def text_of(path: Path) -> str:
    """Text of a profile's file.  Raises `ProfileError` where it cannot be read, or is no profile by its size."""
    try:
        kind = path.stat().st_mode
        if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # a pipe would be waited for
            raise OSError("it is no file")
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(f"more than {LARGEST // 1024} KiB, which no profile has")
        return content.decode("utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: cannot be read (not UTF-8 from byte {error.start}): save it as UTF-8") from error
    except ValueError as error:  # a null byte in the path
        raise ProfileError(f"{shown(str(path))}: cannot be read ({error})") from error


def content_of(text: str, source: str) -> tuple[dict, list[Problem]]:
    """Keys and values of a profile's text, and what is wrong with the way that they are written.

    Raises `ProfileError` where the text is no YAML, or no mapping of keys to values.
    """
    loader = None
    try:
        loader = _Loader(text)
        content = loader.get_single_data()
    except yaml.YAMLError as error:
        words = str(error) if isinstance(error, _Unread) else f"not valid YAML: {error}"
        raise ProfileError(f"{source}: {words}") from error
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(content, dict):
        is_ = "empty" if content is None else shown(content)
        raise ProfileError(f"{source}: a profile is a mapping of keys to values, this is {is_}")
    return content, loader.problems


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which knows under which key it is, and notes what it does not read."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag.removeprefix(_PREFIX) in ("bool", "null", "merge")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str):
        super().__init__(text)
        self.problems: list[Problem] = []
        self._place: list[Any] = []  # keys and positions above the node that is being read
        self._open: list[str] = []  # anchors of the nodes that it is in

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        event = self.peek_event()
        self._place.append(index.value if isinstance(index, yaml.ScalarNode) else index)
        key, line = key_of(self._place) or "the file", event.start_mark.line + 1
        if len(self._place) > DEEPEST:
            raise _Unread(f"{key}: lists or groups in one another, more than {DEEPEST} deep, in line {line}")
        if isinstance(event, yaml.AliasEvent) and event.anchor in self._open:
            raise _Unread(f"{key}: {shown('*' + event.anchor)} stands inside what it names, in line {line}")
        anchor = None if isinstance(event, yaml.AliasEvent) else event.anchor
        if tag := getattr(event, "tag", None):
            self.problems.append(
                Problem(key, f"{key}: {_tag(tag)} in line {line}: values have no tags here, write it alone")
            )
            event.tag = None
        self._open.append(anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        self._place.pop()
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines = defaultdict(list)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                lines[key.value].append(key.start_mark.line + 1)
        for name, where in lines.items():
            if len(where) > 1:
                key = key_of([*self._place, name])
                self.problems.append(Problem(key, f"{key}: given {len(where)} times, in {_lines(where)}; keep one"))
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what `<<` names; each key once, so that merges of merges do not grow."""
        super().flatten_mapping(node)
        scalar = {(key.tag, key.value): (key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        node.value = [*scalar.values(), *(pair for pair in node.value if not isinstance(pair[0], yaml.ScalarNode))]


_Loader.add_implicit_resolver(f"{_PREFIX}int", re.compile(f"^(?:{_WHOLE})$"), list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_PREFIX}float", re.compile(f"^(?:{_DECIMAL})$"), list("-+0123456789."))


class _Unread(yaml.YAMLError):
    """Something that is not read, so that nothing after it can be."""


def _tag(tag: str) -> str:
    return shown("!!" + tag.removeprefix(_PREFIX) if tag.startswith(_PREFIX) else tag)


def _lines(where: list[int]) -> str:
    if len(set(where)) == 1:
        return f"line {where[0]}"
    first = ", ".join(map(str, where[:-1] if len(where) < 6 else [*where[:4], "..."]))
    return f"lines {first} and {where[-1]}"
