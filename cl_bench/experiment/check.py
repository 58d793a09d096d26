"""A look at a configuration before anything is started: what `parts.build` would refuse, found in seconds."""

import copy
from collections.abc import Mapping
from typing import Any

import torch

from cl_bench.backbones import Backbone
from cl_bench.experiment import few_shot, rehearsal
from cl_bench.experiment.experts.finding import find_experts
from cl_bench.experiment.head import check_head, first_arrivals
from cl_bench.experiment.retention import retained_scenario
from cl_bench.experiment.scenario import make_scenario
from cl_bench.experiment.settings import group_settings, part, read_settings
from cl_bench.experiment.together import (
    check_split,
    check_together,
    make_trainer,
    rehearse_merger,
    with_task_weights,
)
from cl_bench.heads import Head
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.instantiate import bound
from cl_bench.runtime.memo import Memo


def check(config: Mapping[str, Any], memo: Memo) -> Devices:
    """Looks for whatever can be wrong with a configuration, without images, a head, or training.

    Args:
        config: Of a job.
        memo: What was made for other jobs.

    Returns:
        Its devices, which may not be those of this machine.

    Raises:
        Missing: Data or weights are not there.
        UserError: What `build` would raise of the settings.
    """
    settings = read_settings(config)
    bound(group_settings(config, "logger"), "logger")
    node = group_settings(config, "scenario")
    if not any(isinstance(node.get(name), Mapping) for name in ("dataset", "datasets")):
        few_shot.check(config)
        bound(node, "scenario")  # it fetches its images itself
        return settings.devices
    data = [config.get("dataset"), config.get("task_order"), node]
    scenario = memo(["scenario", data], lambda: make_scenario(config, memo))
    check_split(settings, scenario)
    retained_scenario(config, scenario, memo)
    backbone = memo(["backbone", config.get("backbone")], lambda: part(config, "backbone", Backbone))
    kind = settings.head_settings
    check_head(settings, config, backbone)
    find_experts(config, scenario, backbone, settings.store_dir, memo)

    def rehearse() -> None:
        classes = sum(len(labels.class_names) for labels in scenario.labels)
        rows = torch.zeros(classes, backbone.feature_size)
        head = Head(rows, None if kind.from_words else first_arrivals(scenario), kind.lr)
        rehearsal.scenario(scenario)
        rehearsal.backbone(backbone, rows)
        trainer = make_trainer(config, settings, backbone, head, copy.deepcopy(backbone.encoder))
        experiences = check_together(settings, scenario, trainer)
        with_task_weights(config, settings, trainer, experiences)
        rehearse_merger(config, settings, backbone, trainer, experiences)

    parts = ("backbone", "head", "trainer", "merger", "optim", "lightning", "evaluation")
    memo(["together", data, [config.get(part) for part in parts]], rehearse)
    return settings.devices
