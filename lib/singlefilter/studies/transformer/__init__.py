"""Do other units than filters do the same: nodes and attention heads of a transformer, by block (notebook 09)."""
