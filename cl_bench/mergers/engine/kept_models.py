"""The weights of all tasks, for mergers that see them together."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from cl_bench.mergers.engine.blocks import Stack, Weights
from cl_bench.mergers.engine.checks import Asks, check_task, needed_statistics
from cl_bench.mergers.engine.pretrained import Pretrained


class _Model(NamedTuple):
    weights: Weights
    statistics: Mapping[str, Weights]


class KeptModels:
    """The tasks' weights, kept by reference: mapped from files, they take no memory.

    Args:
        pretrained: θ_0.
        asks: The merger whose statistics are kept beside the weights; None for no statistics.
    """

    def __init__(self, pretrained: Pretrained, asks: Asks | None = None) -> None:
        self._pretrained, self._asks = pretrained, asks
        self._models: list[_Model] = []

    def append(self, weights: Weights, statistics: Mapping[str, Weights] = MappingProxyType({})) -> None:
        """Keeps one more task, which was checked."""
        self._models.append(_Model(weights, statistics))

    def stack(self, name: str, overview: Weights = MappingProxyType({})) -> Stack:
        """One parameter of all tasks."""
        weights = [model.weights[name] for model in self._models]
        statistics = [{key: tensors.get(name) for key, tensors in model.statistics.items()} for model in self._models]
        return Stack(name, self._pretrained.start(name), weights, statistics, overview)

    def state(self) -> dict[str, Tensor]:
        """All tensors: ``<task>/<name>`` of weights and buffers, ``<task>.<statistic>/<parameter>`` beside them."""
        named = dict[str, Tensor]()
        for task, model in enumerate(self._models, start=1):
            parts = {f"{task}": model.weights} | {f"{task}.{key}": own for key, own in model.statistics.items()}
            for part, tensors in parts.items():
                names = self._pretrained.weights if part == f"{task}" else tensors
                # Contiguous, since files know no other layout.
                named |= {f"{part}/{name}": tensors[name].detach().contiguous() for name in names}
        return named

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """Checks what ``state`` gave, and returns what takes these models in place of the present ones.

        Raises:
            ValueError: A name, shape or type is not that of a task's model, or a value is NaN or infinite.
        """
        requires = sorted(self._asks.requires) if self._asks else []
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for task in range(1, tasks + 1) for part in (f"{task}", *(f"{task}.{key}" for key in requires))
        }
        for saved_name, tensor in saved.items():
            part, _, name = saved_name.partition("/")
            if part not in parts:
                raise ValueError(f"state_dict has the unknown {saved_name!r}")
            parts[part][name] = tensor
        parameters = {name: self._pretrained.weights[name] for name in self._pretrained.parameters}
        models = []
        for task in range(1, tasks + 1):
            called, weights = f"state_dict (task {task})", parts[f"{task}"]
            check_task(called, weights, self._pretrained.weights)
            statistics: dict[str, Weights] = {key: parts[f"{task}.{key}"] for key in requires}
            if self._asks:
                statistics = needed_statistics(called, statistics, self._asks, parameters)
            models.append(_Model(weights, statistics))

        def load() -> None:
            self._models = models

        return load
