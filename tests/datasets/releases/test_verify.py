from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from cl_bench.datasets.releases.release import Release
from cl_bench.datasets.releases.verify import show, verify
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images

RELEASE = Release(
    "birds", "Birds", "birds", classes=3, train=6, test=3, size=0,
    per_class=((3, 2, 1), (1, 1, 1)),
    per_domain={"sea": (4, 1), "land": (2, 2)},
)  # fmt: skip
TRAIN, TEST = [0, 0, 0, 1, 1, 2], [0, 1, 2]
NAMES = ("wren", "owl", "gull")


def images(labels, domains):
    pixels = np.zeros((len(labels), 2, 2, 3), dtype=np.uint8)
    return Images(pixels, np.array(labels, dtype=np.int64), np.array(domains, dtype=np.int64))


def dataset(train=TRAIN, test=TEST, names=NAMES, train_domains=(0, 0, 0, 0, 1, 1), domains=("sea", "land")):
    train, test = images(train, train_domains[: len(train)]), images(test, [0, 1, 1][: len(test)])
    return ImageDataset("birds", names, ("a {}.",), train, test, domains)


def shown(release, data, width=100):
    console = Console(width=width, record=True, highlight=False)
    show(release, data, verify(release, data), console)
    return console.export_text()


def test_as_published():
    assert verify(RELEASE, dataset()) == []
    text = shown(RELEASE, dataset())
    assert "birds: matches the published sizes" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["train", "6", "6", "1", "3"] in rows and ["test", "3", "3", "1", "1"] in rows
    assert ["sea", "4", "/", "1", "4", "/", "1"] in rows


def test_a_missing_image():
    data = dataset(train=TRAIN[1:], train_domains=(0, 0, 0, 1, 1))
    assert verify(RELEASE, data) == [
        "train: 5 images instead of 6",
        "domain sea, train: 3 images instead of 4",
        "classes with other numbers of images: wren",
    ]
    text = shown(RELEASE, data)
    assert "matches" not in text and "birds: train: 5 images instead of 6" in text
    assert ["wren", "2", "/", "1", "3", "/", "1"] in [line.split() for line in text.splitlines()]


def test_an_image_in_the_wrong_class_changes_no_total():
    assert verify(RELEASE, dataset(train=[0, 0, 1, 1, 1, 2])) == ["classes with other numbers of images: wren, owl"]


def test_a_class_without_images():
    found = verify(replace(RELEASE, per_class=None), dataset(train=[0, 0, 0, 1, 1, 1]))
    assert found == ["train: classes without images: gull"]


def test_another_number_of_classes():
    found = verify(RELEASE, dataset(names=(*NAMES, "crow")))
    assert found == ["4 classes instead of 3", *(f"{split}: classes without images: crow" for split in TRAIN_TEST)]


TRAIN_TEST = ("train", "test")


def test_another_domain():
    assert verify(RELEASE, dataset(domains=("sea", "air"))) == [
        "domain land, train: 0 images instead of 2",
        "domain land, test: 0 images instead of 2",
        "domain air, train: 2 images instead of 0",
        "domain air, test: 2 images instead of 0",
    ]


def test_what_is_not_published_is_not_compared():
    bare = replace(RELEASE, per_class=None, per_domain={})
    assert verify(bare, dataset(train=[0, 1, 1, 1, 2, 2], train_domains=(1,) * 6)) == []
    assert "sea" in shown(bare, dataset())


def test_long_lists_are_cut():
    many = replace(RELEASE, classes=100, train=100, test=0, per_class=([2] * 100, [0] * 100), per_domain={})
    data = ImageDataset(
        "birds", tuple(f"class {i}" for i in range(100)), ("a {}.",),
        replace(images(range(100), [0] * 100), domains=None), replace(images([], []), domains=None),
    )  # fmt: skip
    last = verify(many, data)[-1]
    assert last.startswith("classes with other numbers") and last.endswith("class 19 and 80 more")
    assert "class 20" not in shown(many, data)


@pytest.mark.parametrize("damage", ["missing", "empty"])
def test_image_files_must_be_there(tmp_path, damage):
    names = [f"{i}.jpg" for i in range(9)]
    for name in names:
        (tmp_path / name).write_bytes(b"any content")
    data = dataset()
    train, test = (
        replace(split, pixels=ImageFiles(tmp_path, part, "remedy"))
        for split, part in ((data.train, names[:6]), (data.test, names[6:]))
    )
    data = replace(data, train=train, test=test)
    assert verify(RELEASE, data) == []
    for i in (3, 4):
        (tmp_path / f"{i}.jpg").unlink() if damage == "missing" else (tmp_path / f"{i}.jpg").write_bytes(b"")
    assert verify(RELEASE, data) == [
        f"train: image files that are missing or empty: 2: {tmp_path / '3.jpg'}, {tmp_path / '4.jpg'}"
    ]
