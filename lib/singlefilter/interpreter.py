"""Kernels of notebooks that are this interpreter, whatever other `python3` Jupyter may know of."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_core import paths

from singlefilter import surroundings

_FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
_LEFT_OUT = ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "JUPYTER_PREFER_ENV_PATH", "PYTHONSTARTUP", "PYTHONINSPECT")
_INLINE = "module://matplotlib_inline.backend_inline"  # as kernels have it of themselves


class Specs(KernelSpecManager):
    """Kernels that Jupyter knows of, with this interpreter as `python3`."""

    def find_kernel_specs(self) -> dict[str, str]:
        """Folder of each kernel by its name."""
        return super().find_kernel_specs() | {NATIVE_KERNEL_NAME: RESOURCES}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """How a kernel is started."""
        if kernel_name.lower() == NATIVE_KERNEL_NAME:
            return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict())
        return super().get_kernel_spec(kernel_name)


@contextmanager
def own_environment() -> Iterator[None]:
    """Inside, Jupyter and its kernels have this library, and folders, settings and templates of nobody else.

    What IPython runs at its start, of whatever profile, is left out.
    """
    with tempfile.TemporaryDirectory(prefix="singlefilter-", ignore_cleanup_errors=True) as folder:
        changed: dict[str, str | None] = dict.fromkeys(_LEFT_OUT)
        changed |= {name: str(Path(folder) / name.lower()) for name in _FOLDERS}
        changed |= {"PYTHONPATH": surroundings.python_path(), "PYTHONUTF8": "1", "MPLBACKEND": _INLINE}
        before = {name: os.environ.get(name) for name in changed}
        _set(changed)
        try:
            yield
        finally:
            _set(before)


def folders_instead() -> dict[str, str]:
    """What JupyterLab's environment needs in addition where it could not write to the folders it would take."""
    places = {
        "JUPYTER_CONFIG_DIR": paths.jupyter_config_dir,
        "JUPYTER_DATA_DIR": paths.jupyter_data_dir,
        "JUPYTER_RUNTIME_DIR": paths.jupyter_runtime_dir,
        "IPYTHONDIR": lambda: os.environ.get("IPYTHONDIR") or Path.home() / ".ipython",
    }
    refused = [name for name, place in places.items() if not surroundings.can_be_written(place())]
    instead = {name: surroundings.folder_instead(name.lower()) for name in refused}
    return {name: str(folder) for name, folder in instead.items() if folder}


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
