"""What holds for each of the data sets that `releases` writes."""

import hashlib
import importlib
import re
import subprocess
import sys

import numpy as np
import pytest
import torchvision

from cl_bench.images.files import ImageFiles
from cl_bench.runtime.errors import UserError
from cl_bench.testing import check_dataset
from tests.helpers import releases, releases_of_twenty
from tests.helpers.releases import refusal

WRITERS = {**releases.WRITERS, **releases_of_twenty.WRITERS}
MODULES = {name: importlib.import_module(f"cl_bench.datasets.{name}") for name in WRITERS}
every_release = pytest.mark.parametrize("name", WRITERS)

# Classes, training images and test images, as the publications report them.
PUBLISHED = {
    "cifar10": (10, 50_000, 10_000),
    "cifar100": (100, 50_000, 10_000),
    "mnist": (10, 60_000, 10_000),
    "svhn": (10, 73_257, 26_032),
    "eurosat": (10, 21_600, 2_700),
    "gtsrb": (43, 26_640, 12_630),
    "dtd": (47, 3_760, 1_880),
    "cars": (196, 8_144, 8_041),
    "resisc45": (45, 18_900, 6_300),
    "sun397": (397, 19_850, 19_850),
    "fashion_mnist": (10, 60_000, 10_000),
    "kmnist": (10, 60_000, 10_000),
    "rendered_sst2": (2, 6_920, 1_821),
    "aircraft": (100, 6_667, 3_333),
    "flowers102": (102, 1_020, 6_149),
    "oxford_iiit_pet": (37, 3_680, 3_669),
    "food101": (101, 75_750, 25_250),
    "stl10": (10, 5_000, 8_000),
    "fer2013": (7, 28_709, 7_178),
    "emnist": (26, 124_800, 20_800),
}

# Number and SHA-256 of the published prompts, sorted and joined by line breaks.
PROMPTS = {
    "cifar10": (18, "d6ee29646b4229711e73085fd0154880b7a18899093186f59e72f856e1784f7a"),
    "cifar100": (18, "d6ee29646b4229711e73085fd0154880b7a18899093186f59e72f856e1784f7a"),
    "mnist": (1, "c0341e0a1fdfd8fb441a865f926ed68cb9e470397caae1351be2ed752cccaa7e"),
    "svhn": (1, "c0341e0a1fdfd8fb441a865f926ed68cb9e470397caae1351be2ed752cccaa7e"),
    "eurosat": (3, "0953ea3fd8c1f0d51cce8bbfc2a2e0397b142df8f487ec40e62ecafd3b37d8ac"),
    "gtsrb": (3, "1e720b38db04fcded9a76526d818d015e350cad75e2f95a323bb3e81cad774a2"),
    "dtd": (8, "3e9362b02a3f41b9eb341f188f78947e83bb5f4fe2da9a384ad83e35b35aecd9"),
    "cars": (8, "816eaf5186e3ac84be639e26c91a889848f3a2238352e9e4f1d98a64858bdc46"),
    "resisc45": (18, "ddfe50c416a8b67254bd52cbd6265ef3c419223fab01438bc411edaabbcda008"),
    "sun397": (2, "c97a3d1ad58198007966a354d239e288f2f79fa2479aaf7ce6c11f7a6b876efb"),
    "fashion_mnist": (2, "c97a3d1ad58198007966a354d239e288f2f79fa2479aaf7ce6c11f7a6b876efb"),
    "kmnist": (1, "12c1113974e99b0820d5b1ddc05519ffcde27ef5f25746911808730218a85084"),
    "rendered_sst2": (1, "9034019e8a14384cbf990f70d104fd852ac7ddbc1616f6f38973851731cdb9e7"),
    "aircraft": (1, "d7a268604b5f470b71db9a38419f34d005bda712aa6087c9b3bf5a1fe2596ed0"),
    "flowers102": (1, "bfcd4bbb214d501571cbd68b67ec7b6c86645edc476df3fe0f65c9249d3c50c7"),
    "oxford_iiit_pet": (1, "16a0790f0e45e97e33950cca7bb403ace4980897f60a295992f2e7aeb85507a1"),
    "food101": (1, "77a79bac7d9cf25b704d8c51158c1f16659cafee6035c8d63e27172ffaec2340"),
    "stl10": (2, "c97a3d1ad58198007966a354d239e288f2f79fa2479aaf7ce6c11f7a6b876efb"),
    "fer2013": (6, "2c89a8a2b3ee64d8ddeef1813032ecdacf710ce9a39cfdc2b8beca170e27095c"),
    "emnist": (1, "df7d55ac799e2a3b47be34625c57e67f1a535476471d803ab3d05b6dd546d73d"),
}


def load(name, root):
    return MODULES[name].load.__wrapped__(root, *([False] if name.startswith("cifar") else []))


