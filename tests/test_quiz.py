"""The key of the quiz has the answers that the library computes."""

import re

import numpy as np

from singlefilter import afcc
from singlefilter.method import clusters, fields, statistics
from tests.pages import read, section

PAGE = "docs/quiz.md"


def answers() -> dict[int, str]:
    """By its number, each answer of the key in one line."""
    found = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", section(PAGE, "Key"), flags=re.MULTILINE | re.DOTALL)
    return {int(number): " ".join(text.split()) for number, text in found}


def test_every_question_has_an_answer():
    questions = [
        int(number) for number in re.findall(r"^(\d+)\. ", read(PAGE).split("## Key")[0], flags=re.MULTILINE)
    ]
    assert questions == list(answers()) == list(range(1, 13))


def test_the_answers_about_the_matrix_are_those_of_the_library():
    block = re.search(r"```text\n(.*?)```", read(PAGE), flags=re.DOTALL)[1]
    matrix = np.array([[int(number) for number in re.findall(r"-?\d+", line)[1:]] for line in block.splitlines()])
    key, clipped = answers(), clusters.clip(matrix[None])
    found = clusters.find(clipped)
    counted = statistics.count_filters(clipped, found).iloc[0]
    assert f"**{clipped.sum()} ones, {counted['covered']} of them on the diagonal**" in key[1]
    assert f"above {0.3 * matrix.max():g}" in key[1]
    assert found.tolist() == [[0, 0, 1, -1]] and "**{0, 1} and {2}**" in key[2]
    assert f"{counted['inside']} ones lie inside" in key[3] and f"the noise is **{counted['noise']}**" in key[3]
    tripled = clusters.clip(3 * matrix[None])
    assert key[4].startswith(
        f"**{statistics.count_filters(tripled, clusters.find(tripled)).iloc[0]['noise']}** again"
    )
    assert f"**{afcc.kept_fraction(afcc.head_mask(found)):.0%}**".replace("%", " %") in key[5]
    assert "choose output 2" in read(PAGE) and matrix[3].argmax() == 2


def test_the_answers_about_layers_are_those_of_the_library():
    rng, key = np.random.default_rng(0), answers()
    means, weights = rng.standard_normal((100, 3, 4)), rng.standard_normal((100, 3, 4))
    rank = np.linalg.matrix_rank(fields.field_matrices(means, weights)).max()
    assert key[7].startswith(f"**{rank}**")
    clipped = rng.random((64, 9, 9)) < 0.3
    layers = []
    for filters in (clipped, np.concatenate([clipped] * 8)):
        counted = statistics.count_filters(filters, clusters.find(filters))
        layers.append(statistics.layer_statistics(counted, 9, resamples=1))
    assert np.isclose(layers[0]["snr"], layers[1]["snr"])
    assert f"**{layers[1]['S'] / layers[0]['S']:.0f} times as large**" in key[9]
