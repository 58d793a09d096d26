import shutil

import numpy as np
import pytest
from torchvision.datasets import ImageFolder

from cl_bench.datasets import imagenet_a
from cl_bench.datasets.releases import split
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import WNIDS, write_imagenet_a


@pytest.fixture
def root(tmp_path):
    write_imagenet_a(tmp_path)
    return tmp_path


def test_classes_are_numbered_by_their_wordnet_ids_and_named_by_the_readme(root):
    check_dataset(lambda: imagenet_a.load.__wrapped__(root))
    data = imagenet_a.load(root)
    assert data.name == "imagenet_a" and len(data.prompts) == 80 and data.domain_names == ()
    assert data.class_names == tuple(f"made-up thing {199 - i}" for i in range(200))
    files = ImageFolder(root / "imagenet-a")
    theirs = {path.removeprefix(f"{files.root}/"): label for path, label in files.samples}
    ours = [(data.train, 800), (data.test, 200)]
    assert all(len(part) == count for part, count in ours)
    for part, _ in ours:
        assert all(theirs.pop(name) == label for name, label in zip(part.pixels.names, part.labels, strict=True))
    assert not theirs


def test_a_fifth_of_each_class_is_held_out_and_the_list_is_named(root):
    data = imagenet_a.load(root)
    assert np.bincount(data.test.labels).tolist() == [1] * 200
    assert data.split == split.digest(data.test.pixels.names)
    assert data.split == "19d1734200204db55e782089b473983d70f198c95dd4d530cf0a999f7a3aa5aa"


def test_missing_and_damaged_files_are_told(root):
    folder = root / "imagenet-a"
    readme = folder / "README.txt"
    text = readme.read_text()
    readme.write_text(text.replace(WNIDS[7], "n00000000"))
    refuses(imagenet_a, root, str(readme), f"no name of {WNIDS[7]}")
    readme.unlink()
    refuses(imagenet_a, root, str(readme), "missing")
    readme.write_text(text)
    shutil.rmtree(folder / WNIDS[5])
    refuses(imagenet_a, root, str(folder), "199 classes instead of 200")
    shutil.rmtree(folder)
    refuses(imagenet_a, root, str(folder), "missing")
