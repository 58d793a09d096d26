import pytest

from cl_bench.datasets.oxford_iiit_pet import CLASS_NAMES, load
from tests.helpers.releases import has_color_of, refusal
from tests.helpers.releases_of_twenty import write_oxford_iiit_pet


def test_breeds_are_numbered_as_in_the_lists(tmp_path):
    write_oxford_iiit_pet(tmp_path)
    data = load(tmp_path)
    assert (CLASS_NAMES[0], CLASS_NAMES[7], CLASS_NAMES[36]) == ("abyssinian", "bombay", "yorkshire_terrier")
    assert (len(data.train), len(data.test), data.split) == (74, 37, "official")
    assert data.train.pixels.names[38] == "American_Bulldog_12.jpg" and data.train.labels[38] == 1
    assert has_color_of(data.test.pixels[0], "abyssinian_7.jpg")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("Abyssinian_8 2 1 1", "'Abyssinian_8' is no image of breed 2, american_bulldog"),
        ("Abyssinian_8 38 1 1", "it has the label 38, which is no class"),
        ("Abyssinian_8", "its labels are no numbers"),
    ],
)
def test_a_damaged_list_is_told(tmp_path, line, problem):
    write_oxford_iiit_pet(tmp_path)
    path = tmp_path / "oxford-iiit-pet/annotations/test.txt"
    path.write_text(f"#Image CLASS-ID\n{path.read_text()}{line}\n")
    message = refusal(load, tmp_path)
    assert f"{path} is damaged: {problem}" in message and "download oxford_iiit_pet " in message
