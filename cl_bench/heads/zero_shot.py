"""The zero-shot head: the text tower makes one row per class."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from cl_bench.backbones.clip import Clip
from cl_bench.heads.head import HeadSettings
from cl_bench.runtime.source_code import outside
from cl_bench.store import atomic

# Rises when the key of a head takes in more: 2 added the model's configuration, 3 the code of a backbone from outside.
_SCHEMA = 3


class ZeroShot(HeadSettings):
    """Rows are what the text tower makes of the classes' names; see `zero_shot_head`."""

    from_words: ClassVar[bool] = True


def zero_shot_head(
    backbone: Clip, class_names: Sequence[str], prompts: Sequence[str], cache: Path | None = None
) -> Tensor:
    """Makes the head whose row c is the classifier of class c: logits = head @ features / |features|.

    For each class, the normalized embeddings of all its prompts are averaged; the mean is normalized again and
    multiplied by exp(logit_scale). Source: Radford et al. 2021, arXiv 2103.00020, section 3.1.4.

    Words that the text tower was not trained on get their own vectors, see `unknown_words`.

    Args:
        backbone: Its text tower encodes the prompts.
        class_names: C names.
        prompts: Templates; the name replaces `{}`.
        cache: Folder in which heads are kept, so that no prompt is encoded twice.

    Returns:
        (C, D) float32.
    """
    path = None if cache is None else cache / f"{head_key(backbone, class_names, prompts)}.safetensors"
    if path is not None and path.is_file():
        cached = atomic.read_safetensors(path)
        if cached is not None:
            return cached["head"]
    texts = [prompt.replace("{}", name) for name in class_names for prompt in prompts]
    with backbone.telling_apart(class_names, prompts):
        embeddings = backbone.encode_text(texts).view(len(class_names), len(prompts), -1)
    means = torch.nn.functional.normalize(embeddings.mean(dim=1), dim=1)
    head = (means * backbone.logit_scale).clone()
    if path is not None:
        atomic.write_safetensors(path, {"head": head})
    return head


def head_key(backbone: Clip, class_names: Sequence[str], prompts: Sequence[str]) -> str:
    """16 hex digits that differ whenever the head does: a hash of the model, its code, the words and their tokens."""
    words = [list(class_names), list(prompts)]
    tokens = [backbone.tokens(texts).tolist() for texts in words]
    content = [_SCHEMA, backbone.text_identity, outside(type(backbone)), words, tokens]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
