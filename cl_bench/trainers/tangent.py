"""Fine-tuning in the tangent space."""

from dataclasses import replace
from typing import ClassVar

from torch.nn.parallel import DistributedDataParallel

from cl_bench.backbones.linearized import Linearized
from cl_bench.trainers.base.given import Given
from cl_bench.trainers.base.task_trainer import StartsFrom, TaskTrainer


class Tangent(TaskTrainer):
    """Trains and evaluates the encoder's linearization around the pre-trained weights.

    f_lin(x; θ) = f(x; θ₀) + ∂f(x; θ₀)/∂θ · (θ - θ₀), with θ₀ the same for all tasks; see `Linearized`.

    Source: Ortiz-Jimenez, Favero and Frossard 2023, "Task Arithmetic in the Tangent Space", arXiv 2305.12827, for
    tasks on their own; one task after another, CMM: Phan, Cha, Tran and Lei, arXiv 2509.23592.

    Args:
        given: What every trainer is given.
        checkpointing: Whether the backward pass computes activations again, to save memory.
        starts_from: The weights that a task starts from. The linearization always is around θ₀.
    """

    # Not `grams`: f_lin is linear in θ as a whole, not layer by layer in what a layer reads.
    leaves: ClassVar[frozenset[str]] = TaskTrainer.leaves - {"grams"}

    def __init__(
        self,
        given: Given,
        checkpointing: bool = False,
        starts_from: StartsFrom = "previous",
    ) -> None:
        super().__init__(replace(given, encoder=Linearized(given.encoder, checkpointing)), starts_from)
        hold_back_constants(self)


def hold_back_constants(trainer: TaskTrainer) -> None:
    """Keeps process groups from broadcasting θ₀ before every step, as they do with buffers: it never changes."""
    constants = [name for name, _ in trainer.named_buffers() if name.startswith("encoder.origin.")]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(trainer, constants)
