import pytest

from cl_bench.datasets.cifar10 import load
from cl_bench.runtime.errors import UserError
from tests.helpers.releases import CIFAR10, write_cifar10


def test_the_five_training_files_are_read_in_their_order(tmp_path):
    arrays = write_cifar10(tmp_path, train=23, test=11)
    data = load(tmp_path, checksum=False)
    for split, (pixels, labels) in ((data.train, arrays["train"]), (data.test, arrays["test"])):
        assert (split.pixels == pixels).all() and (split.labels == labels).all()
    assert data.class_names == CIFAR10 and data.split == "official"


def test_files_that_are_not_the_releases_are_refused(tmp_path):
    write_cifar10(tmp_path)
    damage = r"cifar-10-batches-py are damaged, or not the release's \(another MD5: data_batch_1, data_batch_2"
    with pytest.raises(UserError, match=f"(?s){damage}.*download cifar10 "):
        load(tmp_path)


@pytest.mark.parametrize("file", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_missing_and_truncated_files_are_told_with_the_remedy(tmp_path, file):
    write_cifar10(tmp_path)
    path = tmp_path / "cifar-10-batches-py" / file
    for problem, damage in (
        (f"a file in {path.parent} is damaged", lambda: path.write_bytes(path.read_bytes()[:30])),
        (f"{path} is missing", path.unlink),
    ):
        damage()
        with pytest.raises(UserError) as error:
            load.__wrapped__(tmp_path, checksum=False)
        assert problem in str(error.value)
        assert f"python -m cl_bench.datasets download cifar10 --data-dir {tmp_path}" in str(error.value)
