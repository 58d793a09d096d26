"""Copies to a device."""

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a copy to a GPU does not wait for the work that the GPU has to do before.

    From page-locked memory it does not even wait for itself.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")
