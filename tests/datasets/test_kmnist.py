import numpy as np

from cl_bench.datasets.kmnist import CLASS_NAMES, load
from tests.helpers.releases import refusal, write_idx

SOUNDS = {
    "お": "o",
    "き": "ki",
    "す": "su",
    "つ": "tsu",
    "な": "na",
    "は": "ha",
    "ま": "ma",
    "や": "ya",
    "れ": "re",
    "を": "wo",
}


def test_characters_are_read_as_they_lie_on_disk(tmp_path):
    arrays = write_idx(tmp_path, "KMNIST/raw")
    data = load(tmp_path)
    for split, (gray, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert np.array_equal(split.pixels, np.repeat(gray[..., None], 3, axis=-1)) and (split.labels == labels).all()


def test_names_stand_at_the_labels_of_the_release():
    from torchvision.datasets import KMNIST

    assert [SOUNDS[name] for name in CLASS_NAMES] == KMNIST.classes


def test_a_missing_file_is_told(tmp_path):
    write_idx(tmp_path, "KMNIST/raw")
    path = tmp_path / "KMNIST/raw/train-images-idx3-ubyte"
    path.unlink()
    assert f"KMNIST: {path} or {path}.gz is missing.\n" in refusal(load, tmp_path)
