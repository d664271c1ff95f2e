"""The study of pruning: what AFCC costs in accuracy, what else costs as much, and what is gained in speed.

`study` has the tables and claims.  `head_study`, `convolution_study` and `network_study` are what is retrained, as
stages in the store; `truncations` and `latency` what is counted and measured; `designs` says how smaller networks are
made, `filters` what their filters recognise, `tails` retrains last layers together, `claims` holds the rules.
The methods themselves are in `singlefilter.afcc`.  Source: section 8.
"""
