"""Every YAML composes, its targets can be imported, and its keys are their arguments."""

import importlib
import inspect

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from tests.conftest import ROOT

CHOICES = [
    (path.parent.name, path.stem) for path in sorted((ROOT / "conf").glob("*/*.yaml")) if path.parent.name != "hydra"
]

OF_ANY_DATASET = {"shots", "shots_seed"}  # which its function is not given


def _composed(*overrides):
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = compose("config", [*overrides, "logger.save_dir=."])
    return OmegaConf.to_container(config, resolve=True)


def _targets(node):
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from _targets(value)


@pytest.mark.parametrize(("group", "choice"), CHOICES)
def test_a_choice_composes_and_its_keys_are_its_targets_arguments(group, choice):
    config = _composed(f"{group}={choice}")
    for node in _targets(config):
        module, _, name = node["_target_"].rpartition(".")
        parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            assert set(node) - {"_target_", "_partial_"} - OF_ANY_DATASET <= set(parameters)


@pytest.mark.parametrize(("group", "choice"), [c for c in CHOICES if c[0] in ("merger", "trainer")])
def test_the_same_word_in_four_places(group, choice):
    target = _composed(f"{group}={choice}")[group]["_target_"]
    name = target.rpartition(".")[2]
    assert name.lower() == choice.replace("_", "")
    own = getattr(importlib.import_module(f"cl_bench.{group}s.{choice}"), name)
    assert own is getattr(importlib.import_module(f"cl_bench.{group}s"), name)


@pytest.mark.parametrize("tasks", [5, 10, 20, 50])
def test_a_published_scenario_brings_backbone_epochs_and_batch_size_and_the_command_line_wins(tasks):
    config = _composed(f"scenario=cifar100_{tasks}")
    assert config["backbone"]["model"] == "ViT-B-16-quickgelu"
    assert config["scenario"]["tasks"] == tasks
    optim = config["optim"]
    assert (optim["lr"], optim["epochs"], optim["batch_size"], optim["warmup_steps"]) == (1e-5, 10, 128, 500)
    assert (optim["optimizer"]["weight_decay"], optim["gradient_clip"], config["seed"]) == (0.1, 1.0, 5)
    small = _composed(f"scenario=cifar100_{tasks}", "backbone=tiny_clip", "optim.epochs=2")
    assert small["backbone"]["_target_"] == "cl_bench.backbones.TinyClip" and small["optim"]["epochs"] == 2


@pytest.mark.parametrize(
    ("merger", "scaling"), [("last", 1), ("average", 1), ("rand_mix", 1), ("magmax", 0.5), ("ties", 0.55)]
)
def test_published_scaling(merger, scaling):
    assert _composed(f"merger={merger}")["merger"]["scaling"] == scaling


@pytest.mark.parametrize("trainer", ["joint", "zero_shot"])
def test_references_report_their_own_weights_unless_told_otherwise(trainer):
    assert _composed(f"trainer={trainer}")["merger"]["_target_"].endswith("Last")
    assert _composed(f"trainer={trainer}", "merger=average")["merger"]["_target_"].endswith("Average")


def test_unknown_choices_are_refused():
    with pytest.raises(HydraException):
        _composed("merger=nope")
