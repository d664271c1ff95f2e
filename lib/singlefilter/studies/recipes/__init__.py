"""Which of several recipes trains best, judged on training images that were held out: `tables` and `charts`."""
