"""German Traffic Sign Recognition Benchmark (Stallkamp, Schlipsing, Salmen and Igel 2011): 43 kinds of traffic signs.

The 26,640 training images are those of the first stage of the competition, as in torchvision; the 12,630 test images
are those of its final.
"""

import csv
from functools import cache, partial
from pathlib import Path

from cl_bench.datasets.releases.listing import list_images
from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.images import ImageDataset, Images

_HOST = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_CHECKSUMS = {
    "GTSRB-Training_fixed.zip": "md5:513f3c79a4c5141765e10e952eaa2478",
    "GTSRB_Final_Test_Images.zip": "md5:c7e4e6327067d32654124b0fe9e82185",
    "GTSRB_Final_Test_GT.zip": "md5:fe31e9c9270bbcd7b84b7f21a9d9d9e5",
}

RELEASE = Release(
    name="gtsrb",
    title="GTSRB",
    folder="gtsrb",
    classes=43,
    train=26_640,
    test=12_630,
    size=276_568_468,
    archives=tuple(Archive(file, (_HOST + file,), checksum, into="gtsrb") for file, checksum in _CHECKSUMS.items()),
)

PROMPTS = (
    'a zoomed in photo of a "{}" traffic sign.',
    'a centered photo of a "{}" traffic sign.',
    'a close up photo of a "{}" traffic sign.',
)

# What CLIP's authors call the classes, with their slips of the pen: published results come from these very words.
CLASS_NAMES = (
    "red and white circle 20 kph speed limit",
    "red and white circle 30 kph speed limit",
    "red and white circle 50 kph speed limit",
    "red and white circle 60 kph speed limit",
    "red and white circle 70 kph speed limit",
    "red and white circle 80 kph speed limit",
    "end / de-restriction of 80 kph speed limit",
    "red and white circle 100 kph speed limit",
    "red and white circle 120 kph speed limit",
    "red and white circle red car and black car no passing",
    "red and white circle red truck and black car no passing",
    "red and white triangle road intersection warning",
    "white and yellow diamond priority road",
    "red and white upside down triangle yield right-of-way",
    "stop",
    "empty red and white circle",
    "red and white circle no truck entry",
    "red circle with white horizonal stripe no entry",
    "red and white triangle with exclamation mark warning",
    "red and white triangle with black left curve approaching warning",
    "red and white triangle with black right curve approaching warning",
    "red and white triangle with black double curve approaching warning",
    "red and white triangle rough / bumpy road warning",
    "red and white triangle car skidding / slipping warning",
    "red and white triangle with merging / narrow lanes warning",
    "red and white triangle with person digging / construction / road work warning",
    "red and white triangle with traffic light approaching warning",
    "red and white triangle with person walking warning",
    "red and white triangle with child and person walking warning",
    "red and white triangle with bicyle warning",
    "red and white triangle with snowflake / ice warning",
    "red and white triangle with deer warning",
    "white circle with gray strike bar no speed limit",
    "blue circle with white right turn arrow mandatory",
    "blue circle with white left turn arrow mandatory",
    "blue circle with white forward arrow mandatory",
    "blue circle with white forward or right turn arrow mandatory",
    "blue circle with white forward or left turn arrow mandatory",
    "blue circle with white keep right arrow mandatory",
    "blue circle with white keep left arrow mandatory",
    "blue circle with white arrows indicating a traffic circle",
    "white circle with gray strike bar indicating no passing for cars has ended",
    "white circle with gray strike bar indicating no passing for trucks has ended",
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/gtsrb/GTSRB/{Training/<class>,Final_Test/Images}` and `GT-final_test.csv`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    return ImageDataset("gtsrb", CLASS_NAMES, PROMPTS, _read_training(root), _read_test(root))


def _read_training(root: Path) -> Images:
    folder = RELEASE.find(root, "gtsrb/GTSRB/Training")
    listing = list_images(folder, partial(RELEASE.error, root))
    if listing.classes != [f"{number:05d}" for number in range(43)]:
        raise RELEASE.error(root, f"{folder} must have the folders 00000 to 00042, and no others")
    return Images(RELEASE.images(root, folder, listing.files), listing.labels)


def _read_test(root: Path) -> Images:
    listing = "gtsrb/GT-final_test.csv"
    path, folder = RELEASE.find(root, listing), RELEASE.find(root, "gtsrb/GTSRB/Final_Test/Images")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [(row["Filename"], row["ClassId"]) for row in csv.DictReader(file, delimiter=";")]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise RELEASE.error(root, f"{path} is damaged ({error})") from error
    labels = checked_labels(RELEASE, root, listing, [label for _, label in rows])
    return Images(RELEASE.images(root, folder, [name for name, _ in rows]), labels)
