"""The library's face of a merge that grows task by task."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from torch import Tensor

from cl_bench.mergers.engine.base import BaseMerger
from cl_bench.mergers.engine.blocks import Stack, Weights
from cl_bench.mergers.engine.pretrained import Pretrained
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.store.models import Model


class RunningMerge:
    """A merge that grows task by task. Each kind of merger runs in its own way; see ``Running``.

    Args:
        merger: The rule. Its ``scaling`` may be changed at any time; it only counts in ``merged``.
        pretrained: θ_0, kept by reference: it must not be changed while the merge runs.
        frozen_parameters: See ``BaseMerger.merge``.
        running_statistics: See ``BaseMerger.merge``.

    Raises:
        ValueError: ``pretrained`` has a complex, NaN or infinite parameter.
    """

    def __init__(
        self,
        merger: BaseMerger,
        pretrained: Model,
        frozen_parameters: int = 0,
        running_statistics: RunningStatistics = "pretrained",
    ) -> None:
        self.merger = merger
        self._running = merger.begin(Pretrained(pretrained, frozen_parameters, running_statistics))

    @property
    def tasks(self) -> int:
        """Number of tasks added."""
        return self._running.tasks

    @property
    def parameters(self) -> list[str]:
        """The names of what is merged."""
        return self._running.pretrained.parameters

    def stack(self, name: str) -> Stack:
        """One parameter of all tasks so far.

        Raises:
            ValueError: The rule keeps a state instead of the tasks' weights.
        """
        if self._running.models is None:
            raise ValueError(f"{type(self.merger).__name__} does not keep the tasks' weights")
        return self._running.models.stack(name)

    @property
    def keeps_models(self) -> bool:
        """Whether the weights of all tasks are kept by reference; then they are best mapped from files."""
        return self._running.keeps_models

    def add(self, weights: Model, statistics: Mapping[str, Model] = MappingProxyType({})) -> None:
        """Folds in the weights of one more task. Weights that are refused leave everything as it was.

        Args:
            weights: θ_t.
            statistics: What its training left behind: one tensor per name and parameter, of the parameter's shape
                unless ``BaseMerger.fits`` says otherwise. Parameters that are not there, since they were not trained,
                have zeros.

        Raises:
            ValueError: Names or shapes differ from ``pretrained``, a value is NaN or infinite, or statistics that the
                rule requires are missing.
        """
        self._running.add(weights, statistics)

    def merged(self) -> dict[str, Tensor]:
        """Returns the merged weights of all tasks so far, in new tensors; before the first task, θ_0.

        Raises:
            ValueError: A merged value leaves the range of the parameter's type; or the rule is ``per_task``.
        """
        return self._running.merged()

    def merged_for(self, task: int, candidate: float | None = None) -> dict[str, Tensor]:
        """Returns the model of one task, in new tensors, where the rule is ``per_task``.

        Args:
            task: Its number, from 1.
            candidate: One of ``PerTaskMerger.candidates``; None for what the rule's own settings say.

        Raises:
            ValueError: As ``merged``; the task was not added; or the rule makes one model for all tasks.
        """
        return self._running.merged_for(task, candidate)

    def finish(self) -> dict[str, Tensor]:
        """Returns what ``merged`` does, in the room that the state makes for it: nothing can be added any more.

        Raises:
            ValueError: As ``merged``.
        """
        return self._running.finish()

    def merged_with_each(self, scalings: Iterable[float]) -> Iterator[dict[str, Tensor]]:
        """Yields what ``merged`` returns with each λ in turn; what does not depend on λ is computed once."""
        return self._running.merged_with_each(scalings)

    def restart(self, weights: Weights) -> None:
        """Takes these weights for what was merged so far; the next task is folded into them.

        Raises:
            ValueError: As ``add``; or the rule cannot, see ``BaseMerger.restarts``.
        """
        self._running.restart(weights)

    def state_dict(self) -> dict[str, Tensor]:
        """Returns a copy of the running state: ``tasks``, and ``<state>/<parameter>`` for each of both.

        A rule that sees all tasks together has the models themselves instead, not copied: ``<task>/<name>`` for weights
        and buffers, and ``<task>.<statistic>/<parameter>`` for what their training left behind. A rule around another
        has its notes, and the other's state with ``of.`` before each name; a rule by name has the states of all of
        its rules, with their number before each name.
        """
        return self._running.state_dict()

    def load_state_dict(self, state_dict: Weights) -> None:
        """Goes on from where ``state_dict`` was taken, with the same rule, settings and θ_0.

        Tensors of models that are kept whole are not copied, and must not be changed while the merge runs.

        Raises:
            ValueError: The names, shapes or types are not those of this merge, or a model's value is NaN or infinite.
        """
        self._running.load_state_dict(state_dict)
