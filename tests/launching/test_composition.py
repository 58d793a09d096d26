"""A class gets no settings that were written for another one, and a choice is called by the class that is there."""

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import OmegaConf

from tests.conftest import ROOT

HERE = "tests.helpers.strangers"
MEDIAN = f"merger._target_={HERE}.Median"


@pytest.fixture
def composed():
    """The composed configuration, and what its choices are called."""

    def composed(*overrides, name="config", folder=None):
        searched = [f"hydra.searchpath=[file://{folder},file://{ROOT}/multirun_configs]"] if folder else []
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose(name, [*searched, *overrides], return_hydra_config=True)
        plain = OmegaConf.to_container(config, resolve=False)
        return plain, plain["hydra"]["runtime"]["choices"]

    return composed


@pytest.mark.parametrize(
    ("overrides", "merger"),
    [
        ([MEDIAN], {}),
        ([MEDIAN, "merger.scaling=0.5"], {"scaling": 0.5}),
        ([MEDIAN, "merger.scaling=[0.2,0.5]"], {"scaling": [0.2, 0.5]}),
        ([MEDIAN, "+merger.window=5"], {"window": 5}),
        ([f"merger={{_target_: {HERE}.Median, scaling: 0.5}}"], {"scaling": 0.5}),
        ([MEDIAN, "merger=ties"], {}),
        ([MEDIAN, "merger=ties", "merger.density=0.3"], {"density": 0.3}),
        ([MEDIAN, "merger=task_arithmetic"], {}),
        ([MEDIAN, "merger=lines"], {}),
        ([f"merger._target_={HERE}.Heir"], {"scaling": 0.5}),
        ([f"merger._target_={HERE}.ChangedHeir"], {}),
        (["merger._target_=cl_bench.mergers.Average"], {}),
        (["merger._target_=cl_bench.mergers.magmax.MagMax"], {"scaling": 0.5}),
        (["merger._target_=nowhere.Merger"], {"scaling": 0.5}),
    ],
)
def test_a_merger_has_its_own_defaults_unless_somebody_sets_them(composed, overrides, merger):
    config, _ = composed(*overrides)
    assert {name: value for name, value in config["merger"].items() if name != "_target_"} == merger


def test_trainers_optimizers_loggers_data_sets_and_scenarios_do_so_too(composed):
    def node(group, *overrides):
        config, choices = composed(*overrides)
        return {name: value for name, value in config[group].items() if name != "_target_"}, choices[group]

    ewc = f"trainer._target_={HERE}.HeirOfEWC"
    assert node("trainer", f"trainer._target_={HERE}.Plain", "trainer=independent") == ({}, f"{HERE}.Plain")
    settings, _ = node("trainer", ewc, "trainer=ewc")
    assert settings["strength"] == 1e6 and settings["starts_from"] == "previous" and "decay" not in settings
    settings, name = node("optim", "optim.optimizer._target_=torch.optim.SGD")
    assert settings["optimizer"] == {"_target_": "torch.optim.SGD", "_partial_": True} and name == "torch.optim.SGD"
    assert settings["lr"] == 4e-4 and settings["warmup_steps"] == 500
    settings, name = node("logger", "logger._target_=pytorch_lightning.loggers.TensorBoardLogger")
    assert settings == {"save_dir": "${hydra:runtime.output_dir}"} and name.endswith("TensorBoardLogger")
    data = ("scenario=folder", f"dataset._target_={HERE}.good_data")
    of_any = {"shots": None, "shots_seed": 0}
    assert node("dataset", *data) == (of_any, f"{HERE}.good_data")
    assert node("dataset", *data, "+dataset.test=40", "dataset.shots=2")[0] == {**of_any, "shots": 2, "test": 40}
    assert node("scenario", f"scenario._target_={HERE}.Tasks") == ({"dataset": "${dataset}"}, f"{HERE}.Tasks")
    backbone = ("backbone=vit_b_16", "backbone._target_=cl_bench.backbones.TinyClip")
    assert node("backbone", *backbone) == ({}, "cl_bench.backbones.TinyClip")


def test_a_merger_within_another_has_its_own_defaults_but_what_the_other_says_of_any(composed):
    inner = f"merger.of._target_={HERE}.Median"
    config, choices = composed("merger=svc", inner)
    assert config["merger"]["of"] == {"_target_": f"{HERE}.Median"}
    assert (choices["merger"], choices["merger@merger.of"]) == ("svc", f"{HERE}.Median")
    config, _ = composed("merger=rescale", "merger@merger.of=ties", inner)
    assert config["merger"]["of"] == {"_target_": f"{HERE}.Median"}
    config, _ = composed("merger=lines", "merger.beta=1", inner)
    assert config["merger"]["of"] == {"_target_": f"{HERE}.Median", "scaling": 1.0}


def test_a_setting_that_the_class_needs_but_nobody_chose_is_asked_for(composed):
    with pytest.raises(HydraException) as caught:
        composed(f"merger._target_={HERE}.NeedsScaling")
    assert str(caught.value) == (
        "merger.scaling is missing: tests.helpers.strangers.NeedsScaling needs it, and what it is set to, 0.5, was "
        "chosen for cl_bench.mergers.MagMax. If that is right here, too: merger.scaling=0.5"
    )
    config, _ = composed(f"merger._target_={HERE}.NeedsScaling", "merger.scaling=0.5")
    assert config["merger"]["scaling"] == 0.5


