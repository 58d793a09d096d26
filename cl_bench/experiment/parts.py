"""The parts of a run, made from its configuration.

Whatever can be wrong with either is found here, before anything is trained.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor

from cl_bench.backbones import Backbone
from cl_bench.backbones.running_statistics import has_running_statistics
from cl_bench.evaluation import Evaluator, Kind
from cl_bench.evaluation.accuracies import KINDS
from cl_bench.experiment import rehearsal, task_weights
from cl_bench.experiment.experts.checked import Expert
from cl_bench.experiment.experts.finding import find_experts
from cl_bench.experiment.head import as_tasks_arrive, check_head, head_identity, left_out, make_head
from cl_bench.experiment.per_task import left_out_by
from cl_bench.experiment.retention import Retained, check_encoder_changes, retained
from cl_bench.experiment.scenario import make_scenario, warn_of_other_sizes
from cl_bench.experiment.scenario_name import are_ours
from cl_bench.experiment.settings import RunSettings, part, read_settings
from cl_bench.experiment.together import (
    check_split,
    check_together,
    make_trainer,
    rehearse_merger,
    with_task_weights,
)
from cl_bench.heads import Head
from cl_bench.images.samples import Samples
from cl_bench.runtime import distributed, source_code
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import Experience, Scenario
from cl_bench.store import Stream, permissions, schema
from cl_bench.store.later_settings import as_before
from cl_bench.trainers import TaskTrainer
from cl_bench.trainers.imported import Imported

log = logging.getLogger(__name__)

_TRAINING = ("backbone", "scenario", "trainer", "optim", "lightning")  # whose classes shape the trained weights
_NUMBERS = (*_TRAINING, "merger", "evaluation", "retention")


@dataclass(frozen=True)
class Parts(RunSettings):
    """Everything that takes part in a run, beside its plain settings.

    Attributes:
        pretrained: θ₀ of what is trained: the encoder, or the head alone.
        head: One row per class of the scenario.
        left_out: Kinds of accuracy that mean nothing here, and why.
        experiences: What is trained on, task by task.
        experts: Whose weights are read instead, task by task; none where tasks are trained.
        training: Plain data that differ whenever the trained weights do; their hash is the stream's fingerprint.
        code: What `source_code.code_of` says of all classes that shape the run's numbers.
        retained: Data sets that are never trained on, but evaluated; None where none is named.
    """

    logger: Logger
    scenario: Scenario
    backbone: Backbone
    head: Head
    left_out: dict[str, str]
    trainer: TaskTrainer
    experiences: list[Experience]
    experts: tuple[Expert, ...]
    pretrained: dict[str, Tensor]
    training: dict[str, Any]
    code: dict[str, Any]
    retained: Retained | None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of accuracy that are reported."""
        return tuple(kind for kind in KINDS if kind not in self.left_out)

    @property
    def comparable(self) -> tuple[Kind, ...]:
        """Kinds of accuracy that a task's own weights and the last model have among the same classes."""
        first, last = self.head.known(1), self.head.known(len(self.scenario.test_stream))
        same = first is None or last is None or torch.equal(first, last)
        return KINDS if same else ("task_aware",)

    @property
    def deciding(self) -> str:
        """Path of the accuracy that λ is chosen by: the headline, or the task-aware one where that is null."""
        headline = self.scenario.headline
        return headline.replace("task_agnostic", "task_aware") if "task_agnostic" in self.left_out else headline

    @property
    def has_expert_of_each_task(self) -> bool:
        """Whether each task's weights are read, and not those of one model for all of them."""
        return isinstance(self.trainer, Imported) and not self.trainer.one_for_all

    def evaluator(self, split: str) -> Evaluator:
        """Evaluates encoders on the `test` or the `validation` images."""
        return self.evaluator_of(self.trainer.head, *self.scenario.evaluated(split))

    def retention_evaluator(self) -> Evaluator | None:
        """Evaluates encoders on the data sets that are never trained on; None where none is named."""
        if self.retained is None:
            return None
        return self.evaluator_of(self.retained.head, *self.retained.scenario.evaluated("test"))

    def evaluator_of(self, head: Tensor, samples: Samples, class_masks: Tensor) -> Evaluator:
        """Evaluates encoders with a head on some images, whose groups are rows of the masks."""
        return Evaluator(
            self.trainer.encoder,
            head,
            self.backbone.transform,
            samples,
            class_masks,
            self.evaluation.batch_size,
            self.devices.workers,
            self.devices.device,
            self.devices.autocast,
        )

    def stream(self, warn: Callable[[str], None] = log.warning) -> Stream:
        """Where the tasks' weights are stored, or where it is written which files they are read from."""
        return Stream(self.store_dir / "streams", self.training, warn, self.pretrained)


