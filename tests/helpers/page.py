"""What a page of the documents has its reader do: files to write and commands to type, in their order."""

import re
from pathlib import Path
from typing import NamedTuple

_BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)


class File(NamedTuple):
    """A block with a title: the file of this name."""

    name: str
    text: str


class Command(NamedTuple):
    """A line of a `bash` block; one that ends with a backslash goes on in the next."""

    line: str


def steps(page: Path) -> list[File | Command]:
    """All blocks of a page; one that is neither a file nor a command is an error."""
    found: list[File | Command] = []
    for language, title, text in _BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            found.append(File(title, text))
        else:
            assert language == "bash", f"say in a title which file this is: {text}"
            found += [Command(line) for line in re.sub(r"[ \t]*\\\n\s*", " ", text).splitlines()]
    return found
