"""YAML files of one's own beside the package's: choices, lists of them, sweeps and methods."""

import json
import re

import pytest

from cl_bench.mergers import Average
from cl_bench.runtime import configurations, setting_names
from tests.conftest import SHORT

pytestmark = pytest.mark.slow

FILES = {
    "my_methods.py": """
        from cl_bench.mergers import Average
        from cl_bench.trainers import Sequential

        class MyMerger(Average):
            pass

        class MyTrainer(Sequential):
            pass
    """,
    "my_conf/merger/mine.yaml": """
        _target_: my_methods.MyMerger
        scaling: 0.3
    """,
    "my_conf/trainer/mine.yaml": """
        defaults: [sequential]
        _target_: my_methods.MyTrainer
    """,
    "my_conf/dataset/few_digits.yaml": """
        defaults: [digits]
        test: 90
    """,
    "my_conf/method/my_method.yaml": """
        # @package _global_
        defaults:
          - override /trainer: mine
          - override /merger: mine
        method: my_method
    """,
    "my_conf/sweep/my_sweep.yaml": """
        # @package _global_
        hydra:
          sweeper:
            params:
              +method: my_method,sequential_ties
          sweep:
            dir: multirun/my_sweep
            subdir: ${method}
    """,
}
CONF = ("--config-dir", "my_conf")


@pytest.fixture
def own(tmp_path):
    """A folder with a merger, a trainer, a data set, a method and a sweep of one's own."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line[8:] for line in text.splitlines()).strip() + "\n")
    return tmp_path


def test_help_and_messages_list_them_with_the_package_s(cl_bench, own):
    for command in ("run", "merge"):
        helped = cl_bench(command, *CONF, "--help").stdout
        (mergers,) = [line for line in helped.splitlines() if line.startswith("merger: ")]
        assert {"magmax", "mine"} <= set(mergers.removeprefix("merger: ").split(", ")), command
        refused = cl_bench(command, *CONF, "merger=mien")
        assert refused.returncode == 2 and "did you mean merger=mine?\nChoices of merger: mine, " in refused.stderr
    helped = cl_bench("run", *CONF, "--help").stdout
    for line in ("dataset: .*few_digits", "trainer: .*mine", r"\+method: .*my_method", r"\+sweep: .*my_sweep"):
        assert re.search(rf"^{line}", helped, re.MULTILINE), line
    refused = cl_bench("run", *CONF, "+sweep=my_sweeep")
    assert refused.returncode == 2 and "did you mean +sweep=my_sweep?" in refused.stderr
    refused = cl_bench("run", *CONF, "merger=mine", "+merger.nope=1")
    assert refused.returncode == 2 and "merger.nope is not a setting of merger=mine;" in refused.stderr
    refused = cl_bench("run", "--config-dir", "nowhere", "merger=mine")
    assert refused.returncode == 2 and refused.stderr.startswith("Error: --config-dir nowhere: there is no such folder")


def test_a_sweep_of_ones_own_runs_a_method_of_ones_own_also_in_other_processes(cl_bench, own):
    parallel = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    swept = cl_bench("run", *CONF, "-m", "+sweep=my_sweep", "dataset=few_digits", *parallel, *_without_test(SHORT))
    assert swept.returncode == 0, swept.stderr
    result = json.loads((own / "multirun/my_sweep/my_method/result.json").read_text())
    assert (result["choices"]["trainer"], result["choices"]["merger"]) == ("mine", "mine")
    assert result["config"]["merger"] == {"_target_": "my_methods.MyMerger", "scaling": 0.3}
    assert (own / "multirun/my_sweep/sequential_ties/result.json").is_file()
    assert "my_method" in swept.stdout and "cl-bench report table multirun/my_sweep" in swept.stdout


def _without_test(settings):
    return [setting for setting in settings if not setting.startswith("+dataset.test")]


def test_of_two_sweeps_of_one_name_ones_own_is_read_and_of_two_choices_none(cl_bench, own):
    (own / "my_conf/sweep/lambda.yaml").write_text("# @package _global_\nseed: 3\ntrainer: {nope: 1}\n")
    refused = cl_bench("run", *CONF, "+sweep=lambda", *SHORT)
    assert refused.returncode == 2 and "trainer.nope is not a setting of trainer=sequential" in refused.stderr
    (own / "my_conf/merger/ties.yaml").write_text("_target_: my_methods.MyMerger\n")
    refused = cl_bench("run", *CONF, "merger=ties", *SHORT)
    assert refused.returncode == 2 and "my_conf/merger/ties.yaml would not be read" in refused.stderr
    assert "merger/my_ties.yaml, and merger=my_ties." in refused.stderr


def test_a_choice_of_ones_own_is_named_as_it_is_typed(own, monkeypatch):
    mine = type("MyMerger", (Average,), {"__module__": "my_methods"})
    monkeypatch.chdir(own)
    configurations.announce("my_conf")
    try:
        assert setting_names.choice("merger", mine) == "merger=mine"
        assert configurations.choices("method")[:2] == ["cmm", "cmm_with_second_moments"]
        assert "my_method" in configurations.choices("method")
    finally:
        configurations.announce(None)
    assert setting_names.choice("merger", mine) == "merger._target_=my_methods.MyMerger"
