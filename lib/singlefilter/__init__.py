"""singlefilter: what single filters of a trained network recognise, layer by layer.

Companion to Meir, Tzach, Hodassman, Tevet and Kanter, "Towards a universal mechanism for successful deep
learning", Scientific Reports 14, 5881 (2024).  The rooms, in the order in which data flow through them; each imports
only what stands before it:

- `profiles` (what is asked for), `store` (what was made), `progress`, `distributed`, `environment`, `drawing` (the
  look of all figures): what everything stands on
- `data`: images, from folders, downloads or drawn glyphs
- `networks`: networks, where they may be cut, and their training
- `method`: heads -> fields -> clusters -> statistics, and null models
- `afcc`: pruning by what filters recognise
- `pipeline`: the stages of a profile, kept in the store, and many of them at once
- `studies`: a folder for each question, with its tables, claims and charts
- `figures`: every figure by name, its files, and packs of them
- `explorer`, `notebooks`, `run`: a widget, the notebooks, the command line
"""

__version__ = "0.1.0"
