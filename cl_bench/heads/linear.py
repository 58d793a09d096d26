"""A head whose rows are trained with the tasks that bring them."""

from typing import Annotated

from pydantic import Field

from cl_bench.heads.head import HeadSettings


class Linear(HeadSettings):
    """Rows of new classes start as the class means, are trained with their task, and are frozen afterwards.

    The rows of the classes that arrive with a task are trained together with the encoder, by the same optimizer and
    schedule at a learning rate of their own. They are stored with θ_t, and never merged: a merged model is evaluated
    with the rows that each task has left. Logits are rows times normalized features, without a bias.

    Args:
        lr: Learning rate of the rows after the warm-up.
    """

    def __init__(self, lr: Annotated[float, Field(ge=0)] = 1e-2) -> None:
        self.lr = lr
