import pytest
from PIL import Image

from cl_bench.datasets import cub200
from cl_bench.testing import check_dataset
from tests.helpers.refusals import refuses
from tests.helpers.releases_by_folder import write_cub200


@pytest.fixture
def root(tmp_path):
    write_cub200(tmp_path)
    return tmp_path


def test_the_layout_of_the_release(root):
    folder = root / "CUB_200_2011/images/002.Made_up_Bird2"
    Image.new("L", (20, 10), 77).save(folder / "Made_up_Bird2_0003_1.jpg")
    check_dataset(lambda: cub200.load.__wrapped__(root))
    data = cub200.load(root)
    assert data.name == "cub200" and data.split == "official" and data.domain_names == ()
    assert data.class_names[0] == "Made up Bird1" and data.class_names[199] == "Made up Bird200"
    assert (len(data.train), len(data.test)) == (400, 200)
    for part, kinds in ((data.train, "31"), (data.test, "9")):
        for name, label in zip(part.pixels.names, part.labels, strict=True):
            assert name.startswith(f"{label + 1:03d}.") and name.split("_")[-2][-1] in kinds
    row = data.train.pixels.names.index("002.Made_up_Bird2/Made_up_Bird2_0003_1.jpg")
    assert data.train.pixels[row].shape == (10, 20, 3) and abs(data.train.pixels[row].mean() - 77) < 2


LISTS = ["images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"]


@pytest.mark.parametrize("name", LISTS)
def test_missing_and_damaged_lists_are_told(root, name):
    path = root / "CUB_200_2011" / name
    whole = path.read_text()
    for damaged in ("", "1\n" + whole, whole + "7 8 9\n", "".join(whole.splitlines(keepends=True)[:150])):
        path.write_text(damaged)
        refuses(cub200, root, str(root / "CUB_200_2011"))
    path.write_bytes(b"1 \xff\xff\n")
    refuses(cub200, root, str(path), "damaged")
    path.unlink()
    refuses(cub200, root, str(path), "missing")


def test_lists_without_the_last_class_are_refused(root):
    for name in LISTS:
        path = root / "CUB_200_2011" / name
        kept = 199 if name == "classes.txt" else 199 * 3
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:kept]))
    refuses(cub200, root, str(root / "CUB_200_2011/classes.txt"), "199 classes instead of 200")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [("image_class_labels.txt", "\n3 1\n", "\n3 201\n"), ("train_test_split.txt", "\n3 1\n", "\n3 2\n")],
)
def test_numbers_that_mean_nothing_are_told(root, name, before, after):
    path = root / "CUB_200_2011" / name
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    refuses(cub200, root, str(path))


def test_a_missing_image_is_told_when_it_is_read(root):
    data = cub200.load(root)
    (root / "CUB_200_2011/images" / data.test.pixels.names[0]).unlink()
    with pytest.raises(ValueError, match=r"(?s)Made_up_Bird1_0009_0\.jpg is missing.*download cub200"):
        data.test.pixels[0]
