"""What is found before anything is trained."""

import sys
from types import ModuleType
from typing import ClassVar

import pytest
import torch

from cl_bench.backbones import TinyClip
from cl_bench.datasets import digits
from cl_bench.experiment.parts import build
from cl_bench.images.images import ImageDataset
from cl_bench.mergers import Last
from cl_bench.runtime.errors import UserError
from cl_bench.scenarios import ClassIncremental
from cl_bench.trainers import EWC, Sequential, TaskTrainer
from tests.conftest import SHORT
from tests.helpers.releases import write_mnist


class Mine(Last):
    pass


class MyTrainer(Sequential):
    pass


class MyBackbone(TinyClip):
    pass


class MyScenario(ClassIncremental):
    pass


class MyOptimizer(torch.optim.AdamW):
    pass


def my_digits(test: int | None = None) -> ImageDataset:
    return digits.load(test)


class NeedsMoments(Last):
    requires: ClassVar = frozenset({"gradient_norms"})


def test_patterns_for_names_of_parameters_that_fit_none_are_refused(configure):
    for rules, named in (
        ([{"match": "visual.*", "scaling": 0.5}], "merger=by_name: rules: no parameter fits 'visual.*'; there are: "),
        (
            [{"match": "*", "merger": {"_target_": "cl_bench.mergers.TaskArithmetic"}}],
            "rules.0.merger.scaling is missing",
        ),
    ):
        config = configure(*SHORT, "merger=by_name", "merger.rules=[]")
        config["merger"]["rules"] = rules
        with pytest.raises(UserError) as refused:
            build(config)
        assert named in str(refused.value)


def test_a_merger_that_needs_what_the_trainer_does_not_leave_is_refused(configure):
    config = configure(*SHORT, f"merger._target_={__name__}.NeedsMoments", "merger.scaling=1")
    with pytest.raises(UserError, match="NeedsMoments needs gradient_norms of the training, which trainer=sequential"):
        build(config)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("seed=-1", "seed=-1"),
        ("lightning.precision=fp8", "lightning.precision='fp8'"),
        ("lightning.matmul_precision=low", "lightning.matmul_precision='low'"),
        ("evaluation.split=validation", "scenario.validation_share"),
        ("scenario.tasks=11", "scenario.tasks=11"),
        ("optim.epochs=0", "optim.epochs=0"),
        ("paths.store_dir=/proc/nowhere", "paths.store_dir=/proc/nowhere"),
        ("trainer._target_=nowhere.Trainer", "trainer._target_"),
        ("~paths.store_dir", "paths.store_dir=None"),
        ("~evaluation", "evaluation is no group of settings"),
        ("~seed", "seed=None"),
        ("merger._target_=pathlib.Path", "merger"),
        ("trainer._target_=builtins.dict", "trainer._target_"),
        ("scenario._target_=builtins.dict", "scenario._target_"),
        ("logger._target_=pathlib.PurePath", "logger"),
        ("optim.epochs=true", "optim.epochs=True"),
        ("++optim.optimizer.betas=[2,3]", "optim.optimizer: torch.optim.adamw.AdamW does not take these settings"),
        ("++optim.optimizer.betas=word", "optim.optimizer: torch.optim.adamw.AdamW does not take these settings"),
        ("optim.optimizer._target_=torch.nn.Identity", "optim.optimizer"),
        ("++dataset.seed=-1", "dataset.seed=-1"),
        ("++dataset.train=9", "dataset.train=9"),
    ],
)
def test_mistakes_name_the_setting(configure, override, named):
    with pytest.raises(UserError) as caught:
        build(configure(*SHORT, override))
    assert named in str(caught.value)


@pytest.mark.parametrize("override", ["dataset.train_per_class=0", "dataset.test_per_class=-1", "dataset.seed=-1"])
@pytest.mark.parametrize("dataset", ["glyphs", "glyph_domains", "textures"])
def test_drawn_data_sets_refuse_sizes_that_nothing_can_be_drawn_of(configure, dataset, override):
    target = f"dataset._target_=cl_bench.datasets.{dataset}.load"
    with pytest.raises(UserError, match=override.partition("=")[0]):
        build(configure(target, f"++{override}"))


