"""From the configuration to the parts of a run.

Whatever can be wrong with either is found here, before anything is trained.
"""

import copy
import logging
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, FiniteFloat
from pytorch_lightning.loggers import Logger
from torch import Tensor, nn

from cl_bench.backbones import Backbone
from cl_bench.datasets.releases.catalog import releases
from cl_bench.datasets.releases.verify import sizes
from cl_bench.evaluation import KINDS, Evaluator, Kind, Settings
from cl_bench.experiment import rehearsal
from cl_bench.experiment.head import head_identity, left_out, scenario_head
from cl_bench.experiment.scenario_name import are_ours
from cl_bench.experiment.user_parts import made
from cl_bench.images.images import ImageDataset
from cl_bench.mergers import Merger
from cl_bench.mergers.engine.running_statistics import RunningStatistics
from cl_bench.runtime import distributed, source_code
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import bound, validated
from cl_bench.runtime.memo import Memo
from cl_bench.runtime.setting_names import choice
from cl_bench.scenarios import Experience, Scenario, images_needed
from cl_bench.store import permissions, recordable, schema
from cl_bench.trainers import Given, Optimization, TaskTrainer

log = logging.getLogger(__name__)

_TRAINING = ("backbone", "scenario", "trainer", "optim", "lightning")  # whose classes shape the trained weights
_NUMBERS = (*_TRAINING, "merger", "evaluation")


