"""When models are evaluated, on which images, and in batches of which size."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class Settings:
    """Settings of the group `evaluation`.

    Args:
        when: After every task, or only before the first and after the last.
        split: Which images; `validation` are the training images that the scenario sets aside.
        finetuned: Whether the task's own weights are evaluated before merging, too.
        batch_size: Images per step and device.
        retention: Data sets that are never trained on, whose test images are evaluated, too.
    """

    when: Literal["every_task", "final"] = "every_task"
    split: Literal["test", "validation"] = "test"
    finetuned: bool = True
    batch_size: Annotated[int, Field(ge=1)] = 256
    retention: tuple[str, ...] = ()
