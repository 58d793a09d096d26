"""Merges in which different rules merge different parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger, Running
from cl_bench.mergers.engine.blocks import Weights
from cl_bench.mergers.engine.pretrained import Pretrained
from cl_bench.mergers.engine.whole_parameters import WholeParameters
from cl_bench.store.models import Model


class InParts(WholeParameters):
    """The running merge of several rules, each of which sees its own parameters and no others.

    Args:
        merger: The rule that the others belong to.
        pretrained: θ_0.
        parts: Each rule with what it merges of θ_0; together, all parameters.
        factors: By what the merged task vector of a parameter is multiplied, beside its rule's λ; 1 for other names.
    """

    def __init__(
        self,
        merger: BaseMerger,
        pretrained: Pretrained,
        parts: Sequence[tuple[BaseMerger, Pretrained]],
        factors: Mapping[str, float],
    ) -> None:
        super().__init__(merger, pretrained)
        self._parts = [rule.begin(own) for rule, own in parts]
        self._factors = factors

    @property
    def keeps_models(self) -> bool:
        """Whether one of the rules keeps them."""
        return any(part.keeps_models for part in self._parts)

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Hands each rule its own part of one more task, after all rules have looked at theirs."""
        task = self.checked(self.tasks + 1, weights, statistics, values=False)
        starts = self.pretrained.weights
        self.merger.check_tasks({name: starts[name] for name in self.pretrained.parameters}, task.number)
        own = [
            (part, _Only(task.weights, part.pretrained.weights), _own(task.statistics, part)) for part in self._parts
        ]
        for part, its_weights, its_statistics in own:
            part.checked(task.number, its_weights, its_statistics)
        for part, its_weights, its_statistics in own:
            part.add(its_weights, its_statistics)
        self.averages.add(task.weights)
        self.tasks = task.number

    def vectors(self) -> Callable[[str], Tensor]:
        """Each parameter's is that of its rule, with the rule's λ."""
        of_rule = {
            name: (vector, part.merger.scaling * self._factors.get(name, 1.0))
            for part, vector in [(part, part.vectors()) for part in self._parts]
            for name in part.pretrained.parameters
        }

        def vector(name: str) -> Tensor:
            unscaled, scaling = of_rule[name]
            return unscaled(name).mul(scaling)

        return vector

    def state(self) -> dict[str, Tensor]:
        """The states of all rules, with their number from 0 before each name."""
        return {
            f"{number}.{name}": tensor
            for number, part in enumerate(self._parts)
            for name, tensor in part.state().items()
        }

    def loader(self, saved: Weights, tasks: int) -> Callable[[], None]:
        """Checks the states of all rules."""
        of_parts: list[dict[str, Tensor]] = [{} for _ in self._parts]
        for name, tensor in saved.items():
            number, _, own = name.partition(".")
            if number not in map(str, range(len(of_parts))):
                raise ValueError(f"state_dict has the unknown {name!r}")
            of_parts[int(number)][own] = tensor
        loads = [part.loader(own, tasks) for part, own in zip(self._parts, of_parts, strict=True)]

        def load() -> None:
            for part, load_part in zip(self._parts, loads, strict=True):
                load_part()
                part.tasks = tasks

        return load


def _own(statistics: Mapping[str, Weights], part: Running) -> dict[str, Weights]:
    return {
        key: {name: tensor for name, tensor in statistics[key].items() if name in part.pretrained.weights}
        for key in part.merger.requires
    }


class _Only(Mapping[str, Tensor]):
    """Some of a model's tensors, which are read from it one by one."""

    def __init__(self, weights: Weights, names: Mapping[str, object]) -> None:
        self._weights, self._names = weights, names

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
