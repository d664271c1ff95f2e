"""One folder for each question, in the order of the notebooks: `tables`, `claims` and `charts`, and what is its own.

`recipes` (which recipe to train with), `layers` (what filters recognise, by layer), `controls` (whether that hangs on
a choice), `chance` (whether it is more than chance), `growth` (with the number of labels and of filters), `pruning`
(AFCC), `cost` (speed, and what all of ImageNet would take).  A study may use those before it.  `rules` holds what all
claims share, `marking` what every table ends with, `scoreboard` gathers the claims of all.
"""
