"""What `make bench-merge` starts once per measurement, with every merger."""

import argparse
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks import merge
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


def test_what_was_stopped_is_said_of_all_folds_and_of_the_whole_model(monkeypatch):
    monkeypatch.setattr(merge, "_watch", lambda process, limit: ([], process.wait() and None))
    args = argparse.Namespace(limit=300.0, peers=sys.executable, device="cpu")
    models = [Path("nowhere")] * 11
    block = {way: [merge._measure(args, way, models)] for way in ("fusion_bench/dop", "fusion_bench/wudi")}
    assert {way: cost.failure for way, (cost,) in block.items()} == {
        "fusion_bench/dop": "over 2700",  # two models were merged, of ten
        "fusion_bench/wudi": "over 300",
    }
    block |= {"killed": [merge._Cost(failure="killed")], "quick": [merge._Cost(1.0)], "slow": [merge._Cost(30.0)]}
    assert {way: cost.failure for way, (cost,) in merge._extrapolated(block, 300).items()} == {
        "fusion_bench/dop": "≈ over 32400",
        "fusion_bench/wudi": "≈ over 3600",
        "killed": "killed",
        "slow": "≈ 360",
    }
