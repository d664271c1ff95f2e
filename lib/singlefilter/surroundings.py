"""What a program takes from its environment, settled before anything reads it: the library of this project, UTF-8,
and nothing that keeps matplotlib, Jupyter or temporary files from working.

Needs only the standard library: `__main__` calls `settle` before it imports what reads the environment itself.
"""

from __future__ import annotations

import importlib.util
import locale
import os
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]  # the folder that has `singlefilter/` in it
_SETTINGS = "matplotlibrc"
_TRIED = "SINGLEFILTER_BEGUN_ANEW"  # begun anew once is enough: a program may set its path itself


def settle() -> None:
    """Make this process, and those that it starts, do the same whatever the environment says.

    Begins the process anew by the library of the project that the current folder is in, if that is another one, and
    where text and names of files would not be UTF-8.  Raises `SystemExit` where matplotlib could not be imported.
    """
    other, tried = library_around(Path.cwd()), os.environ.pop(_TRIED, "")
    if other and not other.samefile(LIBRARY) and not (sys.flags.ignore_environment or tried):
        _say(f"{Path.cwd()} is in the project {other.parent}, so its library runs, not the one in {LIBRARY}")
        os.environ |= {"PYTHONPATH": python_path(other), _TRIED: "yes"}
        _begin_anew()
    owner = library_around(Path(sys.prefix))
    if owner and not other and not owner.samefile(LIBRARY):
        _say(f"the library in {LIBRARY} runs, not that of {owner.parent}, whose Python this is")
    os.environ["PYTHONPATH"] = python_path()
    os.environ["PYTHONUTF8"] = "1"
    if not _is_utf8():
        _begin_anew()
    _settle_folders(os.environ)
    _settle_matplotlib(os.environ)
    for stream in (sys.stdout, sys.stderr):  # a name that an encoding lacks is no reason to end
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def library_around(folder: Path) -> Path | None:
    """The `lib/` of the checkout that a folder is in; None where it is in none."""
    for root in (folder, *folder.parents):
        if (root / "pyproject.toml").is_file() and (root / "lib" / "singlefilter" / "__init__.py").is_file():
            return root / "lib"
    return None


def python_path(library: Path = LIBRARY) -> str:
    """PYTHONPATH with a library of ours in front of what is in it."""
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join([str(library), *(entry for entry in before if entry and entry != str(library))])


def can_be_written(folder: Path | str) -> bool:
    """Whether files can be put into a folder, which is made where it is not there."""
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except (OSError, ValueError):
        return False


def folder_instead(name: str) -> Path | None:
    """A folder in the project for what would lie in a home that cannot be written; None where it cannot either."""
    folder = Path(os.environ.get("SINGLEFILTER_HOME") or LIBRARY.parent) / "build" / ".home" / name
    return folder if can_be_written(folder) else None


def _begin_anew() -> None:
    # -X, since -E and -I keep Python from reading PYTHONUTF8
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def _is_utf8() -> bool:
    names = {sys.getfilesystemencoding(), locale.getencoding()}
    return bool(sys.flags.utf8_mode) or {name.lower().replace("-", "") for name in names} == {"utf8"}


def _settle_folders(environment: MutableMapping[str, str]) -> None:
    """Leave out folders for temporary files that are not there, and name a home where nothing says which it is."""
    for name in ("TMPDIR", "TEMP", "TMP", "JOBLIB_TEMP_FOLDER"):
        if name in environment and not os.access(environment[name], os.W_OK | os.X_OK):
            del environment[name]
    try:
        Path.home()
    except RuntimeError:  # neither HOME nor an entry of this user
        environment["HOME"] = os.sep


def _settle_matplotlib(environment: MutableMapping[str, str]) -> None:
    """No backend and no settings of others, as figures have a look of their own; a folder that can be written.

    Raises `SystemExit` for settings in the current folder that matplotlib, which reads them first, would fail at.
    """
    environment.pop("MPLBACKEND", None)
    environment.pop("MATPLOTLIBRC", None)
    found = importlib.util.find_spec("matplotlib")
    if found and found.submodule_search_locations:  # its own, so that it looks no further
        environment["MATPLOTLIBRC"] = str(Path(found.submodule_search_locations[0]) / "mpl-data" / _SETTINGS)
    own = Path.cwd() / _SETTINGS
    if own.is_file():
        try:
            own.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SystemExit(
                f"singlefilter: matplotlib reads {own} and fails at it ({error}): move it away"
            ) from None
    if not all(map(can_be_written, _folders_of_matplotlib(environment))):
        environment.pop("MPLCONFIGDIR", None)
        if folder := folder_instead("matplotlib"):
            environment["MPLCONFIGDIR"] = str(folder)


def _folders_of_matplotlib(environment: MutableMapping[str, str]) -> list[str]:
    """Where it keeps settings and the list of fonts."""
    if given := environment.get("MPLCONFIGDIR"):
        return [given]
    if sys.platform == "darwin":
        return [str(Path.home() / ".matplotlib")]
    bases = (("XDG_CONFIG_HOME", ".config"), ("XDG_CACHE_HOME", ".cache"))
    return [os.path.join(environment.get(name) or Path.home() / base, "matplotlib") for name, base in bases]


def _say(words: str) -> None:
    if os.environ.get("RANK", "0") == "0":  # of several ranks the first speaks
        print(f"singlefilter: {words}", file=sys.stderr, flush=True)
