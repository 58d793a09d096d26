"""Our own splits, for data sets whose publications split them at random and did not keep the list.

The images held out depend only on their names and a seed: files are ranked by a hash of their name, and each stratum (a
class, or a class of a domain) gives its lowest ranks. Everybody who has the release's files gets the same list, in
whatever order the files are read; `digest` identifies it.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cl_bench.images.files import ImageFiles
from cl_bench.images.images import Images

SEED = 0
SHARE = 0.2


def split_off(
    files: ImageFiles,
    names: Sequence[str],
    labels: NDArray[np.int64],
    domains: NDArray[np.int64] | None = None,
    share: float = SHARE,
) -> tuple[Images, Images, str]:
    """Holds out `share` of the images for testing, in proportion from each class of each domain.

    Args:
        files: N images.
        names: N names of the files that do not depend on how the release was packed; they decide the ranks.
        labels: (N,) classes.
        domains: (N,) domains, if there are several.
        share: The share of the test images.

    Returns:
        Training images, test images, and the digest of the test images' names.
    """
    strata = labels if domains is None else domains * (labels.max() + 1) + labels
    held = held_out(names, strata, proportional(strata, round(share * len(strata))))
    return parts(files, names, held, labels, domains)


def parts(
    files: ImageFiles,
    names: Sequence[str],
    held: NDArray[np.bool_],
    labels: NDArray[np.int64],
    domains: NDArray[np.int64] | None = None,
) -> tuple[Images, Images, str]:
    """Training images, test images (where `held` is true), and the digest of the test images' names."""
    train, test = (
        Images(files.select(rows), labels[rows], None if domains is None else domains[rows]) for rows in (~held, held)
    )
    return train, test, digest([name for name, tested in zip(names, held, strict=True) if tested])


def proportional(strata: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Distributes `total` in proportion to the sizes of the strata.

    The running sum of the quotas is that of the exact shares, rounded down. So each stratum gets its share to within
    one image, and so do neighboring strata together, such as all classes of a domain if strata are numbered domain by
    domain. (Rounding each stratum alone would leave domains of many small classes without test images.)

    Args:
        strata: (N,) the stratum of each image, at least one.
        total: Number of images to hold out, at most N.

    Returns:
        (max stratum + 1,) number of images to hold out of each stratum.
    """
    running = np.cumsum(np.bincount(strata))
    return np.diff(running * total // len(strata), prepend=0)


def held_out(
    names: Sequence[str], strata: NDArray[np.int64], quotas: Sequence[int] | NDArray[np.int64], seed: int = SEED
) -> NDArray[np.bool_]:
    """Which images are held out: from stratum s, those with the `quotas[s]` lowest ranks.

    Args:
        names: N file names, with '/' between folders.
        strata: (N,) the stratum of each image.
        quotas: Number of images to hold out of each stratum.
        seed: Another seed gives another split.

    Returns:
        (N,) bool.
    """
    hashes = (hashlib.sha256(_bytes(f"{seed}:{name}")).digest()[:8] for name in names)
    ranks = np.array([int.from_bytes(value, "big") for value in hashes], dtype=np.uint64)
    held = np.zeros(len(names), dtype=bool)
    for stratum, quota in enumerate(quotas):
        members = np.flatnonzero(strata == stratum)
        held[members[np.argsort(ranks[members], kind="stable")[:quota]]] = True
    return held


def digest(names: Sequence[str]) -> str:
    """SHA-256 (hex) that identifies a list of file names: they are sorted and joined by line breaks."""
    return hashlib.sha256(_bytes("\n".join(sorted(names)))).hexdigest()


def _bytes(text: str) -> bytes:
    """The text as UTF-8; file names that are not UTF-8 on disk become the bytes that they are there."""
    return text.encode(errors="surrogateescape")
