"""The method of the paper, in the order in which data flow.

`features` are what a frozen trunk gives epoch by epoch, `heads` trains a linear head on them at every cut, `fields`
measures what each filter sends to each label, `clusters` clips that and finds the labels that go together,
`statistics` counts: N_c, C_s, noise, SNR and d'.  `nulls` makes matrices without the structure that is claimed.
"""
