"""What merges share whose rule gives the merged task vector of one whole parameter after the other."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch import Tensor

from cl_bench.mergers.engine.base import Running
from cl_bench.mergers.engine.pretrained import room_for, settle
from cl_bench.store.models import Model


class WholeParameters(Running):
    """A running merge that writes one parameter after the other: that takes the memory of one."""

    def all_at_once(
        self, models: Sequence[tuple[Model, Mapping[str, Model]]], on_progress: Callable[[float], None]
    ) -> dict[str, Tensor]:
        """Just ``add`` of each and then ``merged``."""
        for weights, statistics in models:
            self.add(weights, statistics)
            on_progress(0.5 / len(models))
        merged = self.merged()
        on_progress(0.5)
        return merged

    def merged(self) -> dict[str, Tensor]:
        """θ_0 + λ · the merged task vector of each parameter."""
        return self.written(self.vectors()) if self.tasks else self.pretrained.copied()

    def finish(self) -> dict[str, Tensor]:
        """The same: there is no state to make room."""
        return self.merged()

    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """Merges once, and writes with each λ."""
        vectors: dict[str, Tensor] = {}
        if self.tasks:
            vector = self.vectors()
            vectors = {name: vector(name) for name in self.pretrained.parameters}
        for self.merger.scaling in scalings:
            yield self.written(vectors.__getitem__) if self.tasks else self.pretrained.copied()

    def written(
        self, vector: Callable[[str], Tensor], done: Callable[[str], None] = lambda name: None
    ) -> dict[str, Tensor]:
        """Writes a model.

        Args:
            vector: Gives the merged task vector of a parameter.
            done: Called with the name of each parameter when it is written.
        """
        model = self.new_model()
        for name in self.pretrained.parameters:
            result = room_for(model[name])
            result.copy_(vector(name).mul(self.merger.scaling).add_(self.pretrained.start(name)))
            settle(name, result, model[name])
            done(name)
        return model
