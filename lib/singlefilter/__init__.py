"""singlefilter: what single filters of a trained network recognise, layer by layer.

Companion to Meir, Tzach, Hodassman, Tevet and Kanter, "Towards a universal mechanism for successful deep
learning", Scientific Reports 14, 5881 (2024).  The modules, in the order in which data flows through them:
`data` and `glyphs` -> `models` -> `training` -> `heads` -> `fields` -> `clusters` -> `statistics` -> `figures`;
`stages` runs them for a profile, `store` keeps what they made.
"""

__version__ = "0.1.0"
