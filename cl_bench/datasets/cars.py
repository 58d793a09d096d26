"""Stanford Cars (Krause, Stark, Deng and Fei-Fei 2013): 8,144 + 8,041 photographs of 196 models, the official split."""

from functools import cache
from pathlib import Path

import numpy as np

from cl_bench.datasets.releases.reading import checked_labels, read_mat
from cl_bench.datasets.releases.release import Release
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    name="cars",
    title="Stanford Cars",
    folder="stanford_cars",
    classes=196,
    train=8_144,
    test=8_041,
    size=1_957_136_468,
    by_hand=(
        "The authors' host no longer answers; copies are gathered at https://github.com/pytorch/vision/issues/7545. "
        "What is needed:\n"
        "  cars_train/00001.jpg …, cars_test/00001.jpg …: in the Kaggle data set jessicali9530/stanford-cars-dataset,\n"
        "    each one folder too deep; or from cars_train.tgz (md5 065e5b463ae28d29e77c1b4b166cfe61) and\n"
        "    cars_test.tgz (md5 4ce7ebf6a94d07f1952d94dd34c4d501)\n"
        "  devkit/: from https://github.com/pytorch/vision/files/11644847/car_devkit.tgz\n"
        "    (md5 c3b158d763b6e2245038c8ad08e45376)\n"
        "  cars_test_annos_withlabels.mat (md5 b0a2b23655a3edd16d84508592a98d10)"
    ),
)

PROMPTS = (
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of my {}.",
    "i love my {}!",
    "a photo of my dirty {}.",
    "a photo of my clean {}.",
    "a photo of my new {}.",
    "a photo of my old {}.",
)


@cache
def load(root: Path) -> ImageDataset:
    """Reads `root/stanford_cars/{devkit,cars_train,cars_test,cars_test_annos_withlabels.mat}`, torchvision's layout.

    Class ids and names are the development kit's, "AM General Hummer SUV 2000".

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged.
    """
    meta = "stanford_cars/devkit/cars_meta.mat"
    names = np.atleast_1d(read_mat(RELEASE, root, meta).get("class_names", [])).tolist()
    RELEASE.check_classes(root, Path(root) / meta, names)
    train = _read_split(root, "stanford_cars/devkit/cars_train_annos.mat", "stanford_cars/cars_train")
    test = _read_split(root, "stanford_cars/cars_test_annos_withlabels.mat", "stanford_cars/cars_test")
    return ImageDataset("cars", tuple(names), PROMPTS, train, test)


def _read_split(root: Path, listing: str, images: str) -> Images:
    annotations = read_mat(RELEASE, root, listing).get("annotations")
    if not {"class", "fname"} <= set(getattr(annotations, "dtype", np.dtype(bool)).names or ()):
        raise RELEASE.error(root, f"{Path(root) / listing} is damaged: it lacks annotations with class and fname")
    annotations = np.atleast_1d(np.asarray(annotations))
    labels = checked_labels(RELEASE, root, listing, annotations["class"], first=1)
    return Images(RELEASE.images(root, RELEASE.find(root, images), annotations["fname"].tolist()), labels)
