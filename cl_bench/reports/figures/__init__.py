"""Figures: one file each, all of them in `all`; `heat_maps` draws the pictures that lie beside each record."""
