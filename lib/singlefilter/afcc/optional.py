"""Packages that only some readers need."""

from __future__ import annotations

import importlib
import types


def optional(module: str, extra: str, purpose: str) -> types.ModuleType:
    """An optional package, imported when it is needed.  Raises `ImportError` that says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{purpose} needs {module}, which is not installed: pip install 'singlefilter[{extra}]' ({error})"
        ) from error
