"""What the method costs: `speed` draws the benchmarks of a machine, `imagenet_plan` counts what all of ImageNet
would take, and `plan_charts` draws that.
"""
