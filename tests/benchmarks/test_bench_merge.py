"""What `make bench-merge` starts once per measurement, with every merger."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.merge_once import main
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def write_model(path, seed):
    random = torch.Generator().manual_seed(seed)
    shapes = {"transformer.resblocks.0.mlp.c_fc.weight": (8, 4), "transformer.resblocks.1.mlp.c_fc.weight": (8, 4)}
    shapes |= {"conv1.weight": (4, 3, 2, 2), "ln_post.bias": (4,)}
    save_file({name: torch.randn(shape, generator=random) for name, shape in shapes.items()}, path)
    return str(path)


@pytest.mark.parametrize("way", ["copy", *sorted(f"cl_bench/{path.stem}" for path in ROOT.glob("conf/merger/*.yaml"))])
def test_every_way_can_be_measured(tmp_path, capsys, way):
    main(way, "cpu", *(write_model(tmp_path / f"{task}.safetensors", task) for task in range(4)))
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert measured["tensors"] == 4 and measured["end"] >= measured["begin"] and measured["before"] > 0
