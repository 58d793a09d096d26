"""When, on what and in which batches models are evaluated."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field


@dataclass(frozen=True)
class Settings:
    """Settings of the group `evaluation`.

    Args:
        when: After every task, or only zero-shot and after the last.
        split: Which images; `validation` is the share of the training images that the scenario sets aside.
        finetuned: Whether the weights of a task are evaluated before merging, too.
        batch_size: Images per step and device.
    """

    when: Literal["every_task", "final"] = "every_task"
    split: Literal["test", "validation"] = "test"
    finetuned: bool = True
    batch_size: Annotated[int, Field(ge=1)] = 256
