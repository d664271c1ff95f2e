"""The embedded data set: characters drawn with the fonts that ship inside matplotlib. No download, no files.

A label is a character (`alphabet`). An image is that character in a random font, its outline filled (`outlines`),
scaled, turned, sheared, shifted, coloured, over a shaded background with pieces of other characters and a stroke,
under noise (`images`). Training and test images come from different fonts.

The same bytes on every machine: outlines are read in font units (so neither hinting nor the version of
FreeType matters), and everything after that, from filling the outline to the noise, is integer arithmetic
on the raw output of PCG64. The data set is this project's own: the paper uses CIFAR and ImageNet.
"""

from singlefilter.data.glyphs.alphabet import FEWEST, MOST, characters, describe, fonts
from singlefilter.data.glyphs.images import SIDE, render

# What drawn images are known by in the store: to be changed, to anything, whenever other images are drawn, which the
# pinned checksums in the tests tell.
EDITION = "323be11cbf6a3552a529314a4a804b49e463b5402627f3ad7c426995b009c911"

__all__ = ["EDITION", "FEWEST", "MOST", "SIDE", "characters", "describe", "fonts", "render"]
