"""Elastic weight consolidation."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.images import batches
from cl_bench.runtime import distributed
from cl_bench.scenarios import Experience
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer, Weights


class EWC(TaskTrainer):
    """Holds every task back from changing the weights θ' of the task before, where these mattered.

    From the second task on, the loss is cross-entropy + strength · Σ_i F_i (θ_i - θ'_i)² / 2. After each task
    F ← decay · F + (1 - decay) · F_task, with F = 0 before the first.

    F_task estimates the diagonal of the Fisher information in one more pass over the task's training images, in
    training's batches and crops. An image's label is the model's own largest output. ``fisher_outputs`` says what
    outputs are:

    - `classes`: the logits of the classes of the image's group, as in the published class-incremental code.
    - `features`: the entries of the encoder's features, neither normalized nor scaled, as in the published
      domain-incremental code. F then knows nothing of the classes. The choice matters: after the same first task, the
      two choices lead to weights that lie further apart than the second task moves them.

    With g_b the gradient of the mean cross-entropy over the n_b images of batch b, and N images in all:

    - `per_batch`: F_task = Σ_b n_b g_b² / N
    - `accumulated`: F_task = Σ_b n_b (g_1 + … + g_b)² / N. The published code computes this, since it never sets the
      gradient to zero within the pass, and its strength of 1e6 was chosen with it.

    A batch is that of all processes together, so F does not depend on their number.

    Source: Kirkpatrick et al. 2017, arXiv 1612.00796; in this form with MagMax, arXiv 2407.06322.

    Differs from the publication in: the published running sum also holds the clipped gradient of the last training
    step, and is divided by the number of images rounded up to a multiple of the batch size (a whole batch more where
    it is one already). Together, the two move the weights by up to 9 % of a task's change at the learning rates of the
    embedded scenarios. Label smoothing, which the publication does not use, does not enter F. The publication has no
    EWC for several data sets; here they use `classes`.

    Args:
        given: What every trainer is given.
        strength: λ of the penalty.
        decay: α, the share of F that stays when a task is added.
        fisher: How gradients enter F_task, see above.
        fisher_outputs: What the outputs are, see above.
        starts_from: The weights that a task starts from. The penalty always is around the previous ones.
    """

    memory: ClassVar[frozenset[str]] = frozenset({"fisher"})

    def __init__(
        self,
        given: Given,
        strength: Annotated[float, Field(ge=0)] = 1e6,
        decay: Annotated[float, Field(ge=0, le=1)] = 0.5,
        fisher: Literal["accumulated", "per_batch"] = "accumulated",
        fisher_outputs: Literal["classes", "features"] = "classes",
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(given, starts_from)
        self._strength, self._decay, self._accumulates = strength, decay, fisher == "accumulated"
        self._of_features = fisher_outputs == "features"
        self._fisher: Weights = {}
        self._previous: Weights = {}

    def on_train_start(self) -> None:
        """Moves F and θ' to the device; process groups would broadcast buffers at every step."""
        self._fisher = {name: tensor.to(self.device) for name, tensor in self._fisher.items()}
        self._previous = {name: tensor.to(self.device) for name, tensor in self._previous.items()}

    def penalty(self) -> Tensor | float:
        """Returns strength · Σ_i F_i (θ_i - θ'_i)² / 2."""
        if not self._fisher:
            return 0.0
        terms = [
            (self._fisher[name] * (parameter - self._previous[name]).square()).sum()
            for name, parameter in self.trained().items()
        ]
        return self._strength / 2 * torch.stack(terms).sum()

    @property
    def makes_another_pass(self) -> bool:
        """Always true: F_task needs one."""
        return True

    def for_later_tasks(self) -> dict[str, dict[str, Tensor]]:
        """Returns F after the task, by parameter: its shape, on the CPU."""
        after = {}
        for name, of_task in self._fisher_of_task().items():
            before = self._fisher[name].to(of_task.device) if self._fisher else 0.0
            after[name] = (self._decay * before + (1 - self._decay) * of_task).cpu()
        return {"fisher": after}

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Takes F, and the weights that the next task is held to."""
        self._fisher = statistics["fisher"]
        self._previous = {name: weights[name] for name in self._fisher}

    def _fisher_of_task(self) -> dict[str, Tensor]:
        names, parameters = zip(*self.trained().items(), strict=True)
        gradient = torch.zeros_like(_flat(parameters))
        fisher = torch.zeros_like(gradient)
        for batch in self.another_pass("Fisher information"):
            # Not `backward`: that would make the process group average gradients by itself.
            pieces = torch.autograd.grad(self._loss_of_largest_output(batch), parameters, materialize_grads=True)
            of_batch = _flat(pieces)
            distributed.average(of_batch)
            gradient = gradient + of_batch if self._accumulates else of_batch
            fisher += gradient.square() * batch.global_size
        fisher /= len(self._samples)
        return dict(zip(names, _shaped(fisher, parameters), strict=True))

    def _loss_of_largest_output(self, batch: batches.Batch) -> Tensor:
        with self.trainer.precision_plugin.forward_context():
            outputs = batches.encoded(self.encoder, batches.to_images(batch, self.transform))
            if not self._of_features:
                outputs = self.logits(outputs).masked_fill(~self.class_masks[batch.groups], float("-inf"))
            return self.mean(functional.cross_entropy(outputs, outputs.argmax(dim=1), reduction="sum"), batch)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])  # gradients of a compiled encoder may be transposed


def _shaped(vector: Tensor, parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    pieces = torch.split(vector, [parameter.numel() for parameter in parameters])
    return [piece.view_as(parameter) for piece, parameter in zip(pieces, parameters, strict=True)]