def build(config: Mapping[str, Any]) -> Parts:
    """Instantiates all parts and checks that they go together.

    Raises:
        UserError: A setting is unknown, missing or of a wrong type; parts that do not go together; data or weights
            that are not there.
    """
    settings = read_settings(config)
    code = source_code.code_of(config, _NUMBERS)
    _make_folder(settings.store_dir)
    logger = part(config, "logger", Logger)
    scenario = make_scenario(config)
    rehearsal.scenario(scenario)
    if distributed.is_main():
        schema.open_store(settings.store_dir)
        _warn_of_unseen_code(config)
        if are_ours(config):
            warn_of_other_sizes(scenario, str(config["paths"]["data_dir"]))
    check_split(settings, scenario)
    backbone = part(config, "backbone", Backbone)
    with distributed.main_first():
        experts = find_experts(config, scenario, backbone, settings.store_dir)
    check_head(settings, config, backbone)
    _prepare_images(settings, scenario, backbone)
    head = make_head(settings, scenario, backbone)
    meaningless = left_out(head, scenario, config)
    rehearsal.backbone(backbone, head.rows)
    never_trained_on = retained(config, settings, scenario, backbone)
    trainer = make_trainer(config, settings, backbone, head)
    head, experiences = as_tasks_arrive(head, scenario, check_together(settings, scenario, trainer))
    settings = with_task_weights(config, settings, trainer, experiences)
    if distributed.is_main():
        rehearse_merger(config, settings, backbone, trainer, experiences)
    pretrained = trainer.weights()
    check_encoder_changes(never_trained_on, pretrained)
    return Parts(
        **vars(settings),
        logger=logger,
        scenario=scenario,
        backbone=backbone,
        head=head,
        left_out=meaningless | (left_out_by(settings.merger) if experiences else {}),
        trainer=trainer,
        experiences=experiences,
        experts=experts,
        pretrained=pretrained,
        training=(
            _what_experts_stand_for(config, scenario, backbone, experts)
            if experts
            else _what_shapes_weights(config, settings, code, scenario, backbone, trainer, experiences)
        ),
        code=code,
        retained=never_trained_on,
    )


def build_here(config: Mapping[str, Any]) -> Parts:
    """Builds the parts of a run on one device of this machine, wherever the run was made, with nothing logged.

    Its fingerprint is the same. Raises what `build` raises.
    """
    here = {"accelerator": "auto", "devices": 1, "nodes": 1, "compile": False}
    lightning = {key: here.get(key, value) for key, value in config["lightning"].items()}
    logger = {"_target_": "pytorch_lightning.loggers.logger.DummyLogger"}
    return build({**config, "lightning": lightning, "logger": logger})


def _prepare_images(settings: RunSettings, scenario: Scenario, backbone: Backbone) -> None:
    """The main process reads all files, and then the others see what it has found."""
    with permissions.explained("paths.prepared_dir=…"), distributed.main_first():
        if backbone.transform.resampling == "batched":
            scenario.prepare(backbone.transform.size, settings.prepared_dir)
        else:
            scenario.look_at_files(settings.prepared_dir)


def _what_shapes_weights(
    config: Mapping[str, Any],
    settings: RunSettings,
    code: Mapping[str, Any],
    scenario: Scenario,
    backbone: Backbone,
    trainer: TaskTrainer,
    experiences: Sequence[Experience],
) -> dict[str, Any]:
    """`Parts.training`; what is merged counts only where training looks at it."""
    training = {
        "schema": schema.SCHEMA,
        "backbone": backbone.identity,
        "head": head_identity(settings, backbone, scenario),
        "scenario": scenario.identity(),
        "trainer": config["trainer"],
        "optim": config["optim"],
        "precision": settings.devices.precision,
        "limit_train_batches": settings.devices.limit_train_batches,
        "seed": settings.seed,
        "code": source_code.code_of(config, _TRAINING),
    }
    if settings.devices.matmul_precision != "highest":
        training["matmul_precision"] = settings.devices.matmul_precision
    if has_running_statistics(backbone.encoder):
        training["while_learning"] = {"running_statistics": "pretrained"}
    if trainer.starts_from == "merged" or trainer.refines:
        training |= {
            "merger": as_before(task_weights.in_order(config["merger"], [e.name for e in experiences])),
            "frozen_parameters": backbone.frozen_parameters,
            "running_statistics": settings.running_statistics,
            "code": code,
        }
    return training


def _what_experts_stand_for(
    config: Mapping[str, Any], scenario: Scenario, backbone: Backbone, experts: Sequence[Expert]
) -> dict[str, Any]:
    """`Parts.training` of weights that are read: nothing that only training looks at is in it."""
    return {
        "schema": schema.SCHEMA,
        "backbone": backbone.identity,
        "scenario": {key: value for key, value in scenario.identity().items() if key != "epochs"},
        "experts": [[expert.task, *expert.reference.content] for expert in experts],
        "code": source_code.code_of(config, ("backbone", "scenario", "trainer")),
    }


def _warn_of_unseen_code(config: Mapping[str, Any]) -> None:
    for setting in source_code.unseen(config, _NUMBERS):
        log.warning(
            "%s: no file has its source, so a change of it cannot be seen: what was trained with it is used again, "
            "unless paths.store_dir=… is another one.",
            setting,
        )


def _make_folder(folder: Path) -> None:
    """Makes the store's folder; that it can be written to counts only where something has to be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"paths.store_dir={folder} cannot be made ({error}); name a folder of yours.") from error
