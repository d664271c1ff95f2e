"""What is kept of the messages of a kernel."""

import io

import pytest

from singlefilter.notebooks import outputs


@pytest.fixture
def small(monkeypatch):
    for name, value in {"PRINTED": 100, "SHOWN": 1000, "IN_ALL": 3000, "LEAST": 10}.items():
        monkeypatch.setattr(outputs, name, value)
    return outputs.Bounds()


def message(kind, **content):
    return {"msg_type": kind, "content": content}


def shown(kind="display_data", **data):
    return message(kind, data={name.replace("_", "/"): value for name, value in data.items()}, metadata={})


def test_what_is_large_gives_way_and_what_is_not_stays(small):
    kept = small.kept(shown(text_html="h" * 1001, text_plain="p"))["content"]["data"]
    assert kept == {"text/plain": "p\n[text/html of 1,001 characters was left out here]"}
    kept = small.kept(shown(image_png="i" * 1000, text_plain="p" * 150))["content"]["data"]
    assert kept["image/png"] == "i" * 1000
    assert kept["text/plain"] == "p" * 100 + "\n[50 more characters were left out here: a copy keeps the first 100]"
    whole = shown(image_png="i", text_plain="p")
    assert small.kept(whole) == whole


def test_a_notebook_shows_so_much_in_all_and_says_the_rest(small):
    assert [small.kept(shown(image_png="i" * 900)) is not None for _ in range(5)] == [True] * 3 + [False] * 2
    assert small.end().startswith("[1,8") and "more characters of output were left out" in small.end()
    small.begin()
    assert small.end() == ""
    assert small.kept(message("status", execution_state="idle")), "without it no cell would end"


def test_what_is_shown_and_cleared_again_counts_once(small):
    for _ in range(20):
        assert small.kept(shown(image_png="i" * 900))
        assert small.kept(message("clear_output", wait=True))


def test_many_small_outputs_count_too(small):
    kept = [small.kept(message("stream", name="stdout", text=".")) for _ in range(1000)]
    assert sum(one is not None for one in kept) < 300


def test_errors_are_cut(small):
    error = small.kept(message("error", ename="E", evalue="v" * 10**6, traceback=["t" * 10**6] * 500))
    assert error is None or outputs.size(error["content"]) < 10_000


def test_widgets(small):
    def state(of, length, **more):
        return message("comm_msg", comm_id=of, data={"state": {"value": "w" * length}}) | more

    assert small.kept(state("a", 100)) and small.kept(state("a", 100))
    assert small.kept(state("a", 1001)) is None
    assert small.kept(state("b", 10, buffers=[b"x" * 1001])) is None
    assert sum(small.kept(state(str(n), 900)) is not None for n in range(10)) == 3
    assert "left out" in small.end()


def test_a_cell_prints_so_much(monkeypatch):
    """The stream of a kernel without the kernel."""
    written = io.StringIO()
    monkeypatch.setattr(outputs.OutStream, "write", lambda self, text: written.write(text))
    stream = outputs.Printed.__new__(outputs.Printed)
    cell = {"msg_id": "1"}
    monkeypatch.setattr(outputs.Printed, "parent_header", property(lambda self: cell))
    monkeypatch.setattr(outputs, "PRINTED", 10)
    assert [stream.write(text) for text in ("12345", "67890abc", "d")] == [5, 8, 1]
    stream.say_what_was_left_out()
    assert (
        written.getvalue() == "1234567890\n[4 more characters were left out here: a copy keeps the first 200,000]\n"
    )
    cell["msg_id"] = "2"
    stream.write("again")
    stream.say_what_was_left_out()
    assert written.getvalue().endswith("]\nagain")
