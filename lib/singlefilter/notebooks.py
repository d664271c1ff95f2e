"""The numbered notebooks of the project: run from top to bottom by papermill, or copied for a reader to work on."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path

from singlefilter import progress, store

# nbconvert's own page leaves out what a picture says of itself (`drawing.Drawing.alt`).
_PAGE = """{%- extends 'lab/index.html.j2' -%}
{% block data_png scoped %}
{%- set alt = output | get_metadata('alt', 'image/png') -%}
{{ super() | replace('<img', '<img alt="' ~ (alt | escape_html) ~ '"', 1) if alt else super() }}
{%- endblock %}
"""

COPIES = "my_notebooks"  # folder in the project that git ignores
_ORIGINALS = ".originals.json"  # in it: of which text each copy was made


class Failed(RuntimeError):
    """A notebook raised an error; the message says which, where, and where its copy is."""


def numbered() -> list[Path]:
    """The project's notebooks in the order of their numbers."""
    return sorted((store.project_root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def group(notebook: Path) -> str | None:
    """The group of a profile that a notebook is about, where it is about one; its metadata name it."""
    return json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("singlefilter", {}).get("group")


def execute(notebook: Path, profile: str, name: str, data_dir: Path | None) -> Path:
    """Run a notebook through papermill into `build/<name>/`, and its HTML beside it; its executed copy.

    profile: name or YAML file, as the notebook's parameter; name: that of the profile in it.  Raises `Failed` with
    the error of the cell that failed; the copy up to there is kept.
    """
    import papermill
    from nbconvert import HTMLExporter

    from singlefilter import interpreter

    target = store.project_root() / "build" / name / notebook.name
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"{notebook.stem} ...", end=" ", flush=True)
    start = time.perf_counter()
    parameters = {"profile": str(Path(profile).resolve()) if profile.endswith((".yaml", ".yml")) else profile}
    if data_dir is not None:
        parameters["data_dir"] = str(data_dir)
    os.environ[progress.UNWATCHED] = "yes"
    logging.getLogger("traitlets").setLevel(logging.ERROR)  # nbconvert's remarks on the style of a notebook
    with interpreter.own_environment(), store.naming(target):
        try:
            papermill.execute_notebook(
                notebook,
                target,
                parameters,
                kernel_name="python3",
                kernel_manager_class=interpreter.Kernel,
                cwd=notebook.parent,
                progress_bar=False,
                extra_arguments=["--log-level=50"],  # the kernel's remarks on how it is connected
            )
        except papermill.PapermillExecutionError as error:
            print("failed", flush=True)
            raise Failed(
                f"{notebook.name}: {error.ename}: {error.evalue}\n(executed up to there: {target})"
            ) from error
        html, _ = HTMLExporter(raw_template=_PAGE).from_filename(str(target))
    with store.atomic_file(target.with_suffix(".html")) as temporary:
        temporary.write_text(html, encoding="utf-8")
    print(f"{time.perf_counter() - start:.0f} s", flush=True)
    return target


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
