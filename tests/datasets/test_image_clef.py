import shutil

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import image_clef
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import CLASSES_12, write_image_clef


@pytest.fixture
def root(tmp_path):
    write_image_clef(tmp_path)
    return tmp_path


def into_class_folders(folder, called):
    """As other copies have it: one folder per class."""
    for domain in "bcip":
        for image in list((folder / domain).iterdir()):
            place = folder / domain / called[int(image.name[:3])]
            place.mkdir(exist_ok=True)
            shutil.move(image, place)


def test_the_layout_of_the_release(root):
    for k in range(5):
        Image.new("RGB", (6, 9), (9, 9, 9)).save(root / f"image_CLEF/b/000_{k:04d}.jpg")
    check_dataset(lambda: image_clef.load.__wrapped__(root))
    data = image_clef.load(root)
    assert data.name == "image_clef" and data.domain_names == ("b", "c", "i", "p")
    assert data.class_names == CLASSES_12
    for part in (data.train, data.test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"{data.domain_names[domain]}/{label:03d}_")
    assert (data.train.pixels[0] == 9).all() and data.train.pixels[0].shape == (9, 6, 3)


def test_a_fifth_of_each_class_of_each_domain_is_held_out(root):
    data = image_clef.load(root)
    table = np.zeros((4, 12), int)
    np.add.at(table, (data.test.domains, data.test.labels), 1)
    assert (table == 1).all() and len(data.train) == 192
    assert data.split == "58347c824d344b82ab0fb915a9370c0203eab1221b2436371503d655d2240f67"


def _content(part):
    files = (name.rpartition("/")[2] for name in part.pixels.names)
    return sorted(zip(part.domains.tolist(), part.labels.tolist(), files, strict=True))


@pytest.mark.parametrize("called", [CLASSES_12, [str(i) for i in range(12)]])
@pytest.mark.parametrize(("top", "lists"), [("image_CLEF", True), ("image_clef", False)])
def test_copies_with_a_folder_per_class_have_the_same_split(root, called, top, lists):
    data = image_clef.load(root)
    into_class_folders(root / "image_CLEF", called)
    if not lists:
        shutil.rmtree(root / "image_CLEF/list")
    (root / "image_CLEF").rename(root / top)
    other = image_clef.load.__wrapped__(root)
    assert other.split == data.split and other.class_names == data.class_names
    for part, same in ((data.train, other.train), (data.test, other.test)):
        assert _content(part) == _content(same)
    assert other.train.pixels[5].shape == (8, 10, 3)


def test_a_listed_file_may_lie_in_the_folder_that_the_list_names(root):
    split = image_clef.load(root).split
    for i in range(12):
        (root / f"image_CLEF/c/{i:03d}.source").mkdir()
        for image in list((root / "image_CLEF/c").glob(f"{i:03d}_*.jpg")):
            shutil.move(image, root / f"image_CLEF/c/{i:03d}.source")
    data = image_clef.load.__wrapped__(root)
    assert data.split == split
    row = data.train.domains.tolist().index(1)
    assert ".source/" in data.train.pixels.names[row] and data.train.pixels[row].shape == (8, 10, 3)


def test_missing_files_are_told(root):
    folder = root / "image_CLEF"
    (folder / "list/iList.txt").unlink()
    refuses(image_clef, root, str(folder / "list/iList.txt"), "missing")
    shutil.rmtree(folder / "p")
    refuses(image_clef, root, str(folder / "p"), "missing")
    shutil.rmtree(folder)
    refuses(image_clef, root, str(folder), "missing")


def test_damaged_lists_are_told(root):
    path = root / "image_CLEF/list/pList.txt"
    path.write_text("p/1.jpg 12\n")
    refuses(image_clef, root, str(path), "12 of p/1.jpg")
    path.write_text("p/1.jpg\n")
    refuses(image_clef, root, str(path), "line 1")
    for domain in "bcip":
        (root / f"image_CLEF/list/{domain}List.txt").write_text(f"{domain}/000_0001.jpg 0\n")
    refuses(image_clef, root, "1 classes instead of 12")


def test_unknown_class_folders_are_told(root):
    into_class_folders(root / "image_CLEF", [*CLASSES_12[:11], "persons"])
    refuses(image_clef, root, str(root / "image_CLEF"), "persons", "people")


def test_where_to_get_it_is_said():
    assert "drive.google.com" in image_clef.RELEASE.by_hand and "image_CLEF" in image_clef.RELEASE.by_hand