def test_the_layer_that_is_refined_is_looked_for_before_training(configure):
    with pytest.raises(UserError, match=r"trainer\.refined=nowhere is no parameter"):
        build(configure(*SHORT, "trainer=cmm", "trainer.refined=nowhere"))


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        (["merger=ties"], True),
        (["merger.scaling=0.1"], True),
        (["evaluation=final"], True),
        (["logger=tensorboard"], True),
        (["lightning.devices=2"], True),
        (["evaluation.batch_size=3", "lightning.workers=1"], True),
        (["seed=6"], False),
        (["optim.lr=1e-3"], False),
        (["optim.epochs=2"], False),
        (["trainer=independent"], False),
        (["scenario.class_order=1"], False),
        (["scenario.validation_share=0.1"], False),
        (["backbone.resampling=pillow"], False),
        (["lightning.precision=bf16-mixed"], False),
        (["lightning.limit_train_batches=2"], False),
        (["lightning.matmul_precision=highest"], True),
        (["lightning.matmul_precision=high"], False),
    ],
)
def test_the_fingerprint_is_of_what_shapes_the_weights(configure, overrides, same):
    one, other = build(configure(*SHORT)), build(configure(*SHORT, *overrides))
    assert (one.training == other.training) == same


@pytest.mark.parametrize("start", ["merged", "previous"])
def test_the_fingerprint_is_of_the_merger_where_the_weights_depend_on_it(configure, start):
    def training(*overrides):
        return build(configure(*SHORT, "trainer=cmm", f"trainer.starts_from={start}", *overrides)).training

    assert training("merger.alpha=0.3") != training("merger.alpha=0.4")
    apart = start == "merged"
    unrefined = "trainer.refinement=null"
    assert (training(unrefined, "merger.alpha=0.3") != training(unrefined, "merger.alpha=0.4")) == apart


def test_code_belongs_to_what_it_shapes(configure):
    def code(*overrides):
        parts = build(configure(*SHORT, *overrides))
        return parts.training["code"], parts.code

    stream, run = code(f"merger._target_={__name__}.Mine", "merger.scaling=1")
    assert "tests/experiment/test_parts.py" in run["outside"] and run["versions"].keys() == {"trainer", "merger"}
    assert not stream["outside"] and stream["versions"] == {"trainer": [["TaskTrainer", TaskTrainer.version]]}
    stream, run = code("trainer=independent", "trainer.starts_from=merged", "merger=ema")
    assert stream == run


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("trainer", "MyTrainer"),
        ("backbone", "MyBackbone"),
        ("dataset", "my_digits"),
        ("scenario", "MyScenario"),
        ("optim.optimizer", "MyOptimizer"),
    ],
)
def test_the_users_own_code_belongs_to_the_stream_wherever_it_is_named(configure, setting, name):
    config = configure(*SHORT, f"{setting}._target_={__name__}.{name}")
    assert "tests/experiment/test_parts.py" in build(config).training["code"]["outside"]


def test_another_version_of_a_trainer_is_another_stream(configure, monkeypatch):
    before = [build(configure(*SHORT, f"trainer={name}")).training for name in ("sequential", "ewc", "l2sp")]
    monkeypatch.setattr(EWC, "version", 2)
    after = [build(configure(*SHORT, f"trainer={name}")).training for name in ("sequential", "ewc", "l2sp")]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    monkeypatch.setattr(TaskTrainer, "version", 2)
    assert build(configure(*SHORT)).training != before[0]


def test_a_class_that_was_typed_in_is_warned_of(configure, caplog, monkeypatch):
    typed = ModuleType("typed")
    typed.Mine = type("Mine", (Last,), {"__module__": "typed"})
    monkeypatch.setitem(sys.modules, "typed", typed)
    build(configure(*SHORT, "merger._target_=typed.Mine", "merger.scaling=1"))
    assert caplog.text.count("merger._target_=typed.Mine: no file has its source") == 1


def test_frozen_parameters_and_head_belong_to_the_backbone_and_the_scenario(configure):
    parts = build(configure("scenario=mini_eight"))
    assert parts.head.rows.shape == (sum(len(labels.class_names) for labels in parts.scenario.labels), 96)
    assert parts.backbone.frozen_parameters > 0
    assert sum(tensor.numel() for tensor in parts.pretrained.values()) == 477_120


def test_the_data_set_is_called_as_on_the_command_line(configure):
    with pytest.raises(UserError, match=r"^dataset\.root is missing"):
        build(configure("scenario=folder", "backbone=tiny_clip"))
    with pytest.raises(UserError, match=r"^dataset\.train='many' does not fit"):
        build(configure("+dataset.train=many"))
    with pytest.raises(UserError, match=r"^dataset=.* does not fit"):
        build(configure("dataset._target_=pathlib.PurePath"))


def test_a_published_data_set_that_is_there_in_part_does_not_pass_for_the_whole(configure, tmp_path, caplog):
    write_mnist(tmp_path)
    build(configure("scenario=data_incremental", "dataset=mnist", f"paths.data_dir={tmp_path}", "backbone=tiny_clip"))
    assert "mnist is not as published, train: 20 images instead of 60,000" in caplog.text
    assert "python -m cl_bench.datasets verify mnist" in caplog.text
    caplog.clear()
    build(configure())
    assert not caplog.text
