"""Links a part of an image folder: at most so many images of each of its folders, spread over their sorted names.

`make photos ROOT=…` runs it as `python -m benchmarks.photo_subset ROOT OUT MOST`.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from cl_bench.datasets.releases.listing import images
from cl_bench.runtime.errors import UserError


def link(root: Path, out: Path, most: int) -> int:
    """Makes `out` anew, with the folders of `root` and links to some of their images.

    Args:
        root: An image folder of any layout.
        out: Where the links go; it is replaced as a whole.
        most: So many images of each folder, if it has more.

    Returns:
        How many images there are in `out`.

    Raises:
        UserError: There are no images below `root`, or `most` is not positive.
    """
    if most < 1:
        raise UserError(f"IMAGES={most} is no number of images.")
    found = {folder: images(folder) for folder in _folders(root)}
    if not any(found.values()):
        raise UserError(f"{root} is no folder with images below it; name one: make photos ROOT=path/to/images")
    begun = out.with_name(f".{out.name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    for folder, names in found.items():
        _link(folder, begun / folder.relative_to(root), _spread(names, most))
    shutil.rmtree(out, ignore_errors=True)
    begun.rename(out)
    return sum(min(len(names), most) for names in found.values())


def _folders(root: Path) -> Iterator[Path]:
    """Yields all folders below `root`, and those that links there lead to, but for circles."""
    for name, inside, _ in os.walk(root, followlinks=True):
        folder = Path(name)
        inside[:] = [child for child in inside if not folder.resolve().is_relative_to((folder / child).resolve())]
        yield folder


def _spread(names: list[str], most: int) -> list[str]:
    count = min(len(names), most)
    return [names[i * len(names) // count] for i in range(count)]


def _link(folder: Path, into: Path, names: list[str]) -> None:
    if names:
        into.mkdir(parents=True)
    for name in names:
        (into / name).symlink_to((folder / name).resolve())


if __name__ == "__main__":
    try:
        print(f"{link(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))} images in {sys.argv[2]}")
    except UserError as error:
        sys.exit(f"Error: {error}")
