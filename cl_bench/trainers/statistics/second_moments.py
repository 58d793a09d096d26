"""AdamW's second moments."""

from torch import Tensor

from cl_bench.trainers.statistics.learned import Learned


def second_moments(trainer: Learned) -> dict[str, Tensor]:
    """Returns AdamW's running mean of squared gradients at the end of the task, by parameter: its shape, on the CPU."""
    state = trainer.optimizer_state()
    return {
        name: state[parameter]["exp_avg_sq"].detach().cpu().clone()
        for name, parameter in trainer.trained().items()
        if parameter in state
    }
