"""What every trainer is: a LightningModule that learns one task at a time."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeAlias

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.images.batches import Batch, encoded, to_images
from cl_bench.images.transforms import ImageTransform
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers import checkpoint
from cl_bench.trainers.fisher_diagonal import fisher_diagonal
from cl_bench.trainers.grams import grams
from cl_bench.trainers.optimization import Optimization
from cl_bench.trainers.squared_gradients import squared_gradients

StartsFrom: TypeAlias = Literal["pretrained", "previous", "merged"]
"""The weights that a task starts from: θ₀, those of the task before, or what the merger has made of all before."""

Weights: TypeAlias = Mapping[str, Tensor]


class TaskTrainer(pl.LightningModule):
    """Fine-tunes the whole image encoder on one task after another, with a frozen zero-shot head.

    The loss is the cross-entropy of the scaled cosine similarities to the task's classes, as a mean over the global
    batch. A subclass changes whatever moment it wants to: `begin_task`, the ordinary `training_step` (or its parts,
    `task_loss` and `penalty`), `end_task`; and `remember`, if a task has to know of those before it.

    Args:
        encoder: The image encoder, at θ₀.
        head: (C, D) the zero-shot head.
        transform: From 8-bit images to what the encoder reads.
        optimization: How a task is optimized.
        compile: Whether the encoder goes through `torch.compile`.
        keep: Statistics of `leaves` that the merger asks for.
        starts_from: The weights that a task starts from.

    Attributes:
        leaves: Statistics that can be left behind for mergers, each by the method of its name.
        memory: Names of the statistics that the trainer itself needs for later tasks; kept with the weights.
        transform: From 8-bit images to what the encoder reads.
        refines: Whether `refine` trains the merged model once more, from the second task on.
        steps: Optimizer steps of the whole task.
    """

    version: ClassVar[int] = 1
    """Rises in a class when what it computes changes: weights or statistics of an earlier one are not used again. Here,
    what all trainers share: loss, optimizer and schedule, order of images and crops, random numbers, statistics."""

    leaves: ClassVar[frozenset[str]] = frozenset({"second_moments", "fisher_diagonal", "squared_gradients", "grams"})
    memory: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        encoder: nn.Module,
        head: Tensor,
        transform: ImageTransform,
        optimization: Optimization,
        compile: bool = False,
        keep: frozenset[str] = frozenset(),
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("head", head, persistent=False)
        self.register_buffer("class_masks", torch.ones(1, len(head), dtype=torch.bool), persistent=False)
        self.optimization = optimization
        self.starts_from = starts_from
        self.keep = keep
        self.transform = transform
        self.refines = False
        self.steps = 0
        self._resumed: checkpoint.Progress | None = None
        if compile:
            encoder.compile()

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """What is trained on, task by task."""
        return list(scenario.train_stream)

    def begin_task(
        self, weights: Weights, experience: Experience, steps: int, resumed: checkpoint.Progress | None = None
    ) -> None:
        """Makes ready for a task.

        Args:
            weights: What the task starts from.
            experience: The task.
            steps: Optimizer steps of the whole task.
            resumed: What a run that was stopped within this task had reached.
        """
        self.class_masks = experience.class_masks.to(self.head.device)
        self.steps, self._resumed = steps, resumed
        # The run has just seeded torch for this task: order and crops of later passes follow from seed and task alone.
        self._samples, self._pass_seed = experience.samples, torch.initial_seed()
        self.load(resumed.weights if resumed else weights)

    def load(self, weights: Weights) -> None:
        """Takes the weights that training starts from; a mapping as `weights` gives it."""
        self.encoder.load_state_dict(weights)
        self.encoder.requires_grad_(True).train()

    def weights(self) -> dict[str, Tensor]:
        """A copy of what tasks change, on the CPU: the encoder's parameters and buffers; before any task, θ₀."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.encoder.state_dict().items()}

    def trained(self) -> dict[str, nn.Parameter]:
        """What the optimizer changes, by name."""
        return {name: p for name, p in self.encoder.named_parameters() if p.requires_grad}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        images = to_images(batch, self.transform)
        return self.task_loss(images, batch) + self.penalty()

    def task_loss(self, images: Tensor, batch: Batch) -> Tensor:
        """What is learned from the batch's images."""
        return self.cross_entropy(self.logits(encoded(self.encoder, images)), batch)

    def penalty(self) -> Tensor | float:
        """What is added to the loss whatever the images are."""
        return 0.0

    def logits(self, features: Tensor) -> Tensor:
        """(B, C) over all classes of the scenario, from (B, D) features."""
        return functional.linear(functional.normalize(features, dim=1), self.head)

    def cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Mean over the global batch, among the classes of each image's group.

        With label smoothing ε, the share ε of each label is spread evenly over those classes.
        """
        allowed = self.class_masks[batch.groups]
        among = logits.masked_fill(~allowed, float("-inf"))
        total = functional.cross_entropy(among, batch.labels, reduction="sum")
        if smoothing := self.optimization.label_smoothing:
            log_shares = functional.log_softmax(among, dim=1).masked_fill(~allowed, 0)
            even = -(log_shares.sum(dim=1) / allowed.sum(dim=1)).sum()
            total = (1 - smoothing) * total + smoothing * even
        return self.mean(total, batch)

    def mean(self, total: Tensor, batch: Batch) -> Tensor:
        """Mean over the global batch, from the sum over this process's share of it.

        Processes may hold unequal shares, and their gradients are averaged: so the sum is divided by the global size
        and multiplied by the number of processes.
        """
        return total * (distributed.world_size() / batch.global_size)

    def progress(self, step: int, seconds: float) -> checkpoint.Progress:
        """What has to be kept after `step` steps, for `begin_task` of a run that goes on from there."""
        return checkpoint.Progress.of(step, seconds, self.weights(), self.trainer.optimizers[0])

    def end_task(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """The weights after the task, and the statistics that are kept with them, by name; all on the CPU."""
        return self.weights(), {name: getattr(self, name)() for name in sorted(self.memory | self.keep)}

    @property
    def makes_another_pass(self) -> bool:
        """Whether `end_task` passes over the task's images once more."""
        return bool((self.memory | self.keep) - {"second_moments"})

    def second_moments(self) -> dict[str, Tensor]:
        """AdamW's running mean of squared gradients at the end of the task, by parameter."""
        state = self.trainer.optimizers[0].state
        return {
            name: state[parameter]["exp_avg_sq"].detach().cpu().clone()
            for name, parameter in self.trained().items()
            if parameter in state
        }

    def fisher_diagonal(self) -> dict[str, Tensor]:
        """The diagonal of the Fisher information, by parameter, from another pass over the task's images."""
        return fisher_diagonal(self, self._samples, self._pass_seed)

    def squared_gradients(self) -> dict[str, Tensor]:
        """The mean of squared gradients of batches, by parameter, from another pass over the task's images."""
        return squared_gradients(self, self._samples, self._pass_seed)

    def grams(self) -> dict[str, Tensor]:
        """The Gram matrices of what linear layers read, by weight, from another pass over the task's images."""
        return grams(self, self._samples, self._pass_seed)

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Called after each task in order, whether it was trained now or read from the store.

        Args:
            experience: The task.
            weights: Its weights.
            statistics: What `end_task` returned beside them, the names of `memory` at least.
        """

    def refine(self, experience: Experience, previous: Weights, merged: Weights) -> dict[str, Tensor]:
        """Trains the merged model once more, where `refines` says so; all processes do, from a fresh random state.

        Args:
            experience: The task that was merged last.
            previous: The merged model before it.
            merged: The merged model with it.

        Returns:
            What has changed of `merged`, by name, on the CPU.
        """
        raise NotImplementedError

    def configure_gradient_clipping(
        self, optimizer: torch.optim.Optimizer, gradient_clip_val: float | None, gradient_clip_algorithm: str | None
    ) -> None:
        """Limits the norm of the gradient."""
        # Lightning's own way refuses fused optimizers in mixed precision, because of a scaler that bfloat16 has not.
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(self.trained().values(), gradient_clip_val)

    def configure_optimizers(self) -> dict[str, Any]:
        """A fresh optimizer and a per-step schedule that ends with the task; or those of the run that was stopped."""
        done = self._resumed.step if self._resumed else 0
        optimizer, schedule = self.optimization.build(self.trained(), self.steps, done)
        if "second_moments" in self.keep and "betas" not in optimizer.defaults:
            name = type(optimizer).__name__
            raise UserError(f"The merger needs AdamW's second moments, which optim.optimizer={name} does not have.")
        if self._resumed:
            self._resumed.restore(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
