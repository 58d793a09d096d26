import shutil

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import office_home
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import CLASSES_65, write_office_home

FOLDERS = ("Art", "Clipart", "Product", "Real World")


@pytest.fixture
def root(tmp_path):
    write_office_home(tmp_path)
    return tmp_path


def test_the_layout_of_the_release(root):
    for k in range(1, 6):
        Image.new("RGB", (6, 9), (9, 9, 9)).save(root / f"OfficeHomeDataset_10072016/Art/Alarm_Clock/{k:05d}.jpg")
    check_dataset(lambda: office_home.load.__wrapped__(root))
    data = office_home.load(root)
    assert data.name == "office_home" and data.domain_names == ("art", "clipart", "product", "real_world")
    assert len(data.class_names) == 65 and data.class_names[:3] == ("Alarm Clock", "TV", "Table")
    for part in (data.train, data.test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"{FOLDERS[domain]}/{CLASSES_65[label]}/")
    assert (data.train.pixels[0] == 9).all() and data.train.pixels[0].shape == (9, 6, 3)


def test_a_fifth_of_each_domain_is_held_out(root):
    data = office_home.load(root)
    assert (len(data.train), len(data.test)) == (445, 111)
    assert np.bincount(data.test.domains).tolist() == [27, 28, 28, 28]
    assert data.split == "601634d464c7e4c77892f559a0fdc63ef379cd38d916d65569ab46f6707cab3f"


def test_missing_files_are_told(root):
    folder = root / "OfficeHomeDataset_10072016"
    for domain in FOLDERS:
        shutil.rmtree(folder / domain / "TV")
    refuses(office_home, root, str(folder), "64 classes instead of 65")
    shutil.rmtree(folder / "Real World")
    refuses(office_home, root, str(folder / "Real World"), "missing")
    shutil.rmtree(folder)
    refuses(office_home, root, str(folder), "missing")
