import numpy as np

from cl_bench.datasets.fashion_mnist import CLASS_NAMES, load
from tests.helpers.releases import refusal, write_idx


def test_clothes_are_read_as_they_lie_on_disk(tmp_path):
    arrays = write_idx(tmp_path, "FashionMNIST/raw", compressed=True)
    data = load(tmp_path)
    for split, (gray, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert np.array_equal(split.pixels, np.repeat(gray[..., None], 3, axis=-1)) and (split.labels == labels).all()


def test_names_stand_at_the_labels_of_the_release():
    from torchvision.datasets import FashionMNIST

    assert [name.replace(" - ", "-").replace(" / ", "/") for name in CLASS_NAMES] == FashionMNIST.classes
    assert (CLASS_NAMES[0], CLASS_NAMES[6], CLASS_NAMES[9]) == ("T - shirt / top", "Shirt", "Ankle boot")


def test_a_damaged_file_is_told(tmp_path):
    write_idx(tmp_path, "FashionMNIST/raw")
    path = tmp_path / "FashionMNIST/raw/t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-3])
    message = refusal(load, tmp_path)
    assert f"Fashion-MNIST: {path} is damaged" in message and "download fashion_mnist " in message
