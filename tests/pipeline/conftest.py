"""What tests of sweeps share: a profile of the smallest networks."""

import pytest

from singlefilter import profiles


@pytest.fixture
def profile(home):
    content = {
        "name": "tiny",
        "purpose": "a sweep of the smallest networks",
        "minutes": 1,
        "data": {"name": "glyphs", "labels": 3, "train_per_label": 10, "test_per_label": 5},
        "network": {"width": 2},
        "training": {"epochs": 1, "batch": 10, "learning_rate": 0.05, "flip": False},
        "heads": {"epochs": 1, "batch": 10, "flip": False, "cuts": [13]},
    }
    return profiles.from_mapping(content, "test")
