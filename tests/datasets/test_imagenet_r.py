import shutil

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import imagenet_r
from cl_bench.datasets.releases import split
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import DOMAINS_R, WNIDS, write_imagenet_r, write_images


@pytest.fixture
def root(tmp_path):
    write_imagenet_r(tmp_path)
    return tmp_path


def test_the_layout_of_the_release(root):
    Image.new("RGB", (31, 17), (0, 0, 250)).save(root / "imagenet-r" / WNIDS[0] / "art_0.jpg")
    check_dataset(lambda: imagenet_r.load.__wrapped__(root))
    data = imagenet_r.load(root)
    assert data.name == "imagenet_r" and data.domain_names == DOMAINS_R
    assert data.class_names[:3] == ("Made up 0", "made up 1", "made up 10") and len(data.class_names) == 200
    assert (len(data.train), len(data.test)) == (800, 200)
    for part in (data.train, data.test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            wnid = WNIDS[199 - int(data.class_names[label].split()[-1])]
            assert name.startswith(f"{wnid}/{DOMAINS_R[domain]}_")
    row = (data.train.pixels.names + data.test.pixels.names).index(f"{WNIDS[0]}/art_0.jpg")
    image = data.train.pixels[row] if row < 800 else data.test.pixels[row - 800]
    assert image.shape == (17, 31, 3) and image.mean(axis=(0, 1)) == pytest.approx((0, 0, 250), abs=4)


def test_a_fifth_of_each_class_of_each_domain_is_held_out_and_the_list_is_named(root):
    data = imagenet_r.load(root)
    assert np.bincount(data.test.labels).tolist() == [1] * 200
    assert np.bincount(data.train.domains).tolist() == [56] * 5 + [52] * 10
    assert data.split == split.digest(data.test.pixels.names)
    assert data.split == "99fbcf6a23e1f7cc0f3486c62f3aa6431cfecd39a1b772e8630900062a7ffb82"
    assert not set(data.train.pixels.names) & set(data.test.pixels.names)


def test_the_split_is_of_the_names_alone(root):
    data = imagenet_r.load(root)
    write_images(root / "imagenet-r" / WNIDS[7], ["origami_3.jpg"], b"other content")
    (root / "imagenet-r" / WNIDS[7] / ".hidden.jpg").touch()
    assert imagenet_r.load.__wrapped__(root).split == data.split


def test_missing_files_are_told(root):
    folder = root / "imagenet-r"
    shutil.rmtree(folder / WNIDS[5])
    refuses(imagenet_r, root, str(folder), "199 classes instead of 200")
    (folder / WNIDS[5]).mkdir()
    refuses(imagenet_r, root, str(folder / WNIDS[5]), "no images")
    (folder / "README.txt").unlink()
    refuses(imagenet_r, root, str(folder / "README.txt"), "missing")
    shutil.rmtree(folder)
    refuses(imagenet_r, root, str(folder), "missing")


def test_damaged_files_are_told(root):
    folder = root / "imagenet-r"
    write_images(folder / WNIDS[3], ["photo_1.jpg"])
    refuses(imagenet_r, root, f"{WNIDS[3]}/photo_1.jpg", "domains", "videogame")
    readme = folder / "README.txt"
    readme.write_bytes(readme.read_bytes()[:2000])
    refuses(imagenet_r, root, str(readme), "no name of")
    readme.write_bytes(b"\xff\xfe\x00damaged")
    refuses(imagenet_r, root, str(readme), "damaged")
