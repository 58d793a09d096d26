"""Contrastive pre-training of the miniature on pictures drawn on the fly.

Source of the loss: Radford et al. 2021, arXiv 2103.00020, figure 3. Differs from the publication in: images with equal
captions are positives of each other, in equal shares. With 165 concepts, every batch has such images.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cl_bench.backbones.tiny_clip import architecture
from cl_bench.backbones.tiny_clip.world import World
from cl_bench.datasets.rendering.captions import COLOR_NAMES, PROMPTS
from cl_bench.datasets.rendering.concepts import CONCEPTS
from cl_bench.datasets.rendering.fonts import pretraining_fonts
from cl_bench.runtime import seeds

_BATCH = 256
_PEAK_LEARNING_RATE = 1.5e-3
_WARM_UP = 100
_FINAL_SHARE = 0.02
_WEIGHT_DECAY = 0.1
_BETAS = (0.9, 0.98)
_CLIP = 1.0


def pretrain(
    seed: int, steps: int, report: Callable[[int, float], None] = lambda step, loss: None
) -> tuple[nn.Module, Tensor]:
    """Trains a model from scratch.

    Args:
        seed: Seed of the initial weights, the pictures and the captions.
        steps: Optimizer steps of 256 images.
        report: Called after each step with its number, from 1, and its loss.

    Returns:
        The model, whose token table has only the rows that captions use, and (V,) the ids of these rows.
    """
    model: Any = architecture.create(seed)  # open_clip's classes carry no types
    ids = caption_ids()
    model.token_embedding = nn.Embedding.from_pretrained(model.token_embedding.weight[ids].detach(), freeze=False)
    tokenizer = open_clip.get_tokenizer(architecture.NAME)
    world = World(pretraining_fonts, seeds.derive(seed, "shapes"))
    generator = seeds.generator(seed, "batches")
    optimizer = torch.optim.AdamW(_parameter_groups(model), lr=_PEAK_LEARNING_RATE, betas=_BETAS)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_share(step, steps))

    model.train()
    for step in range(1, steps + 1):
        images, captions, _ = world.draw(_BATCH, generator)
        tokens = torch.searchsorted(ids, tokenizer(captions))
        loss = contrastive_loss(
            model.encode_image(normalize(model, images), normalize=True),
            model.encode_text(tokens, normalize=True),
            model.logit_scale.exp(),
            captions,
        )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), _CLIP)
        optimizer.step()
        schedule.step()
        report(step, loss.item())
    return model.eval(), ids


def caption_ids() -> Tensor:
    """The token ids that captions can contain, in ascending order.

    The order matters: open_clip reads a text's features at the largest id, which is the end-of-text token.
    """
    tokenizer = open_clip.get_tokenizer(architecture.NAME)
    names = [name for concept in CONCEPTS for name in concept.names]
    ids: Tensor = torch.unique(tokenizer([*names, *PROMPTS, *COLOR_NAMES, "in color on black"]))
    return ids


def contrastive_loss(images: Tensor, texts: Tensor, scale: Tensor, captions: list[str]) -> Tensor:
    """The mean of the cross-entropies from images to texts and from texts to images.

    L = (CE(s·I·Tᵀ, P) + CE(s·T·Iᵀ, P)) / 2 with P[i, j] = [caption i = caption j] / number of captions equal to i.

    Args:
        images: (B, D) normalized embeddings I.
        texts: (B, D) normalized embeddings T.
        scale: () factor s.
        captions: B texts.
    """
    number = {caption: index for index, caption in enumerate(dict.fromkeys(captions))}
    which = torch.tensor([number[caption] for caption in captions])
    equal = (which[:, None] == which[None, :]).float()
    targets = equal / equal.sum(dim=1, keepdim=True)
    logits = scale * images @ texts.T
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def learning_rate_share(step: int, steps: int) -> float:
    """The learning rate as a share of its peak: linear warm-up for 100 steps, then a cosine down to 2 %."""
    warm_up = (step + 1) / _WARM_UP
    progress = max(step - _WARM_UP, 0) / max(steps - _WARM_UP, 1)
    return min(warm_up, _FINAL_SHARE + (1 - _FINAL_SHARE) * (1 + math.cos(math.pi * min(progress, 1))) / 2)


def normalize(model: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    """Turns (N, 32, 32, 3) uint8 into the (N, 3, 32, 32) float32 that the image tower reads."""
    preprocessing = open_clip.get_model_preprocess_cfg(model)
    mean, std = (torch.tensor(preprocessing[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - mean) / std


@torch.inference_mode()
def zero_shot_accuracy(model: Any, images: NDArray[np.uint8], labels: Tensor, class_names: Iterable[str]) -> float:
    """The share of images that a head of text embeddings, one row per class name, classifies correctly."""
    tokenizer = open_clip.get_tokenizer(architecture.NAME)
    head = torch.stack(
        [
            model.encode_text(tokenizer([prompt.format(name) for prompt in PROMPTS]), normalize=True).mean(dim=0)
            for name in class_names
        ]
    )
    features = torch.cat([model.encode_image(batch) for batch in normalize(model, images).split(500)])
    guesses = (features @ F.normalize(head, dim=1).T).argmax(dim=1)
    return (guesses == labels).float().mean().item()


def _parameter_groups(model: nn.Module) -> list[dict[str, object]]:
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": _WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
