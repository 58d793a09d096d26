import shutil

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import office31
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import CLASSES_31, write_office31


@pytest.fixture
def root(tmp_path):
    write_office31(tmp_path)
    return tmp_path


def test_the_layout_of_the_release(root):
    for name in ("frame_0001.jpg", "frame_0002.jpg", "frame_0003.jpg", "frame_0004.jpg", "frame_0005.jpg"):
        Image.new("RGB", (6, 9), (9, 9, 9)).save(root / "office31/amazon/images/back_pack" / name)
    check_dataset(lambda: office31.load.__wrapped__(root))
    data = office31.load(root)
    assert data.name == "office31" and data.domain_names == ("amazon", "dslr", "webcam")
    assert len(data.class_names) == 31 and data.class_names[:3] == ("back pack", "bike", "office thing 00")
    for part in (data.train, data.test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"{data.domain_names[domain]}/images/{CLASSES_31[label]}/frame_")
    assert (data.train.pixels[0] == 9).all() and data.train.pixels[0].shape == (9, 6, 3)


def test_a_fifth_is_held_out_and_a_class_keeps_its_id_although_a_domain_lacks_it(root):
    data = office31.load(root)
    assert (len(data.train), len(data.test)) == (368, 92)
    table = np.zeros((3, 31), int)
    np.add.at(table, (data.test.domains, data.test.labels), 1)
    assert table[1, 1] == 0 and table.sum() == (table == 1).sum() == 92
    assert data.split == "56fe5069aeedc08e7847b137041f3c1828270f8217862a64aa64a7c56096a37a"


def test_copies_without_the_folder_images_have_the_same_split(root):
    data = office31.load(root)
    for domain in data.domain_names:
        for folder in (root / "office31" / domain / "images").iterdir():
            shutil.move(folder, root / "office31" / domain)
        (root / "office31" / domain / "images").rmdir()
    flat = office31.load.__wrapped__(root)
    assert flat.test.pixels.names[0] == data.test.pixels.names[0].replace("/images", "")
    assert flat.split == data.split and (flat.test.labels == data.test.labels).all()


def test_missing_files_are_told(root):
    for domain in ("amazon", "webcam"):
        shutil.rmtree(root / "office31" / domain / "images/bike")
    refuses(office31, root, str(root / "office31"), "30 classes instead of 31")
    (root / "office31/amazon/images/bike").mkdir()
    refuses(office31, root, str(root / "office31/amazon/images/bike"), "no images")
    shutil.rmtree(root / "office31/dslr")
    refuses(office31, root, str(root / "office31/dslr/images"), "missing")
    shutil.rmtree(root / "office31")
    refuses(office31, root, str(root / "office31"), "missing")
