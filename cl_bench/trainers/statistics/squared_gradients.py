"""The squared gradients of a trained model's batches."""

import copy

import torch
from torch import Tensor
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.runtime import distributed
from cl_bench.trainers.statistics.learned import Learned


def squared_gradients(trainer: Learned) -> dict[str, Tensor]:
    """Returns the mean over B batches of the squared gradient of their loss, by parameter: its shape, on the CPU.

        F = 1/B · Σ_b (∂L_b / ∂θ)²

    L_b is the mean cross-entropy of batch b to its true labels, among the classes that training compares (the task's;
    with `trainer=replay`, the data set's of all tasks so far) and without label smoothing.
    One pass goes over the task's training images, in training's batches and crops. A batch is that of all processes
    together. Computes in single precision, with random parts of the encoder off.

    The code of CoFiMA, arXiv 2312.08977, takes this for the diagonal of the Fisher information. It grows as batches
    become smaller. It needs one backward pass per batch, where `fisher_diagonal` needs several per image.

    Args:
        trainer: Has just learned the task; it stays as it is.
    """
    encoder = copy.deepcopy(trainer.encoder).eval()
    names = list(trainer.trained())
    parameters = [encoder.get_parameter(name).requires_grad_(True) for name in names]
    total, passed = [torch.zeros_like(parameter) for parameter in parameters], 0
    for batch in trainer.another_pass("squared gradients"):
        with torch.enable_grad():
            logits = trainer.logits(batches.encoded(encoder, batches.to_images(batch, trainer.transform)))
            among = logits.masked_fill(~trainer.class_masks[batch.groups], float("-inf"))
            loss = trainer.mean(functional.cross_entropy(among, batch.labels, reduction="sum"), batch)
        for square, gradient in zip(total, torch.autograd.grad(loss, parameters, materialize_grads=True), strict=True):
            distributed.average(gradient)
            square += gradient.square()
        passed += 1
    return {name: (tensor / passed).cpu() for name, tensor in zip(names, total, strict=True)}
