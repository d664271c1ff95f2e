"""What single filters recognise, layer by layer.

`counting` counts in the field matrices of a run, `tables` makes the tables of notebooks 01 to 05, `claims` decides C1
to C3, `charts` and `pictures` draw; `procedure` draws the method itself, for the README.
"""
