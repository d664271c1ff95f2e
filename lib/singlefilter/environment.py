"""Does this Python have what the companion needs?  One row a package, pass or fail, and what to do about it.

Needs only the standard library, so that it can be asked before anything is installed:

    python3 lib/singlefilter/environment.py [--extra dev] [--quiet]

The requirements are those of pyproject.toml in the checkout, or of the installed package where there is none.
"""

import argparse
import operator
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"

# Each torchvision is compiled against one torch (the table in torchvision's own README).
TORCHVISION_FOR = {"2.11": "0.26", "2.12": "0.27", "2.13": "0.28"}

COMPARE = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Row:
    """One line of the check: what is needed, what was found, and what to do where the two do not agree."""

    package: str
    required: str
    found: str
    ok: bool
    advice: str = ""


def release(version: str) -> tuple[int, ...]:
    """Numbers of a version, without its local part and trailing zeros: "2.13.0+cpu" -> (2, 13).

    Raises `ValueError` when the version does not begin with a number.
    """
    match = re.match(r"\d+(\.\d+)*", version.strip())
    if match is None:
        raise ValueError(f"{version!r} is not a version: it has to begin with a number, as 2.13.0 does")
    return tuple(int(part) for part in re.sub(r"(\.0+)+$", "", match.group()).split("."))


def computes_in_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this processor has instructions for bfloat16; no where the system does not list its flags."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    except OSError:
        return False
    return not flags.isdisjoint(("avx512_bf16", "amx_bf16"))


def satisfies(version: str, bounds: str) -> bool:
    """Whether `version` is within `bounds`, such as ">=2.11,<3"; only the numbers of a version count.

    Raises `ValueError` for an operator other than >= > <= < == !=.
    """
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        match = re.fullmatch(r"(>=|<=|==|!=|>|<)\s*(\d[\w.+]*)", bound)
        if match is None:
            raise ValueError(f"cannot read the bound {bound!r}; write it with >= > <= < == or !=")
        if not COMPARE[match[1]](release(version), release(match[2])):
            return False
    return True


def requirements(extras: Iterable[str] = (), pyproject: Path = PYPROJECT) -> dict[str, str]:
    """What the companion needs: package name -> bounds, "python" first, the packages of `extras` last.

    Raises `FileNotFoundError` when there is neither a `pyproject` file nor an installed package to ask, and
    `ValueError` for an extra that does not exist.
    """
    if pyproject.is_file():
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        python, lines = project["requires-python"], list(project["dependencies"])
        optional = project["optional-dependencies"]
    else:
        python, lines, optional = installed_requirements()
    for extra in extras:
        if extra not in optional:
            raise ValueError(f"there is no extra {extra!r}; those there are: {', '.join(sorted(optional))}")
        lines += optional[extra]
    return {"python": python} | dict(name_and_bounds(line) for line in lines)


def installed_requirements(package: str = "singlefilter") -> tuple[str, list[str], dict[str, list[str]]]:
    """Requirements of an installed package: of Python, of other packages, and those of each extra.

    Raises `FileNotFoundError` when the package is not installed.
    """
    try:
        about = metadata.metadata(package)
    except metadata.PackageNotFoundError:
        raise FileNotFoundError(
            f"nothing says what is required: there is no {PYPROJECT} and {package} is not installed; "
            "run this from a checkout"
        ) from None
    lines: list[str] = []
    optional: dict[str, list[str]] = {extra: [] for extra in about.get_all("Provides-Extra") or []}
    for line in about.get_all("Requires-Dist") or []:
        match = re.search(r";.*extra\s*==\s*[\"']([^\"']+)", line)
        (optional[match[1]] if match else lines).append(line)
    return about["Requires-Python"], lines, optional


def name_and_bounds(line: str) -> tuple[str, str]:
    """("torch", ">=2.11") from "torch >= 2.11 ; sys_platform == 'linux'".

    Raises `ValueError` for a line without a package name.
    """
    match = re.fullmatch(r"([A-Za-z0-9][\w.-]*)\s*(?:\[.*?\])?\s*([<>=!][^;]*)?(?:;.*)?", line.strip())
    if match is None:
        raise ValueError(f"cannot read the requirement {line!r}; write it as name>=version")
    return match[1], (match[2] or "").replace(" ", "")