@pytest.mark.parametrize(
    ("overrides", "choices"),
    [
        ([], ("sequential", "magmax")),
        (["trainer=lwf", "merger=ties", "merger.scaling=1"], ("lwf", "ties")),
        ([MEDIAN], ("sequential", f"{HERE}.Median")),
        ([f"trainer._target_={HERE}.Plain", "merger=ties"], (f"{HERE}.Plain", "ties")),
        (["merger._target_=cl_bench.mergers.magmax.MagMax"], ("sequential", "magmax")),
        (["merger._target_=nowhere.Merger"], ("sequential", "nowhere.Merger")),
    ],
)
def test_a_choice_is_called_by_the_class_that_runs(composed, overrides, choices):
    _, found = composed(*overrides)
    assert (found["trainer"], found["merger"]) == choices


@pytest.mark.parametrize(
    ("overrides", "method"),
    [
        (["+method=sequential_ties"], "sequential_ties"),
        (["+method=sequential_ties", "merger=ties", "merger.density=0.3"], "sequential_ties"),
        (["+method=sequential_ties", "merger=dare"], "sequential_dare"),
        (["+method=sequential_ties", MEDIAN], f"sequential+{HERE}.Median"),
        (["+method=cmm_without_tangent"], "cmm_without_tangent"),
        (["+method=cmm_without_tangent", "merger=last"], "cmm_last"),
        (["+method=ewc", f"trainer._target_={HERE}.HeirOfEWC"], f"{HERE}.HeirOfEWC+last"),
    ],
)
def test_a_method_of_which_another_class_ran_is_not_called_by_its_name(composed, overrides, method):
    config, _ = composed(*overrides, folder=ROOT / "multirun_configs")
    assert config["method"] == method


def test_files_of_ones_own_choose_for_their_class_and_give_it_a_name(composed, tmp_path):
    for name, text in {
        "merger/median": f"_target_: {HERE}.Median\nwindow: 5\n",
        "merger/from_magmax": f"defaults: [magmax]\n_target_: {HERE}.Median\nwindow: 5\n",
        "experiment/mine": f"# @package _global_\nmerger:\n  _target_: {HERE}.Median\n  scaling: 0.5\n",
        "experiment/scaled": "# @package _global_\nmerger:\n  scaling: 0.5\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(text)
    for overrides, merger, name in (
        (["merger=median"], {"window": 5}, "median"),
        (["merger=median", "merger.window=7"], {"window": 7}, "median"),
        (["merger=from_magmax"], {"window": 5}, "from_magmax"),
        (["merger=median", f"merger._target_={HERE}.ChangedHeir"], {}, f"{HERE}.ChangedHeir"),
        (["+experiment=mine"], {"scaling": 0.5}, f"{HERE}.Median"),
        (["+experiment=scaled", MEDIAN], {"scaling": 0.5}, f"{HERE}.Median"),  # the same number, but chosen
    ):
        config, choices = composed(*overrides, folder=tmp_path)
        del config["merger"]["_target_"]
        assert (config["merger"], choices["merger"]) == (merger, name)


def test_a_file_that_would_be_passed_over_is_refused_only_where_it_is_chosen(composed, tmp_path):
    for name in ("merger/ties", "config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.yaml").write_text(f"_target_: {HERE}.Median\n")
    with pytest.raises(
        HydraException, match=r"config\.yaml would not.*experiment/my_config\.yaml, and \+experiment=my_"
    ):
        composed(folder=tmp_path)
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(HydraException, match=r"merger/ties\.yaml would not.*merger/my_ties\.yaml, and merger=my_ties"):
        composed("merger=ties", folder=tmp_path)
    assert composed(folder=tmp_path)[1]["merger"] == "magmax"
    assert composed("merger=ties", folder=ROOT / "conf")[1]["merger"] == "ties"  # ours, named once more


def test_the_merge_command_does_the_same(composed):
    config, _ = composed(MEDIAN, name="merge")
    assert config["merger"] == {"_target_": f"{HERE}.Median"}


def test_a_list_of_choices_is_no_choice(composed):
    with pytest.raises(
        HydraException, match=r"^merger=\[average,ties\]: a run has one merger.*-m merger=average,ties$"
    ):
        composed("merger=[average,ties]")


def test_a_rate_of_one_trainer_does_not_reach_another_class(composed):
    other = ("trainer=head_only", f"trainer._target_={HERE}.Plain")
    with pytest.raises(
        HydraException, match=r"^optim\.lr=0\.4 was chosen for trainer=head_only, not for .*Plain: name"
    ):
        composed(*other)
    assert composed(*other, "optim.lr=3")[0]["optim"]["lr"] == 3


@pytest.mark.parametrize(
    ("overrides", "of_domains"),
    [
        ([], False),
        (["scenario=glyphs_domains"], True),
        (["scenario=folder_domains"], True),
        (["scenario=mini_eight"], False),
        (["scenario=glyphs_domains", "scenario._target_=cl_bench.scenarios.ClassIncremental"], False),
        (["scenario=digits_5", "scenario._target_=cl_bench.scenarios.DomainIncremental"], True),
        (["scenario=digits_5", "scenario._target_=tests.helpers.strangers.OwnDomains"], True),
        (["scenario=digits_5", "scenario._target_=nowhere.Domains"], False),
    ],
)
def test_released_rules_follow_the_class_of_the_scenario(configure, overrides, of_domains):
    cmm, ewc = (configure(*overrides, f"trainer={trainer}") for trainer in ("cmm", "ewc"))
    assert cmm["merger"]["second_moments"] is not of_domains
    assert ewc["trainer"]["fisher_outputs"] == ("features" if of_domains else "classes")
    assert configure(*overrides, "trainer=cmm", "merger.second_moments=true")["merger"]["second_moments"] is True
