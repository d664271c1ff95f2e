"""A classifier with more outputs than the images have labels: told which outputs those are, or refused."""

import numpy as np
import pytest
import torch
from torch import nn

import singlefilter as sf
from singlefilter.method import statistics
from tests.analysis.test_kinds import LABELS, images, run, small

OUTPUTS = [7, 2, 9, 4]
NAMES = ["ant", "bee", "cat", "dog"]


def wide() -> nn.Sequential:
    """A network that was trained for ten labels."""
    torch.manual_seed(0)
    model = small()
    model[5] = nn.Linear(5, 10)
    return model.eval()


@pytest.mark.parametrize(
    "outputs", [OUTPUTS, dict(zip(NAMES[::-1], OUTPUTS[::-1], strict=True)), torch.tensor(OUTPUTS)]
)
def test_fields_are_those_of_the_chosen_outputs(outputs):
    """Image by image, filter by filter, output by output; the bias is in answers alone."""
    model, (x, y) = wide(), images()
    with torch.no_grad():
        model[5].bias += torch.linspace(-1, 1, 10)
        seen = model[:5](x).double().numpy()
        logits = model(x)[:, OUTPUTS]
    weight = model[5].weight.detach().double().numpy()
    expected = np.zeros((5, LABELS, LABELS))
    for image, truth in enumerate(y.tolist()):
        for f in range(5):
            for place, output in enumerate(OUTPUTS):
                expected[f, truth, place] += seen[image, f] * weight[output, f]
    expected /= np.bincount(y)[None, :, None]

    result = run(model, (x, y), at=["5:input"], heads="own", labels=NAMES, outputs=outputs)
    np.testing.assert_allclose(result["5:input"].matrices, expected, atol=1e-5)
    row = result.layers.iloc[0]
    assert row["accuracy"] == pytest.approx(float((logits.argmax(1) == y).double().mean()))
    assert row["dprime"] == pytest.approx(float(statistics.dprime(logits, y).mean()), abs=1e-4)
    assert result["5:input"].head.weight.shape == (LABELS, 5, 1) and result.notes["outputs"] == "4 of 10"


def test_as_many_outputs_as_labels_in_another_order():
    """As where folders sort labels as the network did not."""
    torch.manual_seed(0)
    model, (x, y) = small(), images()
    order = [2, 0, 3, 1]
    plain = run(model, (x, y), at=["5:input"], heads="own")
    moved = run(model, (x, torch.tensor(np.argsort(order))[y]), at=["5:input"], heads="own", outputs=order)
    np.testing.assert_allclose(moved["5:input"].matrices, plain["5:input"].matrices[:, order][:, :, order], atol=1e-6)
    assert moved.layers["accuracy"].tolist() == plain.layers["accuracy"].tolist()


def test_given_heads_take_them_too():
    torch.manual_seed(0)
    weight = torch.randn(10, 8, 49)
    result = run(small(), at=["1"], heads={"1": weight}, outputs=OUTPUTS)
    assert torch.equal(result["1"].head.weight, weight[OUTPUTS])


REFUSED = {
    "named labels": ({"labels": NAMES}, "10 outputs, there are 4 labels; .* outputs=.*one a label"),
    "no names": ({}, "label '4' .number 4. has no image.* outputs=.*one a label"),
    "too few": ({"labels": NAMES, "outputs": [1, 2, 3]}, "3 given, there are 4 labels"),
    "too few, no names": ({"outputs": [1, 2, 3]}, "3 labels, and a label 3"),
    "too many, no names": ({"outputs": [1, 2, 3, 4, 5]}, "label '4' .* has no image"),
    "twice": ({"outputs": [1, 2, 3, 1]}, "1 is given twice"),
    "not there": ({"outputs": [1, 2, 3, 10]}, "10 given, the head of 5:input has 0 to 9"),
    "below 0": ({"outputs": [1, 2, 3, -1]}, "-1 given, the head of 5:input has 0 to 9"),
    "real": ({"outputs": [1.0, 2, 3, 4]}, "whole numbers, one a label"),
    "a number": ({"outputs": 4}, "whole numbers, one a label"),
    "by names of none": ({"outputs": {"ant": 1}}, "labels have none; give labels"),
    "by names, one missing": ({"labels": NAMES, "outputs": {"ant": 1}}, "none is given for label 'bee'"),
    "by names, one too many": (
        {"labels": NAMES, "outputs": dict(zip([*NAMES, "elk"], range(5), strict=True))},
        "there is no label 'elk'",
    ),
    "of trained heads": ({"heads": "train", "outputs": OUTPUTS}, "leave outputs out"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_choice_of_outputs_is_refused(case):
    options, message = REFUSED[case]
    expected = sf.InputError if "a label 3" in message else sf.HeadError
    with pytest.raises(expected, match=message):
        run(wide(), **{"at": ["5:input"], "heads": "own"} | options)


def test_heads_of_several_cuts_agree_in_outputs():
    heads = {"0": torch.randn(10, 6, 225), "1": torch.randn(9, 8, 49)}
    with pytest.raises(sf.HeadError, match="head of 0 has 10 outputs, that of 1 9"):
        run(wide(), at=["0", "1"], heads=heads)
