"""Speed and memory: ours against the naive way and against peers, on this machine, in one run.

python tests/benchmarks/run.py [--only NAME] [--small]
"""
