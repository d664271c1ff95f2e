"""Kernels are this interpreter, with this library, whatever Jupyter and IPython find elsewhere."""

import json
import os
import sys
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from singlefilter import interpreter, notebooks, surroundings
from singlefilter.notebooks import kernels

TEMPLATE = "nbconvert/templates/lab/index.html.j2"


@pytest.fixture
def others(tmp_path, monkeypatch) -> Path:
    """Another `python3`, another page for notebooks, another library, and what ends a kernel as it starts."""
    kernel = {"argv": ["/bin/false"], "display_name": "", "language": ""}
    written = {
        "jupyter/kernels/python3/kernel.json": json.dumps(kernel),
        f"jupyter/{TEMPLATE}": "theirs",
        "ipython/profile_default/startup/00.py": "import os; os._exit(3)",
        "ipython/profile_default/ipython_kernel_config.py": "raise ValueError",
        "startup.py": "import os; os._exit(4)",
        "lib/singlefilter/__init__.py": "raise ValueError",
    }
    for name, text in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name in ("JUPYTER_PATH", "JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "startup.py"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    return tmp_path


def test_python3_is_this_interpreter(others):
    assert KernelSpecManager().get_kernel_spec("python3").argv == ["/bin/false"], "what the test is about"
    for named in (
        interpreter.Specs().get_kernel_spec("python3").argv,
        interpreter.Specs(ensure_native_kernel=False).get_all_specs()["python3"]["spec"]["argv"],
    ):
        assert named[:3] == [sys.executable, "-m", "ipykernel_launcher"]
    assert kernels.Kernel(kernel_name="python3").kernel_spec.argv[0] == sys.executable


def test_other_kernels_stay_what_they_are(others):
    (others / "jupyter" / "kernels" / "python3").rename(others / "jupyter" / "kernels" / "own")
    assert interpreter.Specs().get_kernel_spec("own").argv == ["/bin/false"]
    assert set(interpreter.Specs().find_kernel_specs()) >= {"own", "python3"}


def test_the_environment_is_as_before_afterwards(others):
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), interpreter.own_environment():
        assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == str(surroundings.LIBRARY)
        assert "JUPYTER_PATH" not in os.environ and os.environ["IPYTHONDIR"] != before["IPYTHONDIR"]
        folder = Path(os.environ["IPYTHONDIR"]).parent
        assert folder.is_dir()
        raise ZeroDivisionError
    assert dict(os.environ) == before and not folder.exists()


CELLS = [
    "",
    "import sys, singlefilter, matplotlib\nprint(sys.executable, singlefilter.__file__, 'Straße 狗', sep='\\n')",
]


def test_a_notebook_runs_by_this_interpreter_and_its_page_is_utf8(home, others):
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [cell | {"id": f"c{number}", "source": source} for number, source in enumerate(CELLS)]
    cells[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    path = home / "notebooks" / "01_ours.ipynb"
    path.parent.mkdir()
    content = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")
    copy = notebooks.execute(path, notebooks.Asked("quick", "quick"))
    (output,) = json.loads(copy.read_text(encoding="utf-8"))["cells"][-1]["outputs"]
    printed = "".join(output["text"]).splitlines()
    assert printed == [sys.executable, str(surroundings.LIBRARY / "singlefilter" / "__init__.py"), "Straße 狗"]
    assert "Straße 狗" in copy.with_suffix(".html").read_text(encoding="utf-8")


def test_what_jupyterlab_writes_goes_elsewhere_where_a_home_cannot_be_written(home, monkeypatch):
    (home / "no folder").touch()
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(home / "no folder" / name))
    found = interpreter.folders_instead()
    assert found["JUPYTER_DATA_DIR"] == str(home / "build" / ".home" / "jupyter_data_dir")
    assert len(found) == 4 and all(Path(folder).is_dir() for folder in found.values())
    for name in found:
        monkeypatch.setenv(name, str(home / "may be written"))
    assert interpreter.folders_instead() == {}
