"""Pictures of letters, signs and textures, drawn on the fly: what the miniature is made of.

From concept to image, one file per step: `concepts` (what there is, and how it is called), `captions` (how
one speaks of it), `fonts` and `masks` (black and white shapes), `patterns` (textures), `drawing` (distortion,
ink and noise, in batches). Everything is drawn from generators that the caller seeds.
"""
