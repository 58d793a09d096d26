import pytest

from cl_bench.datasets.releases.wordnet import class_names


def test_names_are_read_in_the_order_of_the_ids(tmp_path):
    readme = tmp_path / "README.txt"
    readme.write_text("n01443537 is no line of the table: it has\nn01443537 goldfish\nn02007558\tflamingo \nn1 no id\n")
    assert class_names(readme, ["n02007558", "n01443537"], ValueError) == ["flamingo", "goldfish"]
    with pytest.raises(ValueError, match=r"README\.txt is damaged: it has no name of n02007559"):
        class_names(readme, ["n02007559", "n01443537"], ValueError)