@dataclass(frozen=True)
class Parts:
    """Everything that takes part in a run.

    Attributes:
        seed: Of training.
        store_dir: Where streams and heads are kept.
        pretrained: θ₀ of what is trained: the encoder, or the head alone.
        head: (C, D), one row per class of the scenario.
        left_out: Kinds of accuracy that mean nothing here, and why.
        experiences: What is trained on, task by task.
        training: Plain data that differ whenever the trained weights do; their hash is the stream's fingerprint.
        code: What `source_code.code_of` says of all classes that shape the run's numbers.
        scalings: All λ with which the merged model is evaluated; the merger begins with the first.
        running_statistics: What becomes of normalization layers' statistics in the merged model.
    """

    seed: int
    store_dir: Path
    devices: Devices
    evaluation: Settings
    logger: Logger
    backbone: Backbone
    scenario: Scenario
    merger: Merger
    optimization: Optimization
    trainer: TaskTrainer
    pretrained: dict[str, Tensor]
    head: Tensor
    left_out: dict[str, str]
    experiences: list[Experience]
    training: dict[str, Any]
    code: dict[str, Any]
    scalings: tuple[float, ...]
    running_statistics: RunningStatistics

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of accuracy that are reported."""
        return tuple(kind for kind in KINDS if kind not in self.left_out)

    def evaluator(self, split: str) -> Evaluator:
        """Evaluates encoders on the `test` or the `validation` images."""
        samples, class_masks = self.scenario.evaluated(split)
        return Evaluator(
            self.trainer.encoder,
            self.head,
            self.backbone.transform,
            samples,
            class_masks,
            self.evaluation.batch_size,
            self.devices.workers,
            self.devices.device,
            self.devices.autocast,
        )


def build(config: Mapping[str, Any]) -> Parts:
    """Instantiates all parts and checks that they go together.

    Raises:
        UserError: A setting is unknown, missing or of a wrong type; parts that do not go together; data or weights
            that are not there.
    """
    settings = _settings(config)
    code, training_code = (source_code.code_of(config, groups) for groups in (_NUMBERS, _TRAINING))
    store_dir = _there(settings.store_dir)
    logger = _part(config, "logger")
    scenario = _scenario(config)
    rehearsal.scenario(scenario)
    if distributed.is_main():
        schema.open_store(store_dir)
        _warn_of_unseen_code(config)
        if are_ours(config):
            _warn_of_other_sizes(scenario, str(config["paths"]["data_dir"]))
    _check_split(settings, scenario)
    backbone: Backbone = _part(config, "backbone")
    # The main process reads all files, and then the others see what it has found.
    with permissions.explained("paths.prepared_dir=…"), distributed.main_first():
        if backbone.transform.resampling == "batched":
            scenario.prepare(backbone.transform.size, settings.prepared_dir)
        else:
            scenario.look_at_files(settings.prepared_dir)
    heads_dir = store_dir / "heads"
    with permissions.explained("paths.store_dir=…"):
        head = distributed.from_main(scenario_head(backbone, scenario, heads_dir) if distributed.is_main() else None)
    numbers_left_out = left_out(head, scenario, config)
    rehearsal.backbone(backbone, head)
    trainer = _trainer(config, settings, backbone, head)
    experiences = _check_together(settings, scenario, trainer)
    training = {
        "schema": schema.SCHEMA,
        "backbone": backbone.identity,
        "head": head_identity(backbone, scenario),
        "scenario": scenario.identity(),
        "trainer": config["trainer"],
        "optim": config["optim"],
        "precision": settings.devices.precision,
        "limit_train_batches": settings.devices.limit_train_batches,
        "seed": settings.seed,
        "code": training_code,
    }
    if trainer.starts_from == "merged" or trainer.refines:
        training |= {
            "merger": config["merger"],
            "frozen_parameters": backbone.frozen_parameters,
            "running_statistics": settings.running_statistics,
            "code": code,
        }
    if distributed.is_main():
        _rehearse_merger(config, settings, backbone, trainer)
    return Parts(
        seed=settings.seed,
        store_dir=store_dir,
        devices=settings.devices,
        evaluation=settings.evaluation,
        logger=logger,
        backbone=backbone,
        scenario=scenario,
        merger=settings.merger,
        optimization=settings.optimization,
        trainer=trainer,
        pretrained=trainer.weights(),
        head=head,
        left_out=numbers_left_out,
        experiences=experiences,
        training=training,
        code=code,
        scalings=settings.scalings,
        running_statistics=settings.running_statistics,
    )


def build_here(config: Mapping[str, Any]) -> Parts:
    """Builds the parts of a run that was made elsewhere, perhaps: on one device of this machine, with nothing logged.

    Its fingerprint is the same. Raises what `build` raises.
    """
    own = {"accelerator": "auto", "devices": 1, "nodes": 1, "compile": False}
    lightning = {key: own.get(key, value) for key, value in config["lightning"].items()}
    logger = {"_target_": "pytorch_lightning.loggers.logger.DummyLogger"}
    return build({**config, "lightning": lightning, "logger": logger})


def check(config: Mapping[str, Any], known: Memo) -> Devices:
    """Looks for whatever can be wrong with a configuration, without images, a head, or training.

    Args:
        config: Of a job.
        known: What was made for other jobs.

    Returns:
        Its devices, which may not be those of this machine.

    Raises:
        Missing: Data or weights are not there.
        UserError: What `build` would raise of the settings.
    """
    settings = _settings(config)
    bound(config.get("logger"), "logger")
    node = _node(config, "scenario")
    if not any(isinstance(node.get(name), Mapping) for name in ("dataset", "datasets")):
        bound(node, "scenario")  # it fetches its images itself
        return settings.devices
    data = [config.get("dataset"), config.get("task_order"), node]
    scenario = known(["scenario", data], lambda: _scenario(config, known))
    _check_split(settings, scenario)
    backbone = known(["backbone", config.get("backbone")], lambda: _part(config, "backbone"))

    def check_together() -> None:
        classes = sum(len(labels.class_names) for labels in scenario.labels)
        head = torch.zeros(classes, backbone.text_identity["configuration"]["embed_dim"])
        rehearsal.scenario(scenario)
        rehearsal.backbone(backbone, head)
        trainer = _trainer(config, settings, backbone, head, copy.deepcopy(backbone.encoder))
        _check_together(settings, scenario, trainer)
        _rehearse_merger(config, settings, backbone, trainer)

    parts = ("backbone", "trainer", "merger", "optim", "lightning", "evaluation")
    known(["together", data, [config.get(part) for part in parts]], check_together)
    return settings.devices


@dataclass(frozen=True)
class _Settings:
    """What a configuration says without data and models; as in `Parts`."""

    seed: int
    store_dir: Path
    prepared_dir: Path
    devices: Devices
    evaluation: Settings
    scalings: tuple[float, ...]
    merger: Merger
    running_statistics: RunningStatistics
    optimization: Optimization


def _settings(config: Mapping[str, Any]) -> _Settings:
    recordable.check(config)
    scalings, merger = _merger(_node(config, "merger"))
    return _Settings(
        seed=validated(config.get("seed"), Annotated[int, Field(ge=0)], "seed"),
        store_dir=validated(_node(config, "paths").get("store_dir"), Path, "paths.store_dir"),
        prepared_dir=validated(_node(config, "paths").get("prepared_dir"), Path, "paths.prepared_dir"),
        devices=_part(config, "lightning"),
        evaluation=_part(config, "evaluation"),
        scalings=scalings,
        merger=merger,
        running_statistics=validated(
            config.get("running_statistics", "pretrained"), RunningStatistics, "running_statistics"
        ),
        optimization=_part(config, "optim"),
    )


_KINDS = {
    "lightning": Devices,
    "evaluation": Settings,
    "merger": Merger,
    "optim": Optimization,
    "logger": Logger,
    "scenario": Scenario,
    "backbone": Backbone,
    "trainer": TaskTrainer,
}


def _part(config: Mapping[str, Any], group: str, **given: Any) -> Any:
    """What a group's settings make, which has to be of its kind."""
    return made(_KINDS[group], _node(config, group), group, **given)


