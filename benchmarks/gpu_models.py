"""The models, images and ways of computing that `benchmarks.gpu` measures, and what a device can do at most."""

import copy
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import open_clip
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from cl_bench.backbones import TinyClip
from cl_bench.backbones.clip import Clip
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.devices import Devices
from cl_bench.scenarios import ClassIncremental
from cl_bench.trainers import Given, Optimization

CLASSES = 10  # of two tasks

WAYS: Mapping[str, Mapping[str, Any]] = {
    "float32": {},
    "TF32": {"matmul_precision": "high"},
    "bf16": {"precision": "bf16-mixed"},
    "bf16, compiled": {"precision": "bf16-mixed", "compile": True},
}
"""Settings of the group `lightning`, by their names on the page."""


def devices(kind: str, way: str) -> Devices:
    """What a user's `lightning=cpu` or `lightning=gpu` makes, with the settings of a way."""
    return Devices(accelerator="gpu" if kind == "cuda" else "cpu", **WAYS[way])


@cache
def backbone(model: str) -> Clip:
    """A model with random weights, or the embedded one; nothing is downloaded."""
    if model == "tiny_clip":
        return TinyClip()
    torch.manual_seed(0)
    return Clip(model, open_clip.create_model(model))


def known() -> set[str]:
    """Names of the models that there are."""
    return {"tiny_clip", *open_clip.list_models()}


def given(model: str, batch_size: int, compile: bool) -> Given:
    """What a run hands to a trainer, with a copy of the encoder, the published optimization and a random head."""
    found = backbone(model)
    rows = torch.randn(CLASSES, found.feature_size, generator=torch.Generator().manual_seed(0))
    optimization = Optimization(
        lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.1, fused=True), 1e-5, 1, batch_size
    )
    encoder, head = copy.deepcopy(found.encoder), 100 * functional.normalize(rows, dim=1)
    return Given(encoder, head, found.transform, optimization, compile=compile)


def scenario(images_of_a_task: int) -> ClassIncremental:
    """Two tasks with images of CIFAR's size, which the device enlarges; pixels are random."""
    count = 2 * images_of_a_task
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    train, test = Images(pixels, np.arange(count) % CLASSES), Images(pixels[:CLASSES], np.arange(CLASSES))
    return ClassIncremental(ImageDataset("noise", tuple("abcdefghij"), ("{}",), train, test), 2)


@cache
def operations(model: str, with_gradient: bool) -> float:
    """Floating-point operations of products and convolutions for one image: forward, and backward to the weights."""
    found = backbone(model)
    encoder = copy.deepcopy(found.encoder).to("meta").requires_grad_(with_gradient)
    images = torch.empty(2, 3, found.transform.size, found.transform.size, device="meta")
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(with_gradient):
        features = encoder(images)
        if with_gradient:
            features.sum().backward()
    return counter.get_total_flops() / len(images)


def peak(device: torch.device, size: int = 8192, rounds: int = 20) -> float:
    """Floating-point operations per second of the fastest of some large square products in bf16."""
    size = size if device.type == "cuda" else 512
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(rounds):
        wait(device)
        begin = time.perf_counter()
        left @ right
        wait(device)
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds)


def wait(device: torch.device) -> None:
    """Waits until the device has done all that it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def name(device: torch.device) -> str:
    """The card's name as its driver says it; of a CPU, how many threads are used."""
    if device.type == "cuda":
        return f"an {torch.cuda.get_device_name(device)}"
    return f"{torch.get_num_threads()} threads of a CPU"
