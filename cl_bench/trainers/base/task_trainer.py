"""What every trainer is: a LightningModule that learns one task at a time."""

import warnings
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, TypeAlias

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional

from cl_bench.backbones.running_statistics import keep_running_statistics
from cl_bench.images.batches import Batch, encoded, to_images
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience, Scenario
from cl_bench.trainers.base.another_pass import another_pass
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.head_rows import HeadRows
from cl_bench.trainers.base.unfinished import UnfinishedTask
from cl_bench.trainers.statistics import FROM_ANOTHER_PASS, STATISTICS

StartsFrom: TypeAlias = Literal["pretrained", "previous", "merged"]
"""The weights that a task starts from: θ₀, those of the task before, or the merger's model of all tasks before."""

Weights: TypeAlias = Mapping[str, Tensor]

# Lightning warns of modules in evaluation mode: θ₀'s, a frozen encoder's, or layers with running statistics.
warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start of training")


class TaskTrainer(pl.LightningModule):
    """Fine-tunes the whole image encoder on one task after another, with a frozen head.

    The loss is the cross-entropy of the scaled cosine similarities to the task's classes, as a mean over the global
    batch. A subclass changes any of three moments: `begin_task`, the ordinary `training_step` (or its parts,
    `task_loss` and `penalty`), and `end_task`.

    What a trainer knows has one of three lifetimes:

    - The whole run: its settings.
    - From task to task: it names such statistics in `memory`, computes them in `for_later_tasks`, and gets them back in
      `remember`. They are stored with the task's weights, so a run goes on from stored tasks.
    - Within a task: it puts such tensors into `within_task`. Checkpoints keep them, so a run goes on within a task.

    Args:
        given: What every trainer is given.
        starts_from: The weights that a task starts from.

    Attributes:
        leaves: Names of the statistics that can be left behind for mergers.
        memory: Names of the statistics that the trainer itself needs for later tasks.
        within_task: Tensors that grow with every step of a task, by name. A task begins with none; one that goes on
            from a checkpoint begins with those of the checkpoint, on the CPU. They are the same on all processes.
        trains: Whether tasks are trained at all; if not, `end_task` follows right after `begin_task`.
        refines: Whether `refine` trains the merged model once more, from the second task on.
        steps: Optimizer steps of the whole task.
    """

    version: ClassVar[int] = 1
    """Raise it in a class when what the class computes changes: then weights and statistics that an earlier version
    stored are not used again. This one stands for what all trainers share: loss, optimizer and schedule, order of
    images and crops, random numbers, statistics."""

    leaves: ClassVar[frozenset[str]] = frozenset(STATISTICS)
    memory: ClassVar[frozenset[str]] = frozenset()
    trains: ClassVar[bool] = True

    head: Tensor  # (C, D)
    class_masks: Tensor  # (groups, C) bool: the classes among which images of a group are told apart

    def __init__(self, given: Given, starts_from: StartsFrom = "previous") -> None:
        super().__init__()
        self.encoder = given.encoder
        self.register_buffer("head", given.head.clone(), persistent=False)
        self.register_buffer("class_masks", torch.ones(1, len(given.head), dtype=torch.bool), persistent=False)
        self.optimization = given.optimization
        self.starts_from = starts_from
        self.keep = given.keep
        self.transform = given.transform
        self.head_rows = HeadRows(given.head_lr)
        self.refines = False
        self.steps = 0
        self.within_task: dict[str, Tensor] = {}
        self._resumed: UnfinishedTask | None = None
        if given.compile:
            self.encoder.compile()

    def experiences(self, scenario: Scenario) -> list[Experience]:
        """Returns what is trained on, task by task."""
        return list(scenario.train_stream)

    def begin_task(
        self, weights: Weights, experience: Experience, steps: int, resumed: UnfinishedTask | None = None
    ) -> None:
        """Gets ready for a task.

        Args:
            weights: What the task starts from.
            experience: The task.
            steps: Optimizer steps of the whole task.
            resumed: How far a run came that was stopped within this task.
        """
        self.class_masks = experience.class_masks.to(self.head.device)
        self.steps, self._resumed = steps, resumed
        self.within_task = dict(resumed.within_task) if resumed else {}
        self.head_rows.begin(self.head, self.class_masks, self.within_task)
        # The run has just seeded torch for this task: order and crops of later passes follow from seed and task alone.
        self._samples, self._pass_seed = experience.samples, torch.initial_seed()
        self.load(resumed.weights if resumed else weights)

    def load(self, weights: Weights) -> None:
        """Takes the weights that training starts from; a mapping as `weights` returns it."""
        self.encoder.load_state_dict(weights)
        self.encoder.requires_grad_(True).train()
        keep_running_statistics(self.encoder)

    def train(self, mode: bool = True) -> "TaskTrainer":
        """Sets the mode as any module does, but running statistics stay θ₀'s, see `backbones.running_statistics`."""
        super().train(mode)
        keep_running_statistics(self.encoder)
        return self

    def weights(self) -> dict[str, Tensor]:
        """Copies what tasks change to the CPU: the encoder's parameters and buffers; before any task, θ₀."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.encoder.state_dict().items()}

    def trained(self) -> dict[str, nn.Parameter]:
        """Returns what the optimizer changes, by name."""
        return {name: p for name, p in self.encoder.named_parameters() if p.requires_grad}

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Returns the loss of one batch."""
        images = to_images(batch, self.transform)
        return self.task_loss(images, batch) + self.penalty()

    def task_loss(self, images: Tensor, batch: Batch) -> Tensor:
        """Returns the part of the loss that depends on the batch."""
        return self.cross_entropy(self.logits(encoded(self.encoder, images)), batch)

    def penalty(self) -> Tensor | float:
        """Returns the part of the loss that depends on the weights alone."""
        return 0.0

    def logits(self, features: Tensor) -> Tensor:
        """Returns (B, C), over all classes of the scenario, from (B, D) features."""
        return functional.linear(functional.normalize(features, dim=1), self.head_rows.of(self.head))

    def cross_entropy(self, logits: Tensor, batch: Batch) -> Tensor:
        """Returns the mean over the global batch, among the classes of each image's group.

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
        """Turns the sum over this process's share of a batch into the mean over the global batch.

        Processes may hold unequal shares, and their gradients are averaged: so the sum is divided by the global size
        and multiplied by the number of processes.
        """
        return total * (distributed.world_size() / batch.global_size)

    def unfinished(self, step: int, seconds: float) -> UnfinishedTask:
        """Returns what a checkpoint keeps after `step` steps, for `begin_task` of a run that goes on from there."""
        return self._after(step, seconds, self.weights())

    def _after(self, step: int, seconds: float, weights: Weights) -> UnfinishedTask:
        within = {**self.within_task, **self.head_rows.unfinished()}
        return UnfinishedTask.after(step, seconds, weights, within, self.trainer.optimizers[0])

    def end_task(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Tensor]]]:
        """Returns the weights after the task, and the statistics that are kept with them, by name; all on the CPU."""
        for_mergers = {name: STATISTICS[name](self) for name in sorted(self.keep) if name in STATISTICS}
        return self.weights(), {**for_mergers, **self.for_later_tasks()}

    @property
    def makes_another_pass(self) -> bool:
        """Whether `end_task` passes over the task's images once more."""
        return bool(self.keep & FROM_ANOTHER_PASS)

    def another_pass(self, title: str, enough: int | None = None) -> Iterator[Batch]:
        """Yields the task's images once more, see `cl_bench.trainers.base.another_pass`."""
        size = self.optimization.batch_size
        for batch in another_pass(self._samples, self._pass_seed, size, self.transform, self.device, title, enough):
            if not self.class_masks[batch.groups].gather(1, batch.labels[:, None]).all():
                raise UserError(
                    f"{type(self).__name__}: class_masks leave out the class of an image that is read for its {title}; "
                    "row 0 has to have the task's own classes, as begin_task gets them."
                )
            yield batch

    def optimizer_state(self) -> Mapping[Tensor, Mapping[str, Tensor]]:
        """Returns what the optimizer knows of each parameter at the end of the task."""
        return self.trainer.optimizers[0].state

    def for_later_tasks(self) -> dict[str, dict[str, Tensor]]:
        """Returns the statistics that `memory` names, at the end of a task; all on the CPU."""
        return {}

    def remember(self, experience: Experience, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Is called after each task in order, whether it was trained now or read from the store.

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
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Limits the norm of the gradient."""
        # Lightning's own way refuses fused optimizers in mixed precision, because of a scaler that bfloat16 has not.
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_([*self.trained().values(), *self.head_rows.parameters()], gradient_clip_val)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Returns a fresh optimizer and a per-step schedule that ends with the task, or those of the stopped run."""
        done = self._resumed.step if self._resumed else 0
        optimizer, schedule = self.optimization.build(self.trained(), self.steps, done, self.head_rows.group())
        if "second_moments" in self.keep and "betas" not in optimizer.defaults:
            name = type(optimizer).__name__
            raise UserError(f"The merger needs AdamW's second moments, which optim.optimizer={name} does not have.")
        if self._resumed:
            self._resumed.restore(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
