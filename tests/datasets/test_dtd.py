import shutil

import numpy as np
import pytest

from cl_bench.datasets.dtd import load
from tests.helpers.releases import TEXTURES, has_color_of, refusal, write_dtd


def test_the_first_split_is_read_with_training_and_validation_joined(tmp_path):
    write_dtd(tmp_path)
    data = load(tmp_path)
    assert data.class_names == TEXTURES and data.split == "official"
    assert (data.train.labels == np.tile(np.arange(47), 2)).all() and (data.test.labels == np.arange(47)).all()
    assert data.train.pixels.names[0] == "banded/banded_0002.jpg"
    assert data.train.pixels.names[47] == "banded/banded_0004.jpg"
    assert data.test.pixels.names[30] == "polka-dotted/polka-dotted_0005.jpg"
    assert has_color_of(data.train.pixels[47], "banded_0004.jpg")
    assert has_color_of(data.test.pixels[30], "polka-dotted_0005.jpg")


def test_a_class_keeps_its_number_although_a_split_lacks_it(tmp_path):
    write_dtd(tmp_path)
    for part in ("train1", "val1"):
        path = tmp_path / f"dtd/dtd/labels/{part}.txt"
        path.write_text("\n".join(line for line in path.read_text().split() if "banded" not in line))
    data = load(tmp_path)
    assert data.class_names == TEXTURES
    assert data.train.labels[0] == 1 and data.train.pixels.names[0] == "blotchy/blotchy_0002.jpg"


@pytest.mark.parametrize("part", ["images", "labels/train1.txt", "labels/val1.txt", "labels/test1.txt"])
def test_what_is_missing_is_told_with_the_remedy(tmp_path, part):
    write_dtd(tmp_path)
    path = tmp_path / "dtd/dtd" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    message = refusal(load, tmp_path)
    assert f"DTD: {path} is missing.\nGet it with: python -m cl_bench.datasets download dtd " in message


def test_a_class_without_its_folder_is_told(tmp_path):
    write_dtd(tmp_path)
    shutil.rmtree(tmp_path / "dtd/dtd/images/banded")
    assert "images has 46 classes instead of 47" in refusal(load, tmp_path)


def test_a_damaged_list_is_told(tmp_path):
    write_dtd(tmp_path)
    for content in (b"", b"\n\n", b"banded/banded_0002.jp", b"banned/banned_0002.jpg", b"\xff\x00"):
        (tmp_path / "dtd/dtd/labels/val1.txt").write_bytes(content)
        message = refusal(load, tmp_path)
        assert f"DTD: {tmp_path}/dtd/dtd/labels" in message and ("is damaged" in message or "is empty" in message)
