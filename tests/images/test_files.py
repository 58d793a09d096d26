import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cl_bench.images.files import ImageFiles
from cl_bench.runtime.errors import UserError
from tests.helpers.releases_by_folder import jpeg

REMEDY = "Get it with: a command"


def written(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg())
    return ImageFiles(folder, names, REMEDY)


def test_images_are_decoded_as_they_are_asked_for(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    files = ImageFiles(tmp_path, ["a.png", "b.png"], REMEDY)
    assert len(files) == 2
    assert files[0].dtype == np.uint8 and (files[0] == pixels).all()


@pytest.mark.parametrize(
    ("mode", "color"), [("L", 90), ("P", 3), ("RGBA", (9, 8, 7, 255)), ("CMYK", (0, 99, 9, 9)), ("1", 1)]
)
def test_every_kind_of_image_becomes_rgb(tmp_path, mode, color):
    image = Image.new(mode, (4, 3), color)
    image.save(tmp_path / "a.tif")
    found = ImageFiles(tmp_path, ["a.tif"], REMEDY)[0]
    assert found.shape == (3, 4, 3) and (found == np.asarray(image.convert("RGB"))).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_images_of_more_than_8_bits_are_refused_and_not_clipped(tmp_path, dtype):
    Image.fromarray(np.full((3, 3), 700, dtype)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"(?s)a\.tif.*8 bits.*Get it with"):
        ImageFiles(tmp_path, ["a.tif"], REMEDY)[0]


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    files = ImageFiles(tmp_path, ["gone/a.jpg"], REMEDY)
    for ask in (lambda: files[0], lambda: files.identity):
        with pytest.raises(UserError, match=r"(?s)gone/a\.jpg is missing.*Get it with: a command"):
            ask()


@pytest.mark.filterwarnings("ignore")
@given(
    length=st.integers(0, 600), junk=st.binary(min_size=1, max_size=30), format=st.sampled_from(["JPEG", "PNG", "TIFF"])
)
def test_a_damaged_file_is_named_with_the_remedy_or_still_read(tmp_path_factory, length, junk, format):
    folder = tmp_path_factory.mktemp("damaged")
    Image.new("RGB", (16, 16), (1, 2, 3)).save(folder / "a.img", format)
    content = (folder / "a.img").read_bytes()
    start = min(length, len(content) - 1)
    (folder / "a.img").write_bytes(content[:start] + junk)
    try:
        assert ImageFiles(folder, ["a.img"], REMEDY)[0].shape[-1] == 3
    except UserError as error:
        assert "a.img" in str(error) and REMEDY in str(error)


def test_a_file_cut_short_is_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg()[:200])
    with pytest.raises(UserError, match=r"a\.jpg is missing or damaged"):
        ImageFiles(tmp_path, ["a.jpg"], REMEDY)[0]


def test_identity_is_of_the_contents_in_their_order_whatever_and_wherever_the_files_are(tmp_path):
    here, there = written(tmp_path / "here", "a/1.jpg", "a/2.jpg"), written(tmp_path / "there", "b.jpg", "c.jpg")
    assert here.identity == there.identity
    content = jpeg()
    (tmp_path / "there/c.jpg").write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    changed = ImageFiles(there.root, there.names, REMEDY)
    assert changed.identity != here.identity
    assert len({f.identity for f in (changed, changed.select(np.array([1, 0])), changed.select(np.array([0])))}) == 3


def test_a_name_that_is_not_utf_8_is_read_and_identified(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    files = written(tmp_path, name)
    assert files[0].shape == (8, 10, 3) and len(files.identity) == 64


def test_a_selection_by_rows_or_by_a_mask(tmp_path):
    files = ImageFiles(tmp_path, ["0", "1", "2", "3"], REMEDY)
    assert files.select(np.array([3, 0])).names == ("3", "0")
    assert files.select(np.array([False, True, True, False])).names == ("1", "2")
    with pytest.raises(UserError, match="Get it with"):
        files.select(np.array([2]))[0]


def test_workers_get_the_files(tmp_path):
    files = pickle.loads(pickle.dumps(written(tmp_path, "1.jpg")))
    assert files[0].shape == (8, 10, 3)
