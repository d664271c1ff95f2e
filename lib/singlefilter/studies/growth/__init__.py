"""How results grow with the number of labels, and noise falls with the number of filters.

`series` says which networks and observes them, `laws` fits how they grow, `tables` makes the tables, `claims` decides
C4, C5, C6, C8 and C9, `charts` and `error_charts` draw.
"""
