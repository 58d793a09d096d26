"""Reads the names of ImageNet's classes, which releases made after it list in their README.txt."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cl_bench.datasets.releases.list_files import lines


def class_names(readme: Path, wnids: Sequence[str], error: Callable[[str], Exception]) -> list[str]:
    """The name of each class, as a line `n01443537 goldfish` below the text of a README says it.

    Args:
        readme: The file.
        wnids: WordNet ids of the classes.
        error: Makes the exception from a problem.

    Raises:
        Exception: From `error`: the file cannot be read, or lacks the name of a class.
    """
    found = (re.fullmatch(r"(n\d{8})\s+(\S.*?)\s*", line) for line in lines(readme, error))
    names = {match[1]: match[2] for match in found if match}
    if unnamed := sorted(set(wnids) - set(names)):
        raise error(f"{readme} is damaged: it has no name of {unnamed[0]}")
    return [names[wnid] for wnid in wnids]
