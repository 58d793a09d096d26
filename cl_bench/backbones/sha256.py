"""A model's weights, in one short text."""

import hashlib

import torch
from torch import nn


def sha256(model: nn.Module) -> str:
    """64 hex digits that differ whenever a name, or a bit of a parameter or buffer, does."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
