"""A folder with a base and two models, and the command that merges them."""

from functools import partial

import pytest
import torch
from safetensors.torch import save_file


def model(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"w": torch.randn(20, 30, generator=generator), "steps": torch.tensor(1)}


@pytest.fixture
def merge(tmp_path, command):
    """Runs the command in a folder with a base and two models."""
    save_file(model(0), tmp_path / "base.safetensors")
    save_file(model(1), tmp_path / "a.safetensors")
    torch.save(model(2), tmp_path / "b.pt")

    return partial(command, "-m", "cl_bench.merge", cwd=tmp_path)


FILES = ("pretrained=base.safetensors", "finetuned=[a.safetensors,b.pt]", "out=new/merged.safetensors")
