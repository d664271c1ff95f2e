"""The notebooks of the project as files: which there are, what is in them, and a reader's copies of them."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

from singlefilter import store

COPIES = "my_notebooks"  # folder in the project that git ignores
LARGEST = 64 * 2**20  # bytes of a notebook
_ORIGINALS = ".originals.json"  # in it: of which text each copy was made
_NUMBER = re.compile("[0-9]{2}[a-z]?")
_PARAMETERS = "parameters"  # tag of the cell that papermill puts its own behind


class Failed(RuntimeError):
    """A notebook cannot be run, or did not come to its end; the message says which, where, why, and what to do."""


def numbered() -> list[Path]:
    """The project's notebooks in the order of their numbers."""
    return found_in(store.project_root() / "notebooks")


def found_in(folder: Path) -> list[Path]:
    """Numbered notebooks of a folder, in order: 05, 05b, 05c, 06."""
    return sorted(path for path in folder.glob("[0-9][0-9]*_*.ipynb") if _NUMBER.fullmatch(number(path)))


def number(notebook: Path) -> str:
    """What stands before the first underscore of a notebook's name: "05", or "05b" for a part of its own."""
    return notebook.name.partition("_")[0]


def read(path: Path) -> Any:
    """A notebook that can be run, as `nbformat` has it.

    Raises `Failed`, which names the file and what to do, for what is no notebook, one of an older or newer format,
    and one without its one cell of parameters, in which another profile would be run than was asked for.
    """
    import nbformat
    from nbformat.v4.rwbase import rejoin_lines

    content = _content(path)
    problem = _problem(content)
    if problem:
        raise _unfit(path, problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cells without ids, as older ones have them
        try:
            notebook = nbformat.from_dict(content)
            nbformat.validate(notebook)
            notebook = rejoin_lines(notebook)
        except Exception as error:  # validators raise what they like
            first = (str(getattr(error, "message", "") or error).splitlines() or [""])[0][:200]
            raise _unfit(path, f"is no valid notebook ({first or type(error).__name__})") from error
    tagged = [cell for cell in notebook.cells if _PARAMETERS in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        words = f"has {len(tagged) or 'no'} cells with the tag `{_PARAMETERS}`, where one has to name the profile"
        raise _unfit(path, words)
    return notebook


def about(path: Path) -> dict:
    """What the metadata of a notebook say of it: `group` of a profile that it is about, where it is about one, and
    `runs`: `first` where it needs no network, `alone` where it wants the machine for itself, `last` where it gathers
    what others came to.

    Raises `Failed` as `read` does.
    """
    return dict(read(path).metadata.get("singlefilter", {}))


def runs(path: Path) -> str:
    """When a notebook has its turn, as `about` says; "" where it does not, or cannot be read."""
    with contextlib.suppress(Failed):  # said when it is run
        when = about(path).get("runs", "")
        return when if when in ("first", "alone", "last") else ""
    return ""


def _content(path: Path) -> Any:
    if not path.is_file():  # a pipe would be waited for
        raise _unfit(path, "is no file")
    try:
        if path.stat().st_size > LARGEST:
            raise _unfit(path, f"has {path.stat().st_size} bytes, more than one has that was not run yet")
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise _unfit(path, "is empty")
        return json.loads(text)
    except OSError as error:
        raise Failed(f"{path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise _unfit(path, f"is not readable (byte {error.start} is no UTF-8)") from error
    except json.JSONDecodeError as error:
        whole = "ends in the midst of it" if error.pos >= len(text.rstrip()) - 1 else "is not JSON"
        raise _unfit(path, f"{whole} (line {error.lineno}: {error.msg})") from error
    except (RecursionError, ValueError) as error:
        raise _unfit(path, f"is not readable ({type(error).__name__})") from error


def _problem(content: Any) -> str:
    """Why JSON is no notebook of the format that is run here, "" where it may be one."""
    if not isinstance(content, dict) or not {"nbformat", "metadata"} <= content.keys():
        return "is JSON, but no notebook"
    version = content["nbformat"]
    if type(version) is not int or not 1 <= version <= 4:
        return f"is of a notebook format that is not known here ({str(version)[:20]}; 4 is)"
    if version < 4:
        return (
            f"is of the old notebook format {version} (`jupyter nbconvert --to notebook --inplace FILE` makes it 4)"
        )
    if not isinstance(content.get("cells"), list):
        return "is JSON, but no notebook: it has no list of cells"
    return ""


def _unfit(path: Path, problem: str) -> Failed:
    back = f"`git checkout -- {path.parent.name}/{path.name}` brings back the project's own, if it is one of these"
    return Failed(f"{path} {problem}. {back}; else save it again in Jupyter, or move it away")


def copies() -> tuple[Path, list[str], list[str]]:
    """Give the reader working copies: the folder, the names of those made now, and of those older than the original.

    What is in the folder stays as it is, whoever made it.  A copy is older where the original is not any more the one
    it was made of; of a file that was no copy nothing is said.  Raises `Failed` where there are no notebooks.
    """
    originals, folder = numbered(), store.project_root() / COPIES
    if not originals:
        raise Failed(f"there are no notebooks in {store.project_root() / 'notebooks'}")
    folder.mkdir(exist_ok=True)
    note = folder / _ORIGINALS
    try:
        made_of = dict(json.loads(note.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # without the note nothing is known of what is there
        made_of = {}
    made, older = [], []
    for original in originals:
        now = store.file_checksum(original)
        if not (folder / original.name).exists():
            shutil.copyfile(original, folder / original.name)
            made_of[original.name] = now
            made.append(original.name)
        elif made_of.get(original.name, now) != now:
            older.append(original.name)
    store.write_json(note, made_of)
    return folder, made, older
