import hashlib
import shutil

import numpy as np
import pytest

from cl_bench.datasets.gtsrb import CLASS_NAMES, load
from tests.helpers.releases import has_color_of, refusal, write_gtsrb


def test_images_and_classes_are_read_as_they_lie_on_disk(tmp_path):
    write_gtsrb(tmp_path)
    data = load(tmp_path)
    assert (data.train.labels == np.arange(43).repeat(2)).all()
    assert (data.test.labels == 16 * np.arange(43) % 43).all()
    assert data.train.pixels.names[2:4] == ("00001/00000_00003.ppm", "00001/00007_00003.ppm")
    assert has_color_of(data.train.pixels[3], "00007_00003.ppm") and has_color_of(data.test.pixels[5], "00005.ppm")
    assert data.train.pixels[0].shape == (5, 7, 3) and data.split == "official"


def test_class_names_are_the_published_ones():
    digest = hashlib.sha256("\n".join(CLASS_NAMES).encode()).hexdigest()
    assert digest == "953036bc5aedbe6ba1f4f38a3d09da17e8e062ca3e4bfed6a8074e9f03f884c6"


@pytest.mark.parametrize("part", ["GTSRB/Training", "GTSRB/Final_Test/Images", "GT-final_test.csv"])
def test_what_is_missing_is_told_with_the_remedy(tmp_path, part):
    write_gtsrb(tmp_path)
    path = tmp_path / "gtsrb" / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    message = refusal(load, tmp_path)
    assert f"GTSRB: {path} is missing.\nGet it with: python -m cl_bench.datasets download gtsrb " in message


def test_a_class_without_its_folder_is_told(tmp_path):
    write_gtsrb(tmp_path)
    shutil.rmtree(tmp_path / "gtsrb/GTSRB/Training/00007")
    assert "Training must have the folders 00000 to 00042, and no others" in refusal(load, tmp_path)


def test_a_damaged_list_is_told(tmp_path):
    write_gtsrb(tmp_path)
    path = tmp_path / "gtsrb/GT-final_test.csv"
    for content in (
        b"",
        b"Filename;ClassId\n",
        b"Filename;Width\n00000.ppm;7\n",
        b"Filename;ClassId\n00000.ppm;43\n",
        b"Filename;ClassId\n00000.ppm;-1\n",
        b"Filename;ClassId\n00000.ppm;\n",
        b"Filename;ClassId\n00000.ppm;3\n0000",
        b"Filename;ClassId\n00000.ppm;three\n",
        b"Filename;ClassId\n\xff\xfe;3\n",
    ):
        path.write_bytes(content)
        assert f"GTSRB: {path} is damaged" in refusal(load, tmp_path)