def _node(config: Mapping[str, Any], group: str) -> Mapping[str, Any]:
    node = config.get(group)
    if not isinstance(node, Mapping):
        raise UserError(f"{group} is no group of settings but {node!r}: choose one by its name, {group}=…")
    return node


def _check_split(settings: _Settings, scenario: Scenario) -> None:
    if settings.evaluation.split not in scenario.streams:
        raise UserError("evaluation.split=validation needs images: add scenario.validation_share=0.2, for example.")


def _trainer(
    config: Mapping[str, Any],
    settings: _Settings,
    backbone: Backbone,
    head: Tensor,
    encoder: nn.Module | None = None,
) -> TaskTrainer:
    given = Given(
        encoder=backbone.encoder if encoder is None else encoder,
        head=head,
        transform=backbone.transform,
        optimization=settings.optimization,
        compile=settings.devices.compile,
        keep=settings.merger.requires,
    )
    trainer: TaskTrainer = _part(config, "trainer", given=given)
    rehearsal.trainer(trainer)
    return trainer


def _rehearse_merger(config: Mapping[str, Any], settings: _Settings, backbone: Backbone, trainer: TaskTrainer) -> None:
    anew = partial(_merger, _node(config, "merger"))
    rehearsal.merger(lambda: anew()[1], trainer.weights(), backbone.frozen_parameters, settings.running_statistics)


def _check_together(settings: _Settings, scenario: Scenario, trainer: TaskTrainer) -> list[Experience]:
    """What is trained on, task by task, if trainer, merger and scenario go together."""
    merger, optimization = settings.merger, settings.optimization
    if missing := merger.requires - trainer.leaves:
        raise UserError(
            f"{choice('merger', type(merger))} needs {', '.join(sorted(missing))} of the training, "
            f"which {choice('trainer', type(trainer))} does not leave behind."
        )
    if trainer.refines and not merger.restarts:
        raise UserError(
            f"{choice('trainer', type(trainer))} refines the merged model, from which {choice('merger', type(merger))} "
            "cannot go on; choose merger=cmm merger.scaling=1, or trainer.refinement=null."
        )
    experiences = trainer.experiences(scenario)
    if optimization.epochs is None and not all(experience.epochs for experience in experiences):
        raise UserError(
            "optim.epochs=null: the scenario does not say how often to pass over its images; set a number, "
            "such as optim.epochs=10."
        )
    several = len(settings.scalings) > 1
    images_needed.check(scenario, experiences, settings.evaluation.split == "validation" or several)
    if several and (trainer.starts_from == "merged" or trainer.refines):
        raise UserError(
            "merger.scaling is a list, but tasks start from the merged weights: name one number; a run for each is "
            f"-m merger.scaling={','.join(map(str, settings.scalings))}."
        )
    return experiences


