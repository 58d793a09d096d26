"""Experts for the embedded backbone that nobody trained: θ₀ and a little noise, in files."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from cl_bench.backbones import TinyClip

THREE = ("digits", "textures", "greek")  # of `scenario=mini_eight`
SCENARIO = ("scenario=mini_eight", "task_order=[digits,textures,greek]", "lightning=cpu")


def pretrained() -> dict[str, torch.Tensor]:
    """θ₀."""
    return {name: tensor.clone() for name, tensor in TinyClip().encoder.state_dict().items()}


def moved(seed: int, share: float = 0.02) -> dict[str, torch.Tensor]:
    """θ₀, moved in a random direction by a share of its norm."""
    start, generator = pretrained(), torch.Generator().manual_seed(seed)
    noise = {name: torch.randn(tensor.shape, generator=generator) for name, tensor in start.items()}
    length = share * norm(start) / norm(noise)
    return {name: tensor + length * noise[name] for name, tensor in start.items()}


def norm(weights: dict[str, torch.Tensor]) -> float:
    """The length of all weights together."""
    return float(torch.cat([tensor.double().flatten() for tensor in weights.values()]).norm())


def write(folder: Path, *names: str, share: float = 0.02) -> Path:
    """Writes an expert for each name, as `NAME/model.safetensors`."""
    for seed, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        save_file(moved(seed, share), folder / name / "model.safetensors")
    return folder
