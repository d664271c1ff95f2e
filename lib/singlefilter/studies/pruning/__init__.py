"""The study of pruning: what AFCC costs in accuracy, what else costs as much, and what is gained in speed.

`filters` says what filters recognise, `designs` how smaller networks are made of that.  `head_study`,
`convolution_study` and `network_study` are what is retrained, as stages in the store (`tails` retrains last layers
together); `truncations` and `latency` what is counted and measured.  `study` observes all of it and decides, by the
rules in `claims`; `tables` makes the tables of figures, `charts` and `pareto_charts` draw.
The methods themselves are in `singlefilter.afcc`.  Source: section 8.
"""
