"""A table of the figure about a transformer, made up."""

import numpy as np
import pandas as pd

from singlefilter.drawing import ENDS


def tables() -> dict[str, pd.DataFrame]:
    rows = []
    kinds = {"filters": (5, 16, "VGG-16, d = 16"), "nodes": (3, 32, "CCT"), "attention heads": (3, 4, "CCT")}
    for unit, (layers, count, network) in kinds.items():
        for layer in range(1, layers + 1):
            row = {"unit": unit, "cut": f"layer {layer}", "layer": layer, "depth": layer / layers, "filters": count}
            row |= {"positions": 16, "labels": 20, "images": 500, "network": network}
            for name, value in (("accuracy", 0.1 * layer), ("snr", 2.0**layer), ("n", 9 - layer), ("dprime", layer)):
                row |= {f"{name}{end}": value * scale for end, scale in zip(ENDS, (1, 0.9, 1.2), strict=True)}
            rows.append(row)
    table = pd.DataFrame(rows)
    table.loc[table["layer"] == 5, ["snr", "snr_high"]] = np.inf
    return {"by_block": table}
