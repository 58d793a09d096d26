"""Text files that list the images or classes of a release."""

from collections.abc import Callable
from pathlib import Path


def two_columns(path: Path, error: Callable[[str], Exception]) -> list[tuple[str, str]]:
    """The lines `a b` of a file, without blank lines.

    Args:
        path: The file.
        error: Makes the exception from a problem.

    Raises:
        Exception: From `error`: the file is empty or not text, or a line does not have two words.
    """
    rows = [line.split() for line in lines(path, error)]
    for number, words in enumerate(rows, start=1):
        if len(words) not in (0, 2):
            raise error(f"{path} is damaged: line {number} has not two words")
    if not any(rows):
        raise error(f"{path} is damaged: it is empty")
    return [(words[0], words[1]) for words in rows if words]


def lines(path: Path, error: Callable[[str], Exception]) -> list[str]:
    """The lines of a text file.

    Raises:
        Exception: From `error`: the file cannot be read or is not text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise error(f"{path} is damaged: {problem}") from problem
