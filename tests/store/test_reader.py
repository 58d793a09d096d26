"""An image encoder, from whatever library's file, by θ₀'s names."""

from pathlib import Path

import torch

from cl_bench.store.layouts.files import files_of
from cl_bench.store.layouts.reader import read_like
from tests.store import clip_files as files

TOWER = {name[7:]: tensor for name, tensor in files.model().items() if name.startswith("visual.")}


def test_what_a_file_lacks_is_theta_0s(tmp_path: Path) -> None:
    tuned = files.model(1)
    index = files.sharded(tmp_path / "expert", files.vision_alone(files.hugging_face(tuned)))
    read = read_like(index.parent, TOWER)
    assert list(read.weights) == list(TOWER)
    for name, tensor in read.weights.items():
        assert torch.equal(tensor, TOWER[name] if name == "proj" else tuned[f"visual.{name}"])
    assert files_of(index.parent) == [index, index.parent / "one.bin", index.parent / "two.bin"]
