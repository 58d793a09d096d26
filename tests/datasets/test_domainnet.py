import shutil

import numpy as np
import pytest
from PIL import Image

from cl_bench.datasets import domainnet
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import CLASSES_345, DOMAINNET, write_domainnet


@pytest.fixture
def root(tmp_path):
    write_domainnet(tmp_path)
    return tmp_path


def test_the_layout_of_the_release(root):
    Image.new("RGB", (12, 14), (0, 200, 0)).save(root / "domainnet/clipart/The_Mona_Lisa/clipart_003_000000.jpg", "PNG")
    check_dataset(lambda: domainnet.load.__wrapped__(root))
    data = domainnet.load(root)
    assert data.name == "domainnet" and data.split == "official" and data.domain_names == DOMAINNET
    assert len(data.class_names) == 345
    assert data.class_names[:4] == ("The Mona Lisa", "syringe", "t-shirt", "teddy-bear")  # capitals come first
    for part, number in ((data.train, 0), (data.test, 1)):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"{DOMAINNET[domain]}/{CLASSES_345[label]}/") and name.endswith(f"{number:06d}.jpg")
        assert np.bincount(part.domains).tolist() == [20, 20, 19, 345, 20, 20]
    assert (data.train.pixels[0] == (0, 200, 0)).all() and data.train.pixels[0].shape == (14, 12, 3)


def test_a_class_keeps_its_id_although_a_split_of_a_domain_lacks_it(root):
    data = domainnet.load(root)
    painting = DOMAINNET.index("painting")
    shirt, syringe = (data.class_names.index(name) for name in ("t-shirt", "syringe"))
    there = [set(part.labels[part.domains == painting].tolist()) for part in (data.train, data.test)]
    assert shirt not in there[0] and shirt in there[1]
    assert syringe in there[0] and syringe not in there[1]
    assert there[0] | there[1] == set(range(20))


def test_sizes_of_the_domains_sum_to_those_of_the_release():
    sizes = np.array(list(domainnet.RELEASE.per_domain.values())).sum(axis=0)
    assert sizes.tolist() == [domainnet.RELEASE.train, domainnet.RELEASE.test]
    assert tuple(domainnet.RELEASE.per_domain) == domainnet.DOMAINS
    assert len({archive.file for archive in domainnet.RELEASE.archives}) == 18


def test_missing_files_are_told(root):
    folder = root / "domainnet"
    path = folder / "sketch_test.txt"
    path.unlink()
    refuses(domainnet, root, str(path), "missing")
    shutil.rmtree(folder / "real")
    refuses(domainnet, root, str(folder / "real"), "missing")
    shutil.rmtree(folder)
    refuses(domainnet, root, str(folder))


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "real/thing_000/1.jpg\n",
        "real/thing_000/1.jpg 0 0\n",
        "sketch/thing_000/1.jpg 0\n",
        "real/1.jpg 0\n",
        "real/a/b/1.jpg 0\n",
    ],
)
def test_damaged_lists_are_told(root, damage):
    path = root / "domainnet/real_train.txt"
    path.write_text(damage)
    refuses(domainnet, root, str(path), "damaged")


def test_lists_cut_short_do_not_renumber_the_classes(root):
    for split in ("train", "test"):
        path = root / f"domainnet/quickdraw_{split}.txt"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    refuses(domainnet, root, "344 classes instead of 345")
