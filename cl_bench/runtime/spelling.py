"""Guesses what a misspelt word meant."""

import difflib
from collections.abc import Iterable

_NEAREST = 3


def nearest_first(word: str, known: Iterable[str]) -> list[str]:
    """All known names, beginning with those that resemble the misspelt word."""
    known = list(known)
    near = difflib.get_close_matches(word, known, _NEAREST)
    return [*near, *(name for name in known if name not in near)]
