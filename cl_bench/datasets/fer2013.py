"""FER2013 (Goodfellow et al. 2013): 28,709 + 7,178 gray faces, 48 × 48 pixels, 7 expressions.

The test images are those of both of the competition's tests, the public and the private one, as in torchvision.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="fer2013",
    title="FER2013",
    folder="fer2013",
    classes=7,
    train=28_709,
    test=7_178,
    size=96_500_000,
    by_hand=(
        "It is in Kaggle's competition challenges-in-representation-learning-facial-expression-recognition-challenge,\n"
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge.\n"
        "One of these two files is needed, since test.csv has no labels:\n"
        "  fer2013.csv (md5 f8428a1edbd21e88f42c73edd2a14f95), in fer2013.tar.gz\n"
        "  icml_face_data.csv (md5 b114b9e04e6949e5fe8b6a98b3892b1d)"
    ),
)

PROMPTS = (
    "a photo of a {} looking face.",
    "a photo of a face showing the emotion: {}.",
    "a photo of a face looking {}.",
    "a face that looks {}.",
    "they look {}.",
    "look at how {} they are.",
)

CLASS_NAMES = ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")

# The files number the expressions otherwise than the alphabet does.
_NUMBERED = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
_USAGES = {"Training": "train", "PublicTest": "test", "PrivateTest": "test"}
_SIDE = 48


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/fer2013/fer2013.csv`, or `icml_face_data.csv` in its place.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: The file is missing or damaged.
    """
    path = RELEASE.find(root, "fer2013/fer2013.csv", "fer2013/icml_face_data.csv")
    labels, usage, faces = [], [], []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for line in csv.DictReader(file, skipinitialspace=True):
                labels.append(int(line["emotion"]))
                usage.append(_USAGES[line["Usage"]])
                faces.append(_face(line["pixels"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise RELEASE.error(root, f"{path} is damaged ({error})") from error
    classes = np.array([CLASS_NAMES.index(name) for name in _NUMBERED])
    numbers = classes[checked_labels(RELEASE, root, f"fer2013/{path.name}", labels)]
    colors, trained = np.repeat(np.stack(faces)[..., None], 3, axis=-1), np.array(usage) == "train"
    train, test = (Images(colors[rows], numbers[rows]) for rows in (trained, ~trained))
    return ImageDataset("fer2013", CLASS_NAMES, PROMPTS, train, test)


def _face(text: str) -> NDArray[np.uint8]:
    """The gray values of one face, (48, 48), from their text."""
    values = np.array(text.split(), dtype=np.int64).reshape(_SIDE, _SIDE)
    if values.min() < 0 or values.max() > 255:
        raise ValueError(f"a gray value is {values.max()}")
    return values.astype(np.uint8)
