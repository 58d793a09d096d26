"""Turns the records of runs into tables, figures, comparisons and one page.

`records` reads them, `names` says what methods are called and in which order they stand, `commands/` holds one small
file for each command; what they write is made in `tables/`, `figures/` and `page/`.
"""