def installed_version(package: str) -> str | None:
    """Version of an installed package, None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def import_pair() -> str:
    """Text of the error that importing torch and torchvision in a fresh process gives, "" when all is well.

    A process of its own, because a broken pair may end the whole interpreter; -P keeps the folder of this
    file, where `statistics` is not the standard library's, off its path.
    """
    command = [sys.executable, "-P", "-c", "import torch, torchvision"]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    return "" if ran.returncode == 0 else ran.stderr.strip() or f"Python ended with code {ran.returncode}"


def pair_row(torch: str, torchvision: str, importing: Callable[[], str] = import_pair) -> Row:
    """Whether this torchvision belongs to this torch: by the table of versions, then by importing the two."""
    series = ".".join(torch.split(".")[:2])
    wanted = TORCHVISION_FOR.get(series, "")
    if wanted and not torchvision.startswith(wanted + "."):
        problem = f"torch {series} needs torchvision {wanted}"
    elif error := importing():
        problem = error.splitlines()[-1]
        # The sign of two builds, one for the CPU and one for CUDA, under matching version numbers.
        if "operator torchvision::" in error:
            problem += (
                " (torch and torchvision are different builds, as when pip finds a CPU-only file of torch on "
                "the machine and takes torchvision from the index)"
            )
    else:
        return Row("torch+torchvision", "a matching pair", f"{torch} + {torchvision}", True)
    advice = (
        f"{problem}: leave this environment (or remove .venv) and run ./run_all.sh, or let uv install both: "
        f"uv pip install --python {sys.executable} --reinstall torch=={torch.split('+')[0]} "
        f"torchvision{'==' + wanted + '.*' if wanted else ''}"
    )
    return Row("torch+torchvision", "a matching pair", f"{torch} + {torchvision}", False, advice)


def check(extras: Iterable[str] = (), importing: Callable[[], str] = import_pair) -> list[Row]:
    """One row for Python, one for each required package, and one for torch and torchvision as a pair.

    `importing` gives the error text of importing the pair (tests plant one). Raises as `requirements` does.
    """
    needed = requirements(extras)
    found = {name: installed_version(name) for name in needed}
    found["python"] = ".".join(map(str, sys.version_info[:3]))
    rows = [package_row(name, bounds, found[name]) for name, bounds in needed.items()]
    if found["torch"] and found["torchvision"]:
        rows.append(pair_row(found["torch"], found["torchvision"], importing))
    return rows


def package_row(name: str, bounds: str, found: str | None) -> Row:
    """The row of one package (or of "python") of which version `found` is there, None for none."""
    if found is None:
        return Row(name, bounds, "-", False, "missing: run ./run_all.sh, which installs it")
    if satisfies(found, bounds):
        return Row(name, bounds, found, True)
    advice = "use another Python" if name == "python" else "run ./run_all.sh, which installs another version"
    return Row(name, bounds, found, False, advice)


def table(rows: list[Row]) -> str:
    """The rows as text, one line each: pass or FAIL, package, bounds, version found, advice."""
    cells = [("pass" if r.ok else "FAIL", r.package, r.required, r.found, r.advice) for r in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in cells)
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the check; 0 when everything passes, else 1."""
    parser = argparse.ArgumentParser(description="Does this Python have what the companion needs?")
    parser.add_argument("--extra", action="append", default=[], help="the packages of this extra too (dev)")
    parser.add_argument("--quiet", action="store_true", help="print only what fails")
    options = parser.parse_args(arguments)
    try:
        rows = check(options.extra)
    except (FileNotFoundError, ValueError) as error:
        print(f"environment check: {error}", file=sys.stderr)
        return 1
    failed = [row for row in rows if not row.ok]
    if failed or not options.quiet:
        print(table(failed if options.quiet else rows))
    if not options.quiet:
        print(f"\n{len(rows) - len(failed)} of {len(rows)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
