"""Where and how a run computes: the settings of the group `lightning`, and the `pl.Trainer` that they make."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pydantic import Field

from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.float32_products import MatmulPrecision, float32_products

# Lightning introduces itself again for every task. It also warns of its own use of an old name in torch, of modules
# that do not learn (such as the encoder if only the head does), of a task that was stopped after its last step, and
# wherever SLURM is installed.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`")
warnings.filterwarnings("ignore", message=r"Total length of `\w+` across ranks is zero")
warnings.filterwarnings("ignore", message=r"The `srun` command is available")
warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")

Precision = Literal["32-true", "bf16-mixed"]


@dataclass(frozen=True)
class Devices:
    """Settings of the group `lightning`.

    Args:
        accelerator: Kind of device; `auto` takes the best one available.
        devices: How many on each node, with one process each; `auto` takes all.
        nodes: Machines that share a run, which is started on each of them: see `cl_bench.launching.nodes`.
        precision: Of training and evaluation.
        matmul_precision: Of products of float32 matrices in training and evaluation; merging does not change. On
            GPUs that have TF32, convolutions, such as the patch embedding, use it either way: PyTorch's default.
        compile: Whether the encoder goes through `torch.compile`.
        workers: Processes per device that fetch images; 0: the training process does. None: 0 for images in arrays, up
            to eight for others.
        limit_train_batches: The most steps per epoch, or a share of them if it is not a whole number; None: all.
        checkpoint_steps: Steps between two checkpoints within a task; None: only time decides.
        checkpoint_minutes: Minutes between two checkpoints within a task; None: only steps decide.
    """

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    nodes: Annotated[int, Field(ge=1)] = 1
    precision: Precision = "32-true"
    matmul_precision: MatmulPrecision = "highest"
    compile: bool = False
    workers: Annotated[int, Field(ge=0)] | None = None
    limit_train_batches: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)] | None = None
    checkpoint_steps: Annotated[int, Field(ge=1)] | None = None
    checkpoint_minutes: Annotated[float, Field(gt=0)] | None = 10.0

    @property
    def kind(self) -> str:
        """`cuda`, `mps` or `cpu`.

        Raises:
            UserError: The machine has no device of this kind.
        """
        there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
        if self.accelerator == "auto":
            return next(kind for kind, available in there.items() if available)
        kind = "cuda" if self.accelerator == "gpu" else self.accelerator
        if not there[kind]:
            raise UserError(
                f"lightning.accelerator={self.accelerator}: this machine has none; lightning=cpu uses the CPU."
            )
        return kind

    @property
    def count(self) -> int:
        """Number of devices, and of processes, on this node.

        Raises:
            UserError: The machine has fewer GPUs.
        """
        there = {"cuda": torch.cuda.device_count(), "mps": 1}.get(self.kind)
        if self.devices == "auto":
            return there or 1
        if there is not None and self.devices > there:
            raise UserError(f"lightning.devices={self.devices}: this machine has {there}.")
        return self.devices

    @property
    def world_size(self) -> int:
        """Number of processes on all nodes."""
        return self.nodes * self.count

    @property
    def device(self) -> torch.device:
        """This process's device."""
        return torch.device(self.kind, distributed.local_rank()) if self.kind == "cuda" else torch.device(self.kind)

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """The context in which the encoder runs outside of training."""
        is_mixed = self.precision == "bf16-mixed"
        with self.products(), torch.autocast(self.kind, torch.bfloat16) if is_mixed else contextlib.nullcontext():
            yield

    def products(self) -> contextlib.AbstractContextManager[None]:
        """The context in which a task is trained: Lightning sees to `precision`, but not to `matmul_precision`."""
        return float32_products(self.matmul_precision)

    @contextlib.contextmanager
    def compilation_explained(self) -> Iterator[None]:
        """Within the block, a machine on which `torch.compile` fails, such as one without a C++ compiler, is told."""
        try:
            yield
        except RuntimeError as error:
            if not (self.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))):
                raise
            reason = str(error).partition("\n")[0]
            raise UserError(
                f"lightning.compile=true: torch.compile fails on this machine: {reason}; leave it out, or see the "
                "traceback with debug=true."
            ) from error

    def trainer(self, gradient_clip: float | None, callbacks: list[pl.Callback]) -> pl.Trainer:
        """A new Lightning trainer for one task: fitting the same one twice silently does nothing.

        To Lightning, all steps of a task are one epoch. The loader counts epochs itself, also in a resumed task.
        """
        return pl.Trainer(
            accelerator={"cuda": "gpu"}.get(self.kind, self.kind),
            devices=self.count,
            num_nodes=self.nodes,
            strategy="ddp" if self.world_size > 1 else "auto",
            plugins=[TorchElasticEnvironment() if self.world_size > 1 else LightningEnvironment()],  # never SLURM's
            precision=self.precision,
            max_epochs=1,
            gradient_clip_val=gradient_clip,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
