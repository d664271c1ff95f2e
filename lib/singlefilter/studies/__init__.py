"""One folder for each question, in the order of the notebooks: `tables`, `claims`, `charts`, and what is its own.

`recipes` (which recipe to train with), `layers` (what filters recognise, by layer), `controls` (whether that hangs on
a choice), `chance` (whether it is more than chance), `growth` (with the number of labels and of filters), `pruning`
(AFCC), `transformer` (nodes and attention heads in place of filters), `scoreboard` (the claims of all), `cost`
(speed, and what all of ImageNet would take).  A study may use those before it.  In each, `figures` declares its
figures once, with what they say in words: `declaration`.  `rules` holds what all claims share, `marking` what every
table ends with.
"""
