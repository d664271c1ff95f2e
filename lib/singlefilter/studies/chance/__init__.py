"""Whether clusters are more than chance would give: `tables` against null models, and `charts`."""
