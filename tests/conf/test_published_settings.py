"""Settings of CMM and EWC that follow the scenario, where the released code for domains has another rule."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from cl_bench.mergers import DOP, OPCM, SVC, TaskArithmetic
from tests.conftest import ROOT
from tests.mergers.matrix_models import OUTSIDE_LAYERS, SHAPES, encoders

SCENARIOS = [path.stem for path in sorted((ROOT / "conf" / "scenario").glob("*.yaml"))]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_kind_of_scenario_decides(configure, scenario):
    config = configure("trainer=ewc", "merger=cmm", f"scenario={scenario}")
    domains = config["scenario"]["_target_"] == "cl_bench.scenarios.DomainIncremental"
    assert domains == (scenario in {"glyphs_domains", "folder_domains", "imagenet_r_domains", "domain_incremental",
                                    "domainnet", "office31", "office_home", "image_clef"})  # fmt: skip
    assert config["merger"]["second_moments"] != domains
    assert config["trainer"]["fisher_outputs"] == ("features" if domains else "classes")
    assert config["merger"]["alpha"] == (0.6 if scenario == "office31" else 0.4)


@pytest.mark.parametrize(("scenario", "refinement"), [("office31", None), ("office_home", "l2"), ("cars_10", "l2")])
def test_only_the_released_run_on_office31_refines_nothing(configure, scenario, refinement):
    config = configure(f"scenario={scenario}", "trainer=cmm")
    assert config["trainer"]["refinement"] == refinement
    assert config["merger"]["_target_"] == "cl_bench.mergers.CMM"


def test_what_is_typed_wins_in_any_order(configure):
    typed = ("trainer.refinement=l1", "merger.second_moments=true", "merger.alpha=0.3")
    for words in itertools.permutations((("scenario=office31",), ("trainer=cmm",), typed)):
        config = configure(*itertools.chain(*words))
        assert config["trainer"]["refinement"] == "l1"
        assert (config["merger"]["second_moments"], config["merger"]["alpha"]) == (True, 0.3)
    assert (
        configure("trainer.fisher_outputs=classes", "trainer=ewc", "scenario=domainnet")["trainer"]["fisher_outputs"]
        == "classes"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["trainer=sequential", "trainer.starts_from=merged", "merger=cmm"],
        ["+method=cmm"],
        ["merger=rescale", "merger@merger.of=cmm"],
    ],
)
def test_so_it_is_with_another_trainer_in_a_row_of_a_table_and_within_another_method(configure, overrides):
    for scenario, weighs in (("digits_5", True), ("glyphs_domains", False)):
        merger = configure(f"scenario={scenario}", *overrides)["merger"]
        assert merger.get("of", merger)["second_moments"] == weighs


def test_rows_of_tables_by_the_papers_rules(configure):
    domains = ("scenario=domain_incremental",)
    assert configure(*domains, "+method=cmm_with_second_moments")["merger"]["second_moments"] is True
    assert configure(*domains, "+method=ewc_of_classes")["trainer"]["fisher_outputs"] == "classes"


def test_the_settings_of_other_methods_stay(configure):
    for merger, alpha in (("ema", 0.4), ("cofima", 0.4), ("opcm", 0.5)):
        assert configure("scenario=office31", f"merger={merger}")["merger"]["alpha"] == alpha


def test_a_scenario_of_ones_own_may_say_nothing_or_build_on_the_kind(command, tmp_path):
    (tmp_path / "conf/scenario").mkdir(parents=True)
    for name, base in (("plain", "class_incremental"), ("mine", "domain_incremental")):
        (tmp_path / f"conf/scenario/{name}.yaml").write_text(f"# @package _global_\ndefaults: [{base}]\n")
    for name, shown in (("plain", "second_moments: true"), ("mine", "second_moments: false")):
        words = ("--config-dir", "conf", f"scenario={name}", "trainer=cmm", "--cfg", "job", "--resolve")
        composed = command(str(ROOT / "run.py"), *words, cwd=tmp_path)
        assert composed.returncode == 0, composed.stderr
        assert f"merger:\n  _target_: cl_bench.mergers.CMM\n  alpha: 0.4\n  {shown}\n" in composed.stdout


def test_a_run_on_domains_keeps_no_second_moments_and_its_record_says_so(run_py, tmp_path):
    run = run_py(
        "trainer=cmm", "scenario=domain_incremental", "trainer.tangent=false", "lightning=cpu", "evaluation=final",
        "scenario.validation_share=0.9", "optim.epochs=1", "lightning.limit_train_batches=1", "hydra.run.dir=run",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    config = json.loads((tmp_path / "run/result.json").read_text())["config"]
    assert config["merger"]["second_moments"] is False and config["trainer"]["refinement"] == "l2"
    kept = [path.name for path in (tmp_path / "store/streams").glob("*/task_000*.safetensors")]
    assert kept == ["task_000.safetensors"]


def test_files_are_merged_as_released(command, tmp_path):
    models = encoders(3)
    for name, model in zip(("base", "a", "b", "c"), models, strict=True):
        save_file(model, tmp_path / f"{name}.safetensors")
    files = ("pretrained=base.safetensors", "finetuned=[a.safetensors,b.safetensors,c.safetensors]")
    expected = {"opcm": OPCM(), "dop": DOP(steps=3), "svc": SVC(TaskArithmetic(0.3))}
    for name, merger in expected.items():
        steps = ("merger.steps=3",) if name == "dop" else ()
        done = command(
            "-m", "cl_bench.merge", f"merger={name}", *steps, *files, f"out={name}.safetensors", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        merged = load_file(tmp_path / f"{name}.safetensors")
        whole = merger.merge(models[0], models[1:])
        assert all(torch.equal(merged[parameter], whole[parameter]) for parameter in SHAPES)
        if name == "dop":
            assert all(torch.equal(merged[parameter], models[0][parameter]) for parameter in OUTSIDE_LAYERS)
