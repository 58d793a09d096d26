"""What runs are called: the project's own scenarios by their files' names, all others by what was measured."""

import pytest
import yaml

from cl_bench.datasets.releases.catalog import releases
from cl_bench.experiment.parts import build
from cl_bench.experiment.scenario_name import are_ours, measured, scenario_name
from cl_bench.reports.scenario_names import scenario_position
from tests.conftest import ROOT

GENERAL = {"class_incremental", "domain_incremental", "data_incremental", "folder", "folder_domains", "avalanche"}
NAMED = sorted({path.stem for path in (ROOT / "conf" / "scenario").glob("*.yaml")} - GENERAL)


def as_composed(config):
    """Kind, data sets and number of tasks, read from the configuration, since most data are not here."""
    scenario = config["scenario"]
    if "datasets" in scenario:
        kind = "dataset-incremental" if scenario["task_known"] else "dataset-incremental, task unknown"
        return kind, list(scenario["datasets"]), len(scenario["datasets"])
    name = scenario["dataset"]["_target_"].split(".")[-2]
    name = {"glyphs": "glyphs60"}.get(name, name)
    if scenario["_target_"].endswith("ClassIncremental"):
        return "class-incremental", [name], scenario["tasks"]
    known = releases().get(name)
    return "domain-incremental", [name], len(known.per_domain) if known and known.per_domain else 6


@pytest.mark.parametrize("scenario", NAMED)
def test_the_projects_own_scenarios_keep_their_names(scenario, configure):
    config = configure(f"scenario={scenario}")
    shots = [config["dataset"]["shots"]]
    assert scenario_name(*as_composed(config), ours=are_ours(config), shots=shots) == scenario
    assert scenario_position(scenario) < scenario_position("")  # and their place in tables


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (("scenario=digits_5", "scenario.tasks=2"), "digits (class-incremental, 2 tasks)"),
        (("scenario=digits_5", "scenario.tasks=1"), "digits (class-incremental, 1 task)"),
        (("scenario=digits_5", "dataset=glyphs", "scenario.tasks=3"), "glyphs60 (class-incremental, 3 tasks)"),
        (("scenario=digits_5", "dataset=glyphs"), "glyphs_5"),
        (("scenario=class_incremental", "dataset=digits"), "digits_5"),
        (("scenario=class_incremental", "dataset=glyph_domains"), "glyph_domains (class-incremental, 5 tasks)"),
        (("scenario=data_incremental", "dataset=digits"), "digits (data-incremental, 5 tasks)"),
        (("scenario=digits_5", "dataset.shots=16"), "digits_5 (16 shots)"),
        (("scenario=digits_5", "dataset.shots=1"), "digits_5 (1 shot)"),
        (("scenario=digits_5", "dataset.shots=16", "scenario.tasks=2"),
         "digits (class-incremental, 2 tasks, 16 shots)"),
        (("scenario=glyphs_5", "scenario.first_task=20"), "glyphs60 (class-incremental, 20 classes first, 5 tasks)"),
        (("scenario=mini_eight",), "mini_eight"),
        (("scenario=mini_eight", "++scenario.datasets.greek.shots=4"), "mini_eight (4 shots of greek)"),
        (("scenario=mini_eight", "task_order=[greek,digits]", "scenario.task_known=false"),
         "greek + digits (dataset-incremental, task unknown, 2 tasks)"),
        (("scenario=mini_eight", "task_order=[handwritten,digits]"),
         "handwritten + digits (dataset-incremental, 2 tasks)"),
        (("scenario=mini_eight", "task_order=[0,1,2,3,4,5]"),
         "digits + capitals + small_letters + greek + 2 more (dataset-incremental, 6 tasks)"),
    ],
)  # fmt: skip
def test_other_settings_have_names_that_say_what_was_measured(overrides, name, configure):
    config = configure(*overrides)
    assert measured(config, build(config).scenario)["name"] == name


@pytest.mark.parametrize("scenario", ["folder", "folder_domains"])
def test_a_folder_that_is_called_like_a_published_data_set_is_not_taken_for_it(scenario, configure):
    config = configure(f"scenario={scenario}", "dataset.root=cars", "dataset.name=cars")
    assert not are_ours(config)
    assert scenario_name("class-incremental", ["cars"], 5, ours=False) == "cars (class-incremental, 5 tasks)"
    config = configure("scenario=mini_eight", "+scenario.datasets.x={_target_: cl_bench.datasets.folder.load}")
    assert not are_ours(config)


def test_every_scenario_says_its_kind():
    from cl_bench import scenarios

    for path in (ROOT / "conf" / "scenario").glob("*.yaml"):
        target = (yaml.safe_load(path.read_text()).get("scenario") or {}).get("_target_")
        assert target is None or getattr(scenarios, target.rpartition(".")[2]).kind
