import pytest

from cl_bench.datasets.releases.list_files import lines, two_columns
from cl_bench.runtime.errors import UserError


def test_two_columns_whatever_is_between_them(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"a/b.jpg 1\r\n\n  c \t 2  \n")
    assert two_columns(tmp_path / "a.txt", UserError) == [("a/b.jpg", "1"), ("c", "2")]
    assert lines(tmp_path / "a.txt", UserError)[0] == "a/b.jpg 1"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a 1\nb\n", "line 2"), (b"\na 1 2\n", "line 2"), (b"\n \n", "empty"), (b"", "empty"), (b"a \xff\n", "utf-8")],
)
def test_damage_is_told_with_the_path_and_the_line(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"^{path} is damaged.*{message}"):
        two_columns(path, UserError)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r"a\.txt is damaged: .*No such file"):
        lines(tmp_path / "a.txt", UserError)
