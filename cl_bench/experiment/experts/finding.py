"""The experts of a run, from its configuration."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cl_bench.backbones import Backbone
from cl_bench.experiment.experts.checked import Expert, check, warn
from cl_bench.experiment.experts.located import Located, locate
from cl_bench.experiment.experts.published import published
from cl_bench.experiment.experts.sources import ALL_TASKS, Source, sources
from cl_bench.experiment.settings import group_settings
from cl_bench.runtime import distributed
from cl_bench.runtime.errors import UserError, each
from cl_bench.runtime.instantiate import located, validated
from cl_bench.runtime.memo import Memo
from cl_bench.scenarios import Scenario
from cl_bench.trainers.imported import Imported, Sources


def find_experts(
    config: Mapping[str, Any], scenario: Scenario, backbone: Backbone, store_dir: Path, memo: Memo | None = None
) -> tuple[Expert, ...]:
    """Finds, reads and checks all experts, before anything is evaluated; none where the trainer learns.

    Args:
        config: Of the run.
        scenario: Says which tasks there are.
        backbone: At θ₀.
        store_dir: The store, which keeps what was found of files.
        memo: What was found for other runs.

    Raises:
        Missing: Files are not here and cannot be fetched.
        UserError: The setting does not fit the tasks, or experts do not fit θ₀; names all tasks.
    """
    memo = memo or Memo()
    wanted = _wanted(config, scenario, backbone)
    start, pretrained = backbone.identity, backbone.encoder.state_dict()

    def checked(found: Located) -> Expert:
        of = ["expert", [str(part) for part in found], start]
        expert: Expert = memo(of, lambda: check(found, pretrained, start, store_dir))
        return expert

    in_any_order = sorted(wanted)  # jobs of a sweep differ in it
    places: list[Located] = memo(["experts", in_any_order], lambda: locate(in_any_order))
    found = dict(zip(in_any_order, each(places, checked), strict=True))
    experts = tuple(found[source] for source in wanted)
    if distributed.is_main():
        warn(experts)
    return experts


def _wanted(config: Mapping[str, Any], scenario: Scenario, backbone: Backbone) -> list[Source]:
    node = group_settings(config, "trainer")
    trainer = located(node, "trainer")
    if not (inspect.isclass(trainer) and issubclass(trainer, Imported)):
        return []
    weights = node.get("weights")
    if trainer.one_for_all:
        if weights in (None, "???"):
            raise UserError("trainer.weights is missing: name the model, such as trainer.weights=merged.safetensors.")
        return [Source(ALL_TASKS, (validated(weights, str, "trainer.weights"),))]
    tasks = [experience.name for experience in scenario.test_stream]
    wanted = sources(validated(weights, Sources | None, "trainer.weights"), tasks, backbone.name)
    _check_parts(wanted, scenario)
    return wanted


def _check_parts(wanted: Sequence[Source], scenario: Scenario) -> None:
    """Refuses published experts of another part of a data set, such as EMNIST's letters for its digits."""
    known = published()
    theirs = {source.task for source in wanted if source.places[0].startswith(f"{known.owner}/")}
    for data in scenario.datasets:
        classes = known.classes.get(data.name, len(data.class_names))
        if data.name in theirs and classes != len(data.class_names):
            raise UserError(
                f"{data.name}: the published experts are for {classes} classes, but here it has "
                f"{len(data.class_names)}: name an expert of these in trainer.weights."
            )
