"""From a profile to what is measured, each step kept in the store.

`stages` does data, training, heads and measuring for one run; `tasks` are further pieces of work on top of it;
`sweeps` does many of both at once, in `pools` of processes or on a cluster.
"""
