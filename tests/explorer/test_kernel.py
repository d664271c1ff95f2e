"""The explorer in a live kernel, moved as a front end moves it: by messages, answered by one picture each."""

import base64
import json
import os
import queue
import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

import singlefilter

PNG = b"\x89PNG"
START = """
from singlefilter import explorer
from singlefilter.pipeline import stages
w = explorer.explore(stages.of({profile!r}))
w
"""
PLACES = "print(w.layer.model_id, w.filter.model_id, w.threshold.model_id, w.out.model_id)"
OUTPUTS = "import json; print(json.dumps([dict(output) for output in w.out.outputs]))"


class Kernel:
    """A kernel that somebody watches; `ask` runs code or moves a widget, and gives all messages until it is idle."""

    def __init__(self, client) -> None:
        self.client = client

    def run(self, code: str) -> list[dict]:
        return self._answers(self.client.execute(code))

    def printed(self, code: str) -> str:
        return "".join(one["content"]["text"] for one in self.run(code) if one["msg_type"] == "stream")

    def move(self, widget: str, **state) -> list[dict]:
        data = {"method": "update", "state": state, "buffer_paths": []}
        message = self.client.session.msg("comm_msg", {"comm_id": widget, "data": data})
        self.client.shell_channel.send(message)
        return self._answers(message["header"]["msg_id"])

    def _answers(self, asked: str) -> list[dict]:
        found, end = [], time.monotonic() + 120
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != asked:
                continue
            if message["msg_type"] == "error":
                pytest.fail("\n".join(message["content"]["traceback"]))
            found.append(message)
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found
        pytest.fail("the kernel did not answer within two minutes")


@pytest.fixture
def kernel(tiny_home):
    environment = os.environ | {
        "SINGLEFILTER_HOME": str(tiny_home),
        "PYTHONPATH": str(Path(singlefilter.__file__).parents[1]),
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("SINGLEFILTER_UNWATCHED", None)
    manager, client = start_new_kernel(kernel_name="python3", env=environment, startup_timeout=120)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def pictures(messages: list[dict], image: str) -> list[bytes]:
    """The pictures that went to the image widget, in the order in which they were sent."""
    found = []
    for message in messages:
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg") and content["comm_id"] == image:
            paths = content["data"].get("buffer_paths", [])
            found += [bytes(b) for path, b in zip(paths, message["buffers"], strict=True) if path == ["value"]]
    return [picture for picture in found if picture]


def test_one_image_at_the_start_and_another_after_each_change(kernel, tiny_home):
    started = kernel.run(START.format(profile=str(tiny_home / "tiny.yaml")))
    shown = [one["content"]["data"] for one in started if one["msg_type"] in ("execute_result", "display_data")]
    assert len(shown) == 1 and "application/vnd.jupyter.widget-view+json" in shown[0]
    layer, filter_, threshold, image = kernel.printed(PLACES).split()
    opened = pictures(started, image)
    assert len(opened) == 1 and opened[0].startswith(PNG)

    seen = [opened[0]]
    moves = ((filter_, {"value": 7}), (threshold, {"value": 0.55}), (layer, {"index": 1}), (layer, {"index": 12}))
    for widget, state in moves:
        sent = pictures(kernel.move(widget, **state), image)
        assert len(sent) == 1 and sent[0] != seen[-1], "one picture, and another one"
        outputs = json.loads(kernel.printed(OUTPUTS))
        assert len(outputs) == 1
        assert base64.b64decode(outputs[0]["data"]["image/png"]) == sent[0]
        seen.append(sent[0])
    assert kernel.printed("print(w.layer.value, w.filter.value)").split()[0] == "13"
