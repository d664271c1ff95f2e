"""The committed picture of the procedure is what its code draws."""

from pathlib import Path

from singlefilter.studies.layers import schematic

COMMITTED = Path(__file__).resolve().parents[3] / "figures" / "method"


def test_it_is_drawn_again_to_the_same_bytes(tmp_path):
    paths = schematic.write(tmp_path)
    assert [path.name for path in paths] == ["procedure.png", "procedure.svg"]
    for path in paths:
        assert path.read_bytes() == (COMMITTED / path.name).read_bytes(), path.name