def _merger(node: Mapping[str, Any]) -> tuple[tuple[float, ...], Merger]:
    """The merger, and all λ that it is asked for: `merger.scaling` may be a list."""
    if not isinstance(node.get("scaling"), list):
        merger = _part({"merger": node}, "merger")
        return (merger.scaling,), merger
    grid = validated(node["scaling"], Annotated[list[FiniteFloat], Field(min_length=1)], "merger.scaling")
    return tuple(grid), _part({"merger": {**node, "scaling": grid[0]}}, "merger")


def _scenario(config: Mapping[str, Any], known: Memo | None = None) -> Scenario:
    """The scenario; where its data set is the one of the group `dataset`, messages call it so."""
    node, dataset = _node(config, "scenario"), config.get("dataset")
    _check_has_order(node, config.get("task_order"))
    if known is not None:
        node = {**node, **_read_once(node, dataset, known)}
    elif dataset is not None and node.get("dataset") == dataset:
        node = {**node, "dataset": _dataset(dataset, "dataset")}
    return _part({"scenario": node}, "scenario")


def _read_once(node: Mapping[str, Any], dataset: Any, known: Memo) -> dict[str, Any]:
    """The data sets of a scenario, those that are `_partial_` as functions that read them, each read once."""

    def read(one: Mapping[str, Any], where: str) -> ImageDataset:
        whole = {**one, "_partial_": False}
        return known(["dataset", whole], lambda: _dataset(whole, where))

    if isinstance(node.get("dataset"), Mapping):
        own = node["dataset"] == dataset
        return {"dataset": read(node["dataset"], "dataset" if own else "scenario.dataset")}
    several = {name: (one, f"scenario.datasets.{name}") for name, one in node["datasets"].items()}
    return {
        "datasets": {
            name: partial(read, *one) if one[0].get("_partial_") else read(*one) for name, one in several.items()
        }
    }


def _dataset(node: Mapping[str, Any], where: str) -> ImageDataset:
    return made(ImageDataset, node, where)


def _check_has_order(node: Mapping[str, Any], arrival: Any) -> None:
    if arrival is not None and not any(key.endswith("_order") or value == arrival for key, value in node.items()):
        own = ", ".join(f"scenario.{name}=…" for name in node if name.endswith("seed")) or "none of its own"
        raise UserError(f"task_order={arrival} means nothing to this scenario; what it draws by: {own}.")


def _warn_of_other_sizes(scenario: Scenario, data_dir: str) -> None:
    """A published data set that was unpacked in part should not pass for the whole."""
    known, folder = releases(), "" if data_dir == "data" else f" --data-dir {shlex.quote(data_dir)}"
    for data in scenario.datasets:
        for finding in sizes(known[data.name], data) if data.name in known else ():
            log.warning(
                "%s is not as published, %s: python -m cl_bench.datasets verify %s%s",
                *(data.name, finding, data.name, folder),
            )


def _warn_of_unseen_code(config: Mapping[str, Any]) -> None:
    for setting in source_code.unseen(config, _NUMBERS):
        log.warning(
            "%s: no file has its source, so a change of it cannot be seen: what was trained with it is used again, "
            "unless paths.store_dir=… is another one.",
            setting,
        )


def _there(folder: Path) -> Path:
    """The folder, made where there is none; that it can be written to counts only where something has to be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"paths.store_dir={folder} cannot be made ({error}); name a folder of yours.") from error
    return folder
