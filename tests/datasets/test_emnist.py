import numpy as np
import pytest
from torchvision.datasets import EMNIST

from cl_bench.datasets.emnist import load
from tests.helpers.releases import refusal
from tests.helpers.releases_of_twenty import write_emnist


@pytest.mark.parametrize("kind", ["letters", "digits"])
def test_characters_stand_upright_and_are_torchvisions_mirrored(tmp_path, kind):
    arrays = write_emnist(tmp_path, kind)
    data = load(tmp_path, kind)
    for images, split in ((data.train, "train"), (data.test, "test")):
        gray, labels = arrays[split]
        assert np.array_equal(images.pixels, np.repeat(gray[..., None], 3, axis=-1)) and (images.labels == labels).all()
        theirs = EMNIST(tmp_path, kind, train=split == "train")
        for pixels, label, (image, number) in zip(images.pixels, images.labels, theirs, strict=True):
            assert np.array_equal(pixels[..., 0], np.asarray(image).T)
            assert data.class_names[label] == theirs.classes[number].upper()


def test_letters_and_digits_differ_in_name_and_words(tmp_path):
    for kind in ("letters", "digits"):
        write_emnist(tmp_path, kind)
    letters, digits = load(tmp_path), load(tmp_path, "digits")
    assert (letters.name, digits.name) == ("emnist", "emnist_digits")
    assert letters.class_names == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ") and digits.class_names == tuple("0123456789")
    assert digits.prompts == ('a photo of the number: "{}".',)


def test_the_folder_of_the_archive_is_read(tmp_path):
    write_emnist(tmp_path, folder="EMNIST/raw/gzip")
    assert len(load(tmp_path).train) == 52


def test_digits_in_the_place_of_letters_are_told(tmp_path):
    write_emnist(tmp_path, "digits")
    for path in (tmp_path / "EMNIST/raw").iterdir():
        path.rename(path.with_name(path.name.replace("digits", "letters")))
    assert "it has the label 0, which is no class" in refusal(load, tmp_path)


def test_the_kind_is_typed(configure, tmp_path):
    from cl_bench.experiment.scenario import make_scenario
    from cl_bench.runtime.errors import UserError

    write_emnist(tmp_path, "digits")
    digits = ("scenario=class_incremental", "dataset=emnist", f"paths.data_dir={tmp_path}")
    assert make_scenario(configure(*digits, "dataset.kind=digits")).datasets[0].name == "emnist_digits"
    with pytest.raises(UserError, match=r"dataset\.kind='byclass' does not fit"):
        make_scenario(configure(*digits, "dataset.kind=byclass"))
