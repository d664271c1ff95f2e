"""A made-up table of the study of geometry, with a rank that is infinite nowhere and a noise of nothing somewhere."""

import numpy as np
import pandas as pd

from singlefilter.studies.geometry.charts import _PANELS
from singlefilter.studies.geometry.tables import ENDS, VIEWS


def tables(layers: int = 5) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(3)
    rows = []
    for view in VIEWS.values():
        for layer in range(1, layers + 1) if view != VIEWS["unpooled"] else [layers]:
            positions = {"pooled": 1, VIEWS["unpooled"]: 4}.get(view, 4 ** (layers - layer))
            row = {"cut": f"layer {layer}", "layer": layer, "view": view, "positions": positions}
            for name in (*_PANELS, "accuracy"):
                value = 0.0 if (name, layer) == ("n", layers) else float(rng.uniform(0.2, 0.9))
                row |= {f"{name}{end}": value * scale for end, scale in zip(ENDS, (1, 0.9, 1.2), strict=True)}
            rows.append(row | {"filters": 8 * layer, "images": 100})
    return {"geometry": pd.DataFrame(rows)}
