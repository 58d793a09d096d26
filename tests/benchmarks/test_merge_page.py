"""The page that `make bench-merge` writes, from measurements that are made up."""

import argparse

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks import merge, merge_operations
from benchmarks.merge_once import _layers
from cl_bench.mergers import DOP, Wudi

SECONDS = {"copy": 0.01, "cl_bench/magmax": 0.02, "fusion_bench/magmax": 0.05, "cl_bench/wudi": 40.0}


@pytest.fixture
def measured(monkeypatch):
    asked = []

    def measure(args, way, models):
        asked.append((way, len(models) - 1))
        if way == "fusion_bench/wudi":
            return merge._Cost(failure="ImportError: no such thing")
        return merge._Cost(SECONDS[way] * (12 if "block" not in models[0].name else 1), 7.0)

    monkeypatch.setattr(merge, "_measure", measure)
    return asked


def test_one_page_has_blocks_models_products_and_a_stream(tmp_path, monkeypatch, capsys, measured):
    def write_models(folder, tasks):
        paths = [folder / f"{task}.safetensors" for task in range(tasks + 1)]
        for task, path in enumerate(paths):
            save_file({f"{merge._BLOCK}mlp.c_fc.weight": torch.randn(8, 4), "proj": torch.ones(task + 1)}, path)
        return paths

    monkeypatch.setattr(merge, "_write_models", write_models)
    monkeypatch.setattr(merge, "rate", lambda: 2e11)
    page = tmp_path / "page.md"
    arguments = ["merge", str(page), "--peers", "python", "--tasks", "3", "--only", "magmax", "wudi", "--limit", "300"]
    monkeypatch.setattr("sys.argv", arguments)
    merge.main()
    text = page.read_text()
    assert "at 200 GFLOP/s" in text and "Left out of this run" in text
    block, whole, stream = text.split("\n## ")[1:]
    assert block.startswith("One block, 3 models") and "| cl_bench/wudi | 40.00 | 4000.0 | 7 |" in block
    flop = merge_operations.operations("wudi", 3)
    assert f"{40 * 2e11 / flop:.2f} times as long" in block and "`dop`" not in block
    assert "| cl_bench/wudi | ≈ 480 |  |  |" in whole and "| cl_bench/magmax | 0.24 | 2.0 | 7 |" in whole
    assert "| fusion_bench/wudi | ImportError: no such thing |" in whole
    assert ("cl_bench/wudi", 3) in measured and measured.count(("cl_bench/wudi", 3)) == 1  # over ten seconds: once
    assert stream.startswith("A stream of 50 tasks") and "among tasks 2 to 11" in stream


def test_dop_is_measured_with_two_models_and_counted_for_all(monkeypatch):
    commands = []

    def watch(process, limit):
        process.wait()
        return [], 0

    class Process:
        def __init__(self, command, stdout, stderr):
            commands.append(command)
            stdout.write('{"begin": 1.0, "end": 3.0, "before": 0.0}\n')

        def wait(self):
            return 0

    monkeypatch.setattr(merge.subprocess, "Popen", Process)
    monkeypatch.setattr(merge, "_watch", watch)
    arguments = argparse.Namespace(peers="python", device="cpu", limit=300)
    models = [f"{task}.safetensors" for task in range(11)]
    assert merge._measure(arguments, "cl_bench/dop", models).seconds == 9 * 2.0
    assert merge._measure(arguments, "cl_bench/ties", models).seconds == 2.0
    assert commands[0][-3:] == models[:3] and commands[1][-11:] == models


@pytest.mark.parametrize(("name", "merger"), [("wudi", Wudi), ("dop", DOP)])
def test_operations_are_those_of_the_products_that_are_made(monkeypatch, name, merger):
    shapes = ((72, 24), (24, 24), (96, 24), (24, 96))
    names = ("attn.in_proj_weight", "attn.out_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
    random = torch.Generator().manual_seed(0)
    models = [{n: torch.randn(s, generator=random) for n, s in zip(names, shapes, strict=True)} for _ in range(4)]
    made = []

    def counting(multiply):
        def counted(*matrices, **settings):
            left, right = matrices[-2:]
            made.append(2 * left.shape[0] * left.shape[1] * right.shape[1])
            return multiply(*matrices, **settings)

        return counted

    monkeypatch.setattr(torch, "mm", counting(torch.mm))
    monkeypatch.setattr(torch, "addmm", counting(torch.addmm))
    counted = []
    for steps in (0, 20):
        made.clear()
        merger(steps=steps).merge(models[0], models[1:])
        counted.append(sum(made))
    monkeypatch.setattr(merge_operations, "_BLOCK", shapes)
    monkeypatch.setitem(merge_operations._STEPS, name, 20)
    # DOP's decompositions do not count; of 24 singular values it keeps 23.
    assert counted[1] - (counted[0] if name == "dop" else 0) == pytest.approx(
        merge_operations.operations(name, 3), rel=0.04 if name == "dop" else 0
    )


def test_layers_of_peers_are_linear_with_projections_of_their_own(tmp_path):
    tensors = {
        "class_embedding": torch.ones(4),
        "ln_pre.weight": torch.ones(4),
        "blocks.0.attn.in_proj_weight": torch.arange(48.0).view(12, 4),
        "blocks.0.attn.in_proj_bias": torch.arange(12.0),
        "blocks.0.attn.out_proj.weight": torch.ones(4, 4),
        "blocks.0.attn.out_proj.bias": torch.ones(4),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    layers = _layers(load_file(tmp_path / "model.safetensors"))
    linear = {name: module for name, module in layers.named_modules() if isinstance(module, torch.nn.Linear)}
    assert set(linear) == {f"blocks.0.attn.{part}_proj" for part in ("q", "k", "v", "out")}
    assert torch.equal(linear["blocks.0.attn.k_proj"].weight, tensors["blocks.0.attn.in_proj_weight"][4:8])
    assert torch.equal(
        linear["blocks.0.attn.v_proj"](torch.ones(1, 4))[0].detach(), torch.tensor([142.0, 159, 176, 193])
    )
    assert sum(part.numel() for part in layers.parameters()) == sum(tensor.numel() for tensor in tensors.values())
