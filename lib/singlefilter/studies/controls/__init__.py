"""Whether results hang on the threshold, the order of labels, the split or the training seed: `tables`, `charts`."""
