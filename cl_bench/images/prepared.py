"""The prepared cache: a data set's images are decoded and shrunk once, then read from one memory-mapped file.

Each data set and size has a folder `NAME-SIZE-CONTENT` with two files: `pixels.bin`, all images one after another, and
`index.safetensors`, their heights and widths. CONTENT is a hash of the files' contents and of the user's own code that
decodes them: if any of them changes, another folder is made. A folder appears when it is complete.
"""

import functools
import hashlib
import itertools
import logging
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cl_bench.images.files import refreshed
from cl_bench.images.images import ImageDataset, Images, Pixels, SingleImages
from cl_bench.images.resizing import resize_short_side
from cl_bench.runtime.cores import available_cores
from cl_bench.runtime.errors import UserError, attempt, complete
from cl_bench.runtime.source_code import outside

log = logging.getLogger(__name__)

_FORMAT = "2"  # 1 named its folders by the files' names, sizes and times, and did not state its format
_ARRAY_SIDE = 64  # images of one size, up to this one, are read as one array
_AT_ONCE = 256


class PreparedImages:
    """A sequence of images in a memory-mapped file.

    Args:
        path: The file, (H, W, 3) uint8 after (H, W, 3) uint8.
        sizes: (N, 2) heights and widths.
        start: Byte at which the first image begins.
        identity: Differs whenever the images do.
    """

    def __init__(self, path: Path, sizes: NDArray[np.int64], start: int, identity: str) -> None:
        self.path, self.sizes, self.identity = path, sizes, identity
        lengths = 3 * sizes.prod(axis=1)
        self._starts = start + np.cumsum(lengths) - lengths

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB."""
        (height, width), start = self.sizes[row], self._starts[row]
        return self._pixels[start : start + 3 * height * width].reshape(height, width, 3)

    @cached_property
    def _pixels(self) -> NDArray[np.uint8]:
        return np.memmap(self.path, np.uint8, mode="c")

    def __getstate__(self) -> dict[str, Any]:
        """The state without the mapping: another process maps the file itself."""
        return {name: value for name, value in vars(self).items() if name != "_pixels"}


def prepare(dataset: ImageDataset, size: int, folder: Path) -> ImageDataset:
    """The data set with its images decoded, and shrunk so that no short side is longer than `size` pixels.

    Images shrink by Resize(size, bicubic), as in the evaluation transform, which therefore sees the same pixels as from
    the files. Images in arrays stay there. If two processes want the same, one works and the other waits.

    Args:
        dataset: The data set.
        size: Side of the square that the backbone reads, in pixels.
        folder: Where all prepared data sets are.

    Raises:
        UserError: An image is missing or damaged, a file changes in the meantime, or the disk is full. Nothing
            half-written stays.
    """
    if Path(dataset.name).name != dataset.name or dataset.name in ("", ".."):
        raise UserError(
            f"{dataset.name!r} cannot be a folder's name; call the data set otherwise: dataset.name=… where its loader "
            "takes a name, or in the ImageDataset(name=…) that a function of your own returns."
        )
    dataset = refreshed(dataset, folder)
    if not _singles(dataset):
        return dataset
    content = _content(dataset, size)
    path = Path(folder) / f"{dataset.name}-{size}-{content[:16]}"
    if not _is_whole(path):
        with _alone(path):
            if not _is_whole(path):
                _warn_of_earlier_formats(dataset.name, Path(folder))
                _write(path, dataset, size, content)
    return _open(path, dataset)


def sizes(name: str, folder: Path) -> list[int]:
    """The sizes in pixels for which a data set was prepared, whatever its files contained."""
    found = (
        path.name.removeprefix(f"{name}-").split("-") for path in Path(folder).glob(f"{name}-*-*") if _is_whole(path)
    )
    return sorted({int(parts[0]) for parts in found if len(parts) == 2 and parts[0].isdigit()})


def is_useless(path: Path) -> bool:
    """Whether a folder that was prepared is never read again: it is damaged, or of an earlier format."""
    return not _is_whole(path)


def _singles(dataset: ImageDataset) -> list[SingleImages]:
    return [images.pixels for images in (dataset.train, dataset.test) if _is_unprepared(images.pixels)]


def _content(dataset: ImageDataset, size: int) -> str:
    """SHA-256 (hex) of all that the prepared images depend on."""
    singles = _singles(dataset)
    images = [pixels.identity for pixels in singles]
    decoding = [f"{name} {sha256}" for name, sha256 in outside(*map(type, singles)).items()]  # not of this project's
    return hashlib.sha256("\n".join([_FORMAT, str(size), *images, *decoding]).encode()).hexdigest()


def _is_unprepared(pixels: Pixels) -> TypeGuard[SingleImages]:
    return not isinstance(pixels, np.ndarray | PreparedImages)


def _index(path: Path) -> tuple[NDArray[np.int64], str]:
    """Heights and widths of all images, and the SHA-256 of all images."""
    from safetensors import safe_open

    with safe_open(path / "index.safetensors", "numpy") as file:
        return file.get_tensor("sizes"), file.metadata()["sha256"]


def _is_whole(path: Path, format: str | None = _FORMAT) -> bool:
    from safetensors import SafetensorError, safe_open

    try:
        (path / "index.safetensors").open("rb").close()  # safetensors reports a file without permission as missing
        with safe_open(path / "index.safetensors", "numpy") as file:
            if file.metadata().get("format") != format:
                return False
            shapes = file.get_tensor("sizes")
        return (path / "pixels.bin").stat().st_size == 3 * int(shapes.prod(axis=1).sum())
    except PermissionError:
        raise
    except (OSError, SafetensorError, AttributeError, TypeError):
        return False


def _warn_of_earlier_formats(name: str, folder: Path) -> None:
    """Lists folders that have become useless, before a data set is prepared in this format for the first time."""
    earlier = [path for path in sorted(folder.glob(f"{name}-*-*")) if _is_whole(path, format=None)]
    if earlier and not sizes(name, folder):
        log.info(
            "%s: prepared images of an earlier version of cl_bench are not used again, since they were found by the "
            "files' names, sizes and times; they may be deleted: %s",
            *(name, " ".join(map(str, earlier))),
        )


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process at a time write `path`; the others wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process prepares %s: waiting for it", path.name)
            lock.acquire()
    except OSError as error:
        raise UserError(f"{path.parent} is not writable; name a folder of yours: paths.prepared_dir=…") from error
    try:
        yield
    finally:
        lock.release()


def _write(path: Path, dataset: ImageDataset, size: int, content: str) -> None:
    from safetensors.numpy import save_file

    from cl_bench.store import atomic

    begin, shapes, digest = time.perf_counter(), [], hashlib.sha256()
    if path.exists():
        log.warning("%s is damaged: made anew", path)
        shutil.rmtree(path)
    with atomic.new_folder(path) as temporary:
        with (temporary / "pixels.bin").open("wb") as out:
            for image in _shrunk(_singles(dataset), dataset.name, size):
                shapes.append(image.shape[:2])
                digest.update(f"{image.shape}".encode())
                digest.update(np.ascontiguousarray(image).data)
                out.write(np.ascontiguousarray(image).data)
        table = np.array(shapes, dtype=np.int64).reshape(-1, 2)
        metadata = {"format": _FORMAT, "sha256": digest.hexdigest()}
        save_file({"sizes": table}, temporary / "index.safetensors", metadata=metadata)
        if _content(refreshed(dataset, path.parent), size) != content:
            raise UserError(f"{dataset.name}: image files have changed while they were prepared. Start again.")
    gigabytes = 3 * table.prod(axis=1).sum() / 1e9
    seconds = time.perf_counter() - begin
    log.info("%s: %d images prepared in %.1f s, %.2f GB in %s", dataset.name, len(table), seconds, gigabytes, path)


def _shrunk(splits: list[SingleImages], name: str, size: int) -> Iterator[NDArray[np.uint8]]:
    """All images in order, decoded by one thread per core; if one is damaged, the others are still checked.

    Raises:
        UserError: Files are missing or damaged; names up to ten of them.
    """
    from rich.progress import track

    def one(place: tuple[SingleImages, int]) -> NDArray[np.uint8]:
        split, row = place
        image = split[row]
        return resize_short_side(image, size) if min(image.shape[:2]) > size else image

    places = [(split, row) for split in splits for row in range(len(split))]
    rows = iter(track(places, f"preparing {name}", disable=not sys.stdout.isatty(), transient=True))
    with ThreadPoolExecutor(available_cores()) as pool:
        errors: list[UserError] = []
        while some := list(itertools.islice(rows, _AT_ONCE)):
            found = list(pool.map(functools.partial(attempt, one), some))
            errors += [image for image in found if isinstance(image, UserError)]
            if not errors:
                yield from complete(found)
    complete(errors)


def _open(path: Path, dataset: ImageDataset) -> ImageDataset:
    shapes, digest = _index(path)
    opened: dict[str, Images] = {}
    first = 0
    for split, images in (("train", dataset.train), ("test", dataset.test)):
        if _is_unprepared(images.pixels):
            start, sizes = 3 * int(shapes[:first].prod(axis=1).sum()), shapes[first : first + len(images)]
            first += len(images)
            pixels = PreparedImages(path / "pixels.bin", sizes, start, f"{digest} {split} {len(sizes)}")
            images = replace(images, pixels=_as_array(pixels, start), origin=images.pixels.identity)
        opened[split] = images
    return replace(dataset, train=opened["train"], test=opened["test"])


def _as_array(pixels: PreparedImages, start: int) -> PreparedImages | NDArray[np.uint8]:
    """Small images of one size as one array, from which batches are taken in one step; other images unchanged."""
    shapes = np.unique(pixels.sizes, axis=0)
    if len(shapes) != 1 or shapes.max() > _ARRAY_SIDE:
        return pixels
    return np.memmap(pixels.path, np.uint8, mode="c", offset=start, shape=(len(pixels), *shapes[0].tolist(), 3))
