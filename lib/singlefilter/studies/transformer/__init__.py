"""Do other units than filters do the same: nodes and attention heads of a transformer, block by block (notebook 09)."""
