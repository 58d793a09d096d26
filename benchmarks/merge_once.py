"""One merge, measured in a process of its own: `python benchmarks/merge_once.py WAY DEVICE BASE MODEL...` prints JSON.

DEVICE is where cl_bench merges, `cpu` or `cuda`. WAY is `copy`, or `<package>/<method>` with one of the packages that
`benchmarks.merge` compares; those run in an environment of their own, so that nothing of cl_bench is imported for them.
Every way begins with files and ends with the merged weights in memory.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

_ROOT = Path(__file__).resolve().parent.parent


def main(way: str, device: str, base: str, *models: str) -> None:
    """Measures one way; the time to import its package does not count."""
    package, _, method = way.partition("/")
    ways = {"copy": _copy, "cl_bench": _cl_bench, "mergekit": _mergekit, "fusion_bench": _fusion_bench}
    merge = ways[package](method, base)
    on_gpu = package == "cl_bench" and device != "cpu"
    if on_gpu:
        torch.zeros(1, device=device)  # makes its context
    before, begin = anonymous_mib("self"), time.monotonic()
    merged = merge(base, list(models), device)
    merged = {name: tensor.cpu() for name, tensor in merged.items()}
    measured = {"before": before, "begin": begin, "end": time.monotonic(), "tensors": len(merged)}
    print(json.dumps(measured | ({"gpu": torch.cuda.max_memory_allocated() / 2**20} if on_gpu else {})))


def anonymous_mib(process: int | str) -> float:
    """Memory of a process without the pages of mapped files, which the system may drop at any time."""
    return int(Path(f"/proc/{process}/status").read_text().split("RssAnon:")[1].split()[0]) / 2**10


_Merge = Callable[[str, list[str], str], Mapping[str, torch.Tensor]]


def _copy(*_: str) -> _Merge:
    def copy(base: str, models: list[str], _: str) -> dict[str, torch.Tensor]:
        first = load_file(base)
        copied = {name: tensor.clone() for name, tensor in first.items()}
        for model in models:
            for name, tensor in load_file(model).items():
                copied[name].copy_(tensor)
        return copied

    return copy


def _cl_bench(method: str, base: str) -> _Merge:
    sys.path.insert(0, str(_ROOT))
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    from cl_bench.experiment import released
    from cl_bench.mergers import RunningMerge
    from cl_bench.runtime.instantiate import instantiate

    released.register()
    with initialize_config_dir(str(_ROOT / "conf"), version_base="1.3"):
        config = compose("merge", [f"merger={method}"])
    for missing in OmegaConf.missing_keys(config):
        OmegaConf.update(config, missing, _MISSING.get(missing, 0.3))
    node = OmegaConf.to_container(config.merger, resolve=True)
    merger = instantiate(node, "merger")
    if merger.sees_test_images:  # what is measured is the merge, not how its coefficients are learned
        merger.coefficients = lambda _, tasks: torch.full((tasks,), 0.3)
    # The numbers do not matter for the time: θ₀'s own file takes the place of what training would leave behind.
    left_behind = {statistic: _grams(base) if statistic == "grams" else base for statistic in merger.requires}

    def merge(base: str, models: list[str], device: str) -> dict[str, torch.Tensor]:
        start = base if device == "cpu" else {name: tensor.to(device) for name, tensor in load_file(base).items()}
        if not merger.per_task:
            return merger.merge(start, models, statistics=[left_behind] * len(models))
        running = RunningMerge(merger, start)
        for model in models:
            running.add(model)
        return running.merged_for(1)  # the others take another two passes over one model each

    return merge


def _grams(base: str) -> dict[str, torch.Tensor]:
    """Gram matrices have other shapes than the weights."""
    return {name: torch.eye(tensor.shape[1]) for name, tensor in load_file(base).items() if tensor.dim() == 2}


_MISSING = {"merger.rules": [{"match": "*.mlp.*", "scaling": 0.5}]}


def _mergekit(method: str, _: str) -> _Merge:
    from mergekit.merge_methods import merge_state_dicts

    parameters = {
        "ties": {"density": 0.2, "weight": 1.0, "normalize": True},
        "dare_linear": {"density": 0.1, "weight": 1.0, "normalize": False},
        "breadcrumbs": {"density": 0.15, "gamma": 0.006, "weight": 1.0},
        "della_linear": {"density": 0.7, "epsilon": 0.07, "weight": 1.0},
        "task_arithmetic": {"weight": 0.3, "normalize": False},
        "linear": {"weight": 1.0},
    }.get(method, {})

    @torch.no_grad()
    def merge(base: str, models: list[str], _: str) -> dict[str, torch.Tensor]:
        # Files are mapped, as for cl_bench; mergekit's own command reads and writes them besides.
        named = {path: load_file(path) for path in ([] if method == "linear" else [base]) + models}
        return merge_state_dicts(named, method, base=None if method == "linear" else base, parameters=parameters)

    return merge


def _fusion_bench(method: str, _: str) -> _Merge:
    from transformers.models.clip import modeling_clip

    # fusion-bench 0.2.33 imports a name that transformers 5 has given up; nothing that is measured here uses it.
    if not hasattr(modeling_clip, "CLIPVisionTransformer"):
        modeling_clip.CLIPVisionTransformer = modeling_clip.CLIPVisionModel
    from fusion_bench import method as methods
    from fusion_bench.modelpool import BaseModelPool

    class Files(BaseModelPool):
        def load_model(self, model_name_or_config: str, *_: object, **__: object) -> nn.Module:
            tensors = load_file(self._models[model_name_or_config]["path"])
            return _layers(tensors) if method in ("opcm", "dop") else _Weights(tensors)

    def opcm() -> Any:
        algorithm = methods.OPCMForCLIP(alpha=0.5, shuffle_order=False, save_on_every_step=False)
        algorithm._program = SimpleNamespace(taskpool=SimpleNamespace(_test_datasets=None))  # evaluates nothing
        return algorithm

    no_layers = ["positional_embedding", "proj"]
    make = {
        "average": lambda: methods.SimpleAverageAlgorithm(),
        "task_arithmetic": lambda: methods.TaskArithmeticAlgorithm(scaling_factor=0.3),
        "ties": lambda: methods.TiesMergingAlgorithm(0.55, 20, [], "mean"),
        "magmax": lambda: methods.MagMaxAlgorithm(scaling_factor=0.5),
        "tsv": lambda: methods.TaskSingularVectorMerging(alpha=1.0),
        "iso_c": lambda: methods.ISO_C_Merge(scaling_factor=1.0, exclude_keys=[]),
        "wudi": lambda: methods.WUDIMerging(iter_num=300, exclude_keys=no_layers),
        "opcm": opcm,
        "dop": lambda: methods.ContinualDOPForCLIP(
            seed=0, save_on_every_step=False, ema_beta=0.999, alpha=0.8, svd_epsilon=0.99999
        ),
    }
    algorithm = make[method]()

    def merge(base: str, models: list[str], _: str) -> dict[str, torch.Tensor]:
        files = {"_pretrained_": {"path": base}} | {f"task_{t}": {"path": path} for t, path in enumerate(models)}
        return algorithm.run(Files(files)).state_dict()

    return merge


def _layers(tensors: Mapping[str, torch.Tensor]) -> nn.Module:
    """Modules around the tensors of a file, as Hugging Face's models have them: a linear layer for each projection."""
    layers: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        if leaf.startswith("in_proj_"):
            for projection, part in zip("qkv", tensor.chunk(3), strict=True):
                layers.setdefault(f"{layer}.{projection}_proj", {})[leaf.removeprefix("in_proj_")] = part
        else:
            layers.setdefault(layer, {})[leaf] = tensor
    root = nn.Module()
    for layer, parameters in layers.items():
        module, weight = root, parameters.get("weight")
        *path, last = layer.split(".")
        for part in path:
            if not hasattr(module, part):
                module.add_module(part, nn.Module())
            module = module.get_submodule(part)
        if weight is not None and weight.dim() == 2:
            made: nn.Module = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in parameters, device="meta")
        else:
            made = module if not last else getattr(module, last, nn.Module())
        for leaf, tensor in parameters.items():
            made.register_parameter(leaf, nn.Parameter(tensor))
        if last:
            module.add_module(last, made)
    return root


class _Weights(nn.Module):
    """A module around the tensors of a file, for packages that take modules only; costs nothing."""

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.tensors = tensors

    def state_dict(self, *_: object, **__: object) -> dict[str, torch.Tensor]:
        return self.tensors

    def load_state_dict(self, tensors: dict[str, torch.Tensor], *_: object, **__: object) -> object:
        self.tensors = dict(tensors)
        return nn.modules.module._IncompatibleKeys([], [])


if __name__ == "__main__":
    main(*sys.argv[1:])
