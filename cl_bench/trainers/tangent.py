"""Fine-tuning in the tangent space."""

import warnings
from typing import Any, ClassVar

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from cl_bench.backbones.linearized import Linearized
from cl_bench.trainers.task_trainer import StartsFrom, TaskTrainer

# Lightning warns of the modules of θ₀, which stay in evaluation mode on purpose.
warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode at the start of training")


class Tangent(TaskTrainer):
    """Trains, and is evaluated as, the encoder's linearization around the pre-trained weights.

    f_lin(x; θ) = f(x; θ₀) + ∂f(x; θ₀)/∂θ · (θ - θ₀), with θ₀ the same for all tasks; see `Linearized`.

    Source: Ortiz-Jimenez, Favero and Frossard 2023, "Task Arithmetic in the Tangent Space", arXiv 2305.12827, for
    tasks on their own; one task after another, CMM: Phan, Cha, Tran and Lei, arXiv 2509.23592.

    Args:
        encoder: The image encoder, at θ₀.
        *arguments: As for every trainer.
        checkpointing: Whether activations are computed again in the backward pass, which takes less memory.
        starts_from: The weights that a task starts from; whichever they are, the expansion is around θ₀.
        **options: As for every trainer.
    """

    # Not `grams`: what f_lin is linear in are θ as a whole, not what its layers read.
    leaves: ClassVar[frozenset[str]] = TaskTrainer.leaves - {"grams"}

    def __init__(
        self,
        encoder: nn.Module,
        *arguments: Any,
        checkpointing: bool = False,
        starts_from: StartsFrom = "previous",
        **options: Any,
    ) -> None:
        super().__init__(Linearized(encoder, checkpointing), *arguments, starts_from=starts_from, **options)
        hold_back_constants(self)


def hold_back_constants(trainer: TaskTrainer) -> None:
    """θ₀ never changes, so processes need not hand it round before every step, as they do with other buffers."""
    constants = [name for name, _ in trainer.named_buffers() if name.startswith("encoder.origin.")]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(trainer, constants)
