"""Oxford-IIIT Pet (Parkhi, Vedaldi, Zisserman and Jawahar 2012): 7,349 photographs of 37 breeds, the official split."""

from functools import cache
from pathlib import Path

from cl_bench.datasets.releases.reading import checked_labels, read_lines
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

_HOST = "https://www.robots.ox.ac.uk/~vgg/data/pets/data/"
_CHECKSUMS = {
    "images.tar.gz": "md5:5c4f3ee8e5d25df40f4fd59a7f44e54c",
    "annotations.tar.gz": "md5:95a8c909bbe2e81eed6a22bccdf3f68f",
}

RELEASE = Release(
    name="oxford_iiit_pet",
    title="Oxford-IIIT Pet",
    folder="oxford-iiit-pet",
    classes=37,
    train=3_680,
    test=3_669,
    size=811_092_049,
    archives=tuple(Archive(file, (_HOST + file,), md5, into="oxford-iiit-pet") for file, md5 in _CHECKSUMS.items()),
)

PROMPTS = ("a photo of a {}, a type of pet.",)

# As the tables of ready checkpoints have them, in the order of the release's labels, 1 to 37.
CLASS_NAMES = (
    "abyssinian", "american_bulldog", "american_pit_bull_terrier", "basset_hound", "beagle", "bengal", "birman",
    "bombay", "boxer", "british_shorthair", "chihuahua", "egyptian_mau", "english_cocker_spaniel",
    "english_setter", "german_shorthaired", "great_pyrenees", "havanese", "japanese_chin", "keeshond",
    "leonberger", "maine_coon", "miniature_pinscher", "newfoundland", "persian", "pomeranian", "pug", "ragdoll",
    "russian_blue", "saint_bernard", "samoyed", "scottish_terrier", "shiba_inu", "siamese", "sphynx",
    "staffordshire_bull_terrier", "wheaten_terrier", "yorkshire_terrier",
)  # fmt: skip


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/oxford-iiit-pet/{annotations/{trainval,test}.txt,images/<breed>_<number>.jpg}`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    train, test = (_read_split(root, f"oxford-iiit-pet/annotations/{part}.txt") for part in ("trainval", "test"))
    return ImageDataset("oxford_iiit_pet", CLASS_NAMES, PROMPTS, train, test)


def _read_split(root: Path, listing: str) -> Images:
    """Reads a list of lines such as `Abyssinian_100 1 1 1`, whose second word is the breed's number."""
    rows = [[*line.split(), ""][:2] for line in read_lines(RELEASE, root, listing) if not line.startswith("#")]
    labels = checked_labels(RELEASE, root, listing, [number for _, number in rows], first=1)
    for (image, _), label in zip(rows, labels, strict=True):
        if image.rpartition("_")[0].lower() != CLASS_NAMES[label]:
            path = Path(root) / listing
            raise RELEASE.error(
                root, f"{path} is damaged: {image!r} is no image of breed {label + 1}, {CLASS_NAMES[label]}"
            )
    folder = RELEASE.find(root, "oxford-iiit-pet/images")
    return Images(RELEASE.images(root, folder, [f"{image}.jpg" for image, _ in rows]), labels)
