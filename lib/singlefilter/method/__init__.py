"""The method of the paper, in the order in which data flow.

`heads` trains a linear head at every cut, `fields` measures what each filter sends to each label, `clusters` clips
that and finds the labels that go together, `statistics` counts: N_c, C_s, noise, SNR and d'.  `nulls` makes matrices
without the structure that is claimed.
"""