@every_release
def test_sizes_are_the_published_ones(name):
    release = MODULES[name].RELEASE
    assert (release.name, release.classes, release.train, release.test) == (name, *PUBLISHED[name])
    if release.per_class:
        for counts, total in zip(release.per_class, (release.train, release.test), strict=True):
            assert len(counts) == release.classes and sum(counts) == total


@every_release
def test_it_is_known_how_to_get_the_files(name):
    release = MODULES[name].RELEASE
    assert bool(release.archives) != bool(release.by_hand)
    assert release.size > 10_000_000
    for archive in release.archives:
        assert re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", archive.checksum)
        assert archive.urls and all(re.fullmatch(rf"https?://\S+/{archive.file}", url) for url in archive.urls)


@every_release
def test_prompts_are_the_published_ones(name):
    prompts = MODULES[name].PROMPTS
    digest = hashlib.sha256("\n".join(sorted(prompts)).encode()).hexdigest()
    assert (len(set(prompts)), digest) == PROMPTS[name]


@every_release
def test_the_layout_is_read_with_every_class(name, tmp_path):
    WRITERS[name](tmp_path)
    data = load(name, tmp_path)
    release = MODULES[name].RELEASE
    assert data.name == name and data.prompts == MODULES[name].PROMPTS
    assert len(set(data.class_names)) == release.classes
    for split, least in ((data.train, 2), (data.test, 1)):
        assert np.bincount(split.labels, minlength=release.classes).min() == least
        assert split.pixels[len(split) - 1].dtype == np.uint8
    check_dataset(lambda: load(name, tmp_path))


@pytest.mark.parametrize(
    ("name", "reader", "train", "test"),
    [
        ("mnist", "MNIST", [{"train": True}], {"train": False}),
        ("gtsrb", "GTSRB", [{"split": "train"}], {"split": "test"}),
        ("dtd", "DTD", [{"split": "train"}, {"split": "val"}], {"split": "test"}),
        ("cars", "StanfordCars", [{"split": "train"}], {"split": "test"}),
        ("fashion_mnist", "FashionMNIST", [{"train": True}], {"train": False}),
        ("kmnist", "KMNIST", [{"train": True}], {"train": False}),
        ("rendered_sst2", "RenderedSST2", [{"split": "train"}], {"split": "test"}),
        ("aircraft", "FGVCAircraft", [{"split": "trainval"}], {"split": "test"}),
        ("flowers102", "Flowers102", [{"split": "train"}], {"split": "test"}),
        ("oxford_iiit_pet", "OxfordIIITPet", [{"split": "trainval"}], {"split": "test"}),
        ("food101", "Food101", [{"split": "train"}], {"split": "test"}),
        ("stl10", "STL10", [{"split": "train"}], {"split": "test"}),
    ],
)
def test_torchvision_reads_the_same_from_the_same_files(name, reader, train, test, tmp_path, monkeypatch):
    for has_checksums_of_the_real_files in (torchvision.datasets.Flowers102, torchvision.datasets.STL10):
        monkeypatch.setattr(has_checksums_of_the_real_files, "_check_integrity", lambda _: True)
    WRITERS[name](tmp_path)
    data = load(name, tmp_path)
    for images, parts in ((data.train, train), (data.test, [test])):
        theirs = [pair for part in parts for pair in getattr(torchvision.datasets, reader)(str(tmp_path), **part)]
        assert len(images) == len(theirs)
        for row, (image, label) in enumerate(theirs):
            assert images.labels[row] == label
            assert np.array_equal(images.pixels[row], np.asarray(image.convert("RGB")))


@every_release
def test_what_is_not_there_is_told_with_the_remedy(name, tmp_path):
    message = refusal(MODULES[name].load, tmp_path)
    assert MODULES[name].RELEASE.title in message and f"{tmp_path}/" in message and " is missing" in message
    assert f"python -m cl_bench.datasets download {name} --data-dir {tmp_path}" in message
    assert "paths.data_dir=" in message


@every_release
def test_reading_the_layout_opens_no_image_file(name, tmp_path):
    WRITERS[name](tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".jpg", ".ppm", ".png")]
    for path in files:
        path.write_bytes(b"")
    data = load(name, tmp_path)
    assert isinstance(data.train.pixels, ImageFiles) == isinstance(data.test.pixels, ImageFiles) == bool(files)
    if files:
        with pytest.raises(UserError, match=rf"(?s)missing or damaged.*datasets download {name} "):
            data.train.pixels[0]


def test_importing_them_all_is_light():
    imports = "; ".join(f"import cl_bench.datasets.{name}" for name in WRITERS)
    heavy = "{'torch', 'torchvision', 'scipy', 'open_clip', 'sklearn'}"
    code = f"import sys; {imports}; sys.exit(str({heavy} & set(sys.modules) or ''))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == "\n"
