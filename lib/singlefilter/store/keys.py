"""Configurations as JSON can hold them, and the keys of stages that are made from them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

LEFT_OUT = {
    "left out of keys": "at its default"
}  # metadata of a field that came later than the keys of what is there


def config_key(config: object) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a configuration (anything JSON or a dataclass)."""
    return digest(config)[:12]


def digest(value: object) -> str:
    """SHA-256 of anything JSON or a dataclass, in hexadecimal."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: object) -> object:
    """The value as JSON can hold it: dataclasses as mappings, paths as text, tuples as lists.

    A field with the metadata `LEFT_OUT` is there only where it is not at its default, so that a key that a later
    version added changes no configuration that does without it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {item: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {
            item.name: plain(inside)
            for item, inside in named.items()
            if not (item.metadata == LEFT_OUT and inside == item.default)
        }
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
