"""Another rule, or another λ, for some parameters, by their names."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, FiniteFloat, InstanceOf
from torch import Tensor

from cl_bench.mergers import BaseMerger, Weights
from cl_bench.mergers.engine.in_parts import InParts
from cl_bench.mergers.engine.pretrained import Pretrained
from cl_bench.runtime.errors import shortened


def _made(merger: Any) -> Any:
    if merger is not None and not isinstance(merger, BaseMerger):
        raise ValueError(
            f"merger is {merger!r}; it has to be made, as {{_target_: cl_bench.mergers.Ties, scaling: 0.5}}"
        )
    return merger


@dataclass(frozen=True)
class Rule:
    """What is done with parameters of some names.

    Attributes:
        match: A pattern for whole names, as a shell has it: ``*`` is any text, dots included, and ``?`` one character.
        merger: Merges them; None for the method that merges the others.
        scaling: A factor for their merged task vectors, beside the λ of whatever merges them.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    match: str
    merger: Annotated[InstanceOf[BaseMerger] | None, BeforeValidator(_made)] = None
    scaling: FiniteFloat = 1.0


class ByName(BaseMerger):
    """Parameters whose name fits a pattern have a rule or a λ of their own; the first pattern that fits counts.

    A rule by pattern sees its own parameters alone, and ``of`` those that no rule has. So what looks at a whole model
    looks at these: TIES trims within them, LiNeS counts their blocks, OPCM scales by their length; the
    ``frozen_parameters``, which TIES counts, are with ``of``. Where a pattern only brings a λ, ``of`` sees the
    parameters together with the others, and just what it has merged is multiplied.

    A pattern that fits no parameter, or none that an earlier one leaves, is refused in runs and by the merge command.

    Source: mergekit (arXiv 2403.13257), whose settings may have values by parts of parameters' names.

    Differs from the publication in: mergekit has filters for settings of one rule, and looks for their text anywhere in
    the name; here a pattern is for the whole name, and brings a λ or any other rule.

    Args:
        of: The method that merges what no rule does.
        rules: Patterns, and what each of them brings.
        scaling: λ of the whole model, beside those of the methods and patterns; 1 leaves them as they are.

    Raises:
        ValueError: There are no rules, one brings neither a method nor a λ, or a method makes a model for each
            task or learns on test images.
    """

    kind = "around"
    version: ClassVar[int] = 1
    """Rises when what is computed changes; see ``Merger.version``."""

    def __init__(self, of: InstanceOf[BaseMerger], rules: list[Rule], scaling: float = 1.0) -> None:
        super().__init__(scaling)
        if not rules:
            raise ValueError("rules is empty: name a pattern, and what it brings, [{match: '*attn*', scaling: 0.5}]")
        for rule in rules:
            if rule.merger is None and rule.scaling == 1:
                raise ValueError(f"rules: {rule.match!r} brings nothing: give it a merger, or a scaling other than 1")
        self.of, self.rules = of, rules
        if per_task := [type(method).__name__ for method in self.inside if method.per_task]:
            raise ValueError(f"every method must merge one model for all tasks; {per_task[0]} makes one for each")
        if learning := [type(method).__name__ for method in self.inside if method.sees_test_images]:
            raise ValueError(f"every method must merge without images; {learning[0]} learns on test images")
        self.gains_from_a_gpu = any(method.gains_from_a_gpu for method in self.inside)
        self.requires = frozenset().union(*(method.requires for method in self.inside))

    @property
    def inside(self) -> Sequence[BaseMerger]:
        """All methods."""
        return (self.of, *(rule.merger for rule in self.rules if rule.merger is not None))

    @property
    def memory(self) -> str:
        """What the methods keep of their own parameters."""
        return ", ".join(dict.fromkeys(method.memory for method in self.inside))

    def fits(self, statistic: Tensor, parameter: Tensor) -> bool:
        """Whether a statistic has the shape that one of the methods wants; each looks at its own."""
        return any(method.fits(statistic, parameter) for method in self.inside)

    def check_names(self, names: Sequence[str]) -> None:
        """Refuses patterns that fit none of these, and what the methods refuse."""
        *by_rule, others = self._sorted(names)
        for rule, own in zip(self.rules, by_rule, strict=True):
            if not own:
                taken = any(fnmatchcase(name, rule.match) for name in names)
                left = " that an earlier pattern leaves" if taken else ""
                raise ValueError(f"rules: no parameter{left} fits {rule.match!r}; there are: {shortened(names)}")
            if rule.merger is None:
                others = [*others, *own]
            else:
                rule.merger.check_names(own)
        self.of.check_names(others)

    def check_tasks(self, parameters: Weights, tasks: int) -> None:
        """Each method looks at its own parameters."""
        *by_rule, others = self._sorted(parameters)
        methods = [rule.merger or self.of for rule in self.rules]
        for method, own in zip((*methods, self.of), (*by_rule, others), strict=True):
            method.check_tasks({name: parameters[name] for name in own}, tasks)

    def begin(self, pretrained: Pretrained) -> InParts:
        """Starts a merge by each method, of its own parameters."""
        parts, factors = list[tuple[BaseMerger, Pretrained]](), dict[str, float]()
        *by_rule, others = self._sorted(pretrained.parameters)
        for rule, own in zip(self.rules, by_rule, strict=True):
            factors |= dict.fromkeys(own, rule.scaling)
            if rule.merger is not None and own:
                parts.append((rule.merger, pretrained.only(own, 0)))
        ruled = {name for _, part in parts for name in part.parameters}
        if others := [name for name in pretrained.parameters if name not in ruled]:
            parts.append((self.of, pretrained.only(others, pretrained.frozen_parameters)))
        return InParts(self, pretrained, parts, factors)

    def _sorted(self, names: Iterable[str]) -> list[list[str]]:
        """The names that each rule has, since no earlier one has them, and last those that fit no pattern."""
        found: list[list[str]] = [[] for _ in range(len(self.rules) + 1)]
        for name in names:
            fitting = (place for place, rule in enumerate(self.rules) if fnmatchcase(name, rule.match))
            found[next(fitting, -1)].append(name)
        return found
