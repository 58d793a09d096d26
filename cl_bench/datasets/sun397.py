"""SUN397 (Xiao, Hays, Ehinger, Oliva and Torralba 2010): 108,754 photographs of 397 kinds of scene.

The release has ten splits with 50 training and 50 test images of each class. The publications use the first one, and so
do we.
"""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.reading import by_folder, read_lines
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

# The authors' host answered 404 to the images in 2025 and 2026; the first mirror's file has the checksum of theirs.
RELEASE = Release(
    name="sun397",
    title="SUN397",
    folder="SUN397",
    classes=397,
    train=19_850,
    test=19_850,
    size=39_095_590_629,
    archives=(
        Archive(
            "SUN397.tar.gz",
            (
                "https://huggingface.co/zhengli97/SUN397_Dataset/resolve/main/SUN397.tar.gz",
                "https://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz",
            ),
            "md5:8ca2778205c41d23104230ba66911c7a",
        ),
        Archive(
            "Partitions.zip",
            (
                "https://3dvision.princeton.edu/projects/2010/SUN/download/Partitions.zip",
                "https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip",
            ),
            "md5:29a205c0a0129d21f36cbecfefe81881",
            into="SUN397",
        ),
    ),
    per_class=([50] * 397, [50] * 397),
)

PROMPTS = ("a photo of a {}.", "a photo of the {}.")


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/SUN397/<letter>/<class>[/<kind>]/sun_….jpg` and `root/SUN397/{ClassName,Training_01,Testing_01}.txt`.

    Class ids are positions in the sorted paths of the classes; "/a/apse/indoor" is called "apse indoor".

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    listing = "SUN397/ClassName.txt"
    classes = sorted({path.lstrip("/") for path in read_lines(RELEASE, root, listing)})
    RELEASE.check_classes(root, Path(root) / listing, classes)
    names = tuple(path.partition("/")[2].replace("/", " ").replace("_", " ") for path in classes)
    train, test = (_read_split(root, classes, f"SUN397/{split}_01.txt") for split in ("Training", "Testing"))
    return ImageDataset("sun397", names, PROMPTS, train, test)


def _read_split(root: Path, classes: list[str], listing: str) -> Images:
    names = [name.lstrip("/") for name in read_lines(RELEASE, root, listing)]
    return by_folder(RELEASE, root, "SUN397", names, classes, listing)
