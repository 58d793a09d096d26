"""Office-31 (Saenko, Kulis, Fritz, Darrell 2010): 4,110 photographs of 31 office objects in three domains.

It has no split of its own; the 80/20 split here is ours, see `split`.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.domain_folders import read
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset

RELEASE = Release(
    name="office31",
    title="Office-31",
    folder="office31",
    classes=31,
    train=3_288,
    test=822,
    size=80_000_000,
    archives=(
        Archive(
            "domain_adaptation_images.tar.gz",
            (
                "https://drive.google.com/uc?id=0B4IapRTv9pJ1WGZVd1VDMmhwdlE&resourcekey=0-gNMHVtZfRAyO_t2_WrOunA",
                "http://www.cs.uml.edu/~saenko/data/domain_adaptation_images.tar.gz",
            ),
            into="office31",
        ),
    ),
    per_domain={"amazon": (2_254, 563), "dslr": (398, 100), "webcam": (636, 159)},
)
PROMPTS = (
    "a photo of a {} in an office environment.",
    "an image of a {} on a desk.",
    "a snapshot of a {} used in an office setting.",
    "a realistic photo of a {} typically found in a workplace.",
    "a detailed shot of a {} in a professional office.",
    "a clear picture of a {} in an office space.",
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/office31/<domain>/images/<class>/…` as the release has it, or the same without `images`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    folder = RELEASE.folder
    domains = {name: RELEASE.find(root, f"{folder}/{name}/images", f"{folder}/{name}") for name in RELEASE.per_domain}
    return read(RELEASE, root, domains, PROMPTS)
