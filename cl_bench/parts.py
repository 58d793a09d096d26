"""From the configuration to the parts of a run.

Whatever can be wrong with either is found here, before anything is trained.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, InstanceOf
from pytorch_lightning.loggers import Logger
from torch import Tensor

from cl_bench import distributed, recordable
from cl_bench.backbones import Backbone
from cl_bench.datasets.catalog import releases
from cl_bench.datasets.images import ImageDataset
from cl_bench.datasets.verify import sizes
from cl_bench.devices import Devices
from cl_bench.errors import UserError
from cl_bench.evaluation import KINDS, Evaluator, Kind, Settings
from cl_bench.instantiate import instantiate, validated
from cl_bench.mergers import Merger
from cl_bench.mergers.running_statistics import RunningStatistics
from cl_bench.scenario_head import head_identity, left_out, scenario_head
from cl_bench.scenarios import Experience, Scenario, images_needed
from cl_bench.store import permissions, schema
from cl_bench.trainers import Optimization, TaskTrainer

log = logging.getLogger(__name__)


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
    recordable.check(config)
    seed = validated(config["seed"], Annotated[int, Field(ge=0)], "seed")
    store_dir = _there(validated(config["paths"]["store_dir"], Path, "paths.store_dir"))
    devices: Devices = instantiate(config["lightning"], "lightning")
    evaluation: Settings = instantiate(config["evaluation"], "evaluation")
    scalings, merger = _merger(config["merger"])
    running_statistics = validated(
        config.get("running_statistics", "pretrained"), RunningStatistics, "running_statistics"
    )
    optimization: Optimization = instantiate(config["optim"], "optim")
    logger = instantiate(config["logger"], "logger")
    scenario = _scenario(config)
    if distributed.is_main():
        schema.open_store(store_dir)
        _warn_of_other_sizes(scenario)
    if evaluation.split not in scenario.streams:
        raise UserError("evaluation.split=validation needs images: set scenario.validation_share, 0.2 for example.")
    backbone: Backbone = instantiate(config["backbone"], "backbone")
    prepared_dir = validated(config["paths"]["prepared_dir"], Path, "paths.prepared_dir")
    # The main process reads all files, and then the others see what it has found.
    with permissions.explained("paths.prepared_dir=…"), distributed.main_first():
        if backbone.transform.resampling == "batched":
            scenario.prepare(backbone.transform.size, prepared_dir)
        else:
            scenario.look_at_files(prepared_dir)
    heads_dir = store_dir / "heads"
    with permissions.explained("paths.store_dir=…"):
        head = distributed.from_main(scenario_head(backbone, scenario, heads_dir) if distributed.is_main() else None)
    numbers_left_out = left_out(head, scenario, config)
    trainer: TaskTrainer = instantiate(
        config["trainer"],
        "trainer",
        encoder=backbone.encoder,
        head=head,
        transform=backbone.transform,
        optimization=optimization,
        compile=devices.compile,
        keep=merger.requires,
    )
    if missing := merger.requires - trainer.leaves:
        raise UserError(
            f"merger={type(merger).__name__} needs {', '.join(sorted(missing))} of the training, "
            f"which trainer={type(trainer).__name__} does not leave behind."
        )
    if trainer.refines and not merger.restarts:
        raise UserError(
            f"trainer={type(trainer).__name__} refines the merged model, from which merger={type(merger).__name__} "
            "cannot go on; choose merger=cmm with merger.scaling=1, or trainer.refinement=null."
        )
    experiences = trainer.experiences(scenario)
    if optimization.epochs is None and not all(experience.epochs for experience in experiences):
        raise UserError("optim.epochs=null: the scenario does not say how often to pass over its images; set a number.")
    images_needed.check(scenario, experiences, evaluation.split == "validation" or len(scalings) > 1)
    training = {
        "schema": schema.SCHEMA,
        "backbone": backbone.identity,
        "head": head_identity(backbone, scenario),
        "scenario": scenario.identity(),
        "trainer": config["trainer"],
        "optim": config["optim"],
        "precision": devices.precision,
        "limit_train_batches": devices.limit_train_batches,
        "seed": seed,
    }
    if trainer.starts_from == "merged" or trainer.refines:
        if len(scalings) > 1:
            raise UserError("merger.scaling is a list, but tasks start from the merged weights: name one number.")
        training |= {
            "merger": config["merger"],
            "frozen_parameters": backbone.frozen_parameters,
            "running_statistics": running_statistics,
        }
    return Parts(
        seed=seed,
        store_dir=store_dir,
        devices=devices,
        evaluation=evaluation,
        logger=logger,
        backbone=backbone,
        scenario=scenario,
        merger=merger,
        optimization=optimization,
        trainer=trainer,
        pretrained=trainer.weights(),
        head=head,
        left_out=numbers_left_out,
        experiences=experiences,
        training=training,
        scalings=scalings,
        running_statistics=running_statistics,
    )


def build_here(config: Mapping[str, Any]) -> Parts:
    """Builds the parts of a run that was made elsewhere, perhaps: on one device of this machine, with nothing logged.

    Its fingerprint is the same. Raises what `build` raises.
    """
    own = {"accelerator": "auto", "devices": 1, "nodes": 1, "compile": False}
    lightning = {key: own.get(key, value) for key, value in config["lightning"].items()}
    logger = {"_target_": "pytorch_lightning.loggers.logger.DummyLogger"}
    return build({**config, "lightning": lightning, "logger": logger})


def _merger(node: Mapping[str, Any]) -> tuple[tuple[float, ...], Merger]:
    """The merger, and all λ that it is asked for: `merger.scaling` may be a list."""
    if not isinstance(node.get("scaling"), list):
        merger = instantiate(node, "merger")
        return (merger.scaling,), merger
    grid = validated(node["scaling"], Annotated[list[FiniteFloat], Field(min_length=1)], "merger.scaling")
    return tuple(grid), instantiate({**node, "scaling": grid[0]}, "merger")


def _scenario(config: Mapping[str, Any]) -> Scenario:
    """The scenario; where its data set is the one of the group `dataset`, messages call it so."""
    node, dataset, arrival = config["scenario"], config.get("dataset"), config.get("task_order")
    if arrival is not None and not any(key.endswith("_order") or value == arrival for key, value in node.items()):
        own = ", ".join(f"scenario.{name}=…" for name in node if name.endswith("seed")) or "none of its own"
        raise UserError(f"task_order={arrival} means nothing to this scenario; what it draws by: {own}.")
    if dataset is None or node.get("dataset") != dataset:
        return instantiate(node, "scenario")
    loaded = validated(instantiate(dataset, "dataset"), InstanceOf[ImageDataset], "dataset")
    return instantiate({k: v for k, v in node.items() if k != "dataset"}, "scenario", dataset=loaded)


def _warn_of_other_sizes(scenario: Scenario) -> None:
    """A published data set that was unpacked in part should not pass for the whole."""
    known = releases()
    for data in scenario.datasets:
        for finding in sizes(known[data.name], data) if data.name in known else ():
            log.warning(
                "%s is not as published, %s: python -m cl_bench.datasets verify %s", data.name, finding, data.name
            )


def _there(folder: Path) -> Path:
    """The folder, made where there is none; that it can be written to counts only where something has to be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"paths.store_dir={folder} cannot be made ({error}); name a folder of yours.") from error
    return folder
