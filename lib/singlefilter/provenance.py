"""Where a result comes from: versions of packages, the machine, how it computes, the commit of the code."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("singlefilter", "torch", "torchvision", "numpy", "matplotlib", "pandas", "scipy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; with a GPU, of CUDA and cuDNN, too."""
    import torch

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            from singlefilter import __version__

            found[package] = __version__ if package == "singlefilter" else "not installed"
    if torch.cuda.is_available():
        found |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return found


def machine() -> dict[str, object]:
    """What this machine is, in words: processor, cores, memory, accelerator; and `ranks` where several work together.

    Part of the key of what is measured on a machine, so what is added to it has that measured anew.
    """
    import torch

    from singlefilter import distributed

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "gpu": gpu,
    } | ({"ranks": distributed.world()} if distributed.world() > 1 else {})


def computing() -> dict[str, object]:
    """What the last digits of a result depend on, beside machine and versions, since sums are taken in its order.

    `threads` and `ranks` that compute together, and `blas`: the library behind torch's products of matrices with its
    number of threads (None where it does not say), and the one behind numpy's.
    """
    import numpy as np
    import torch

    from singlefilter import distributed

    built, parallel = torch.__config__.show(), torch.__config__.parallel_info()
    name = re.search(r"BLAS_INFO=(\w+)", built)
    release = re.search(r"Math Kernel Library Version (\S+?)(-Product)? ", built)
    threads = re.search(r"mkl_get_max_threads\(\) : (\d+)", parallel)
    of_numpy = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return {
        "threads": torch.get_num_threads(),
        "ranks": distributed.world(),
        "blas": {
            "torch": " ".join(found[1] for found in (name, release) if found) or "unknown",
            "torch_threads": int(threads[1]) if threads else None,
            "numpy": f"{of_numpy.get('name', 'unknown')} {of_numpy.get('version', '')}".strip(),
        },
    }


def commit() -> str:
    """Commit of the library's checkout, `-dirty` when the library differs from it, whatever git's variables say.

    Where git cannot tell, as in a copy without `.git`: `$SINGLEFILTER_COMMIT` if that is a commit's name (7 to 64
    hexadecimal digits, and `-dirty` perhaps), else `unknown`.
    """
    given = os.environ.get("SINGLEFILTER_COMMIT", "")
    given = given if re.fullmatch("[0-9a-f]{7,64}(-dirty)?", given) else "unknown"
    root = Path(__file__).resolve().parents[2]
    if not (root / "pyproject.toml").exists():  # installed: a repository around it would be another project's
        return given
    try:
        own = Path(__file__).resolve().relative_to(root)
        _git(root, "ls-files", "--error-unmatch", "--", str(own))  # fails where a repository around it has it not
        head = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain", "--untracked-files=normal", "--", "lib")
    except (OSError, subprocess.CalledProcessError):
        return given
    return head + ("-dirty" if dirty else "")


def _git(root: Path, *arguments: str) -> str:
    """What git says of a folder; variables that name another repository are not for it."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = {name: value for name, value in os.environ.items() if name.startswith("GIT_CONFIG_")}
    how = {"capture_output": True, "text": True, "encoding": "utf-8", "errors": "replace"}
    try:
        done = subprocess.run(command, env=clean, check=True, **how)
    except subprocess.CalledProcessError:  # settings may say that a checkout of somebody else is safe
        done = subprocess.run(command, env=clean | settings, check=True, **how)
    return done.stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
