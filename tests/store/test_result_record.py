import json
import math
from pathlib import Path

import pytest
import torch

from cl_bench.runtime.errors import UserError
from cl_bench.store import read_result, write_result


def test_comes_back_with_its_schema_version(tmp_path: Path) -> None:
    write_result(tmp_path / "result.json", {"matrix": [[math.nan, 50.0]], "seed": 5, "none": None})
    assert read_result(tmp_path / "result.json") == {
        "schema": 3,
        "matrix": [[None, 50.0]],
        "seed": 5,
        "none": None,
    }


def test_what_is_not_plain_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"result\.json\.accuracy\[0\] is a Tensor"):
        write_result(tmp_path / "result.json", {"accuracy": [torch.tensor(1.0)]})
    assert not (tmp_path / "result.json").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no result record"),
        ("{", "damaged"),
        ("[1]", "no result record"),
        (json.dumps({"schema": 3, "matrix": [[math.inf]]}), "Infinity is no JSON"),
        (json.dumps({"schema": 4}), "schema version 4"),
        (json.dumps({"schema": 1}), "schema version 1"),
        (json.dumps({"schema": 2}), "schema version 2; .* Run the experiment again"),
        ("{}", "schema version None"),
    ],
)
def test_unusable_records_are_named(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        read_result(path)
    assert str(path) in str(caught.value)
