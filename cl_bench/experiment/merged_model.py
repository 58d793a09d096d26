"""The merged model of a run."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping

from cl_bench.experiment.parts import Parts
from cl_bench.mergers import RunningMerge
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.meter import Meter
from cl_bench.runtime.setting_names import choice
from cl_bench.trainers import Weights


class MergedModel:
    """What the merger has made of all tasks so far; at first θ₀.

    Rank 0 alone merges. Other ranks get models without weights.

    Args:
        parts: Of the run.
        meter: Gets the stage `merging`.

    Attributes:
        keeps_models: Whether the merge needs all tasks' weights again, which should then be files.
        tasks: How many tasks are in it.
        running: What merges, on rank 0.
    """

    def __init__(self, parts: Parts, meter: Meter) -> None:
        self.running, self._scalings, self._meter = _running_merge(parts), parts.scalings, meter
        self.keeps_models = self.running.keeps_models
        self.tasks = 0

    def add(self, weights: Weights, statistics: Mapping[str, Weights]) -> None:
        """Folds in a task's vector."""
        self.tasks += 1
        if distributed.is_main():
            with self._meter.stage("merging"), self._named_errors():
                self.running.add(weights, statistics)

    def restart(self, weights: Weights) -> None:
        """Goes on from these weights instead of what the merger has made."""
        if distributed.is_main():
            with self._named_errors():
                self.running.restart(weights)

    def weights(self) -> Weights:
        """With the first λ, on the CPU."""
        return {name: tensor.cpu() for name, tensor in next(self.with_each_scaling()).items()}

    def with_each_scaling(self) -> Iterator[Weights]:
        """With each λ in turn."""
        models = self.running.merged_with_each(self._scalings) if distributed.is_main() else itertools.repeat({})
        for _ in self._scalings:
            with self._meter.stage("merging"), self._named_errors():
                model = next(models)
            yield model

    def for_task(self, task: int, scaling: float, candidate: float | None) -> Weights:
        """The model of one task, numbered from 1, where each has its own; see `RunningMerge.merged_for`."""
        with self._meter.stage("merging"), self._named_errors():
            if not distributed.is_main():
                return {}
            self.running.merger.scaling = scaling
            return self.running.merged_for(task, candidate)

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:  # a merger says so where values leave the range of numbers
            raise UserError(
                f"{choice('merger', type(self.running.merger))} cannot merge task {self.tasks}: {error}"
            ) from error


def _running_merge(parts: Parts) -> RunningMerge:
    """At θ₀: on the CPU, since most mergers only read files; on the GPU where the merger has more to compute."""
    frozen, statistics = parts.backbone.frozen_parameters, parts.running_statistics
    running = RunningMerge(parts.merger, parts.pretrained, frozen, statistics)
    if parts.devices.kind != "cuda" or not parts.merger.gains_from_a_gpu:
        return running
    pretrained = {name: tensor.to(parts.devices.device) for name, tensor in parts.pretrained.items()}
    return RunningMerge(parts.merger, pretrained, frozen, statistics)
