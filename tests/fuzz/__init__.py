"""Draws of settings that a stranger might type, right ones and wrong ones, run through the real command line.

`draws` makes them, each from its number; `outcome` says what a run may end with. `make fuzz` runs 500, CI a few.
"""
