"""The claims of all studies together: `tables` gathers them, of one profile and of all; `charts` and `figures`."""
