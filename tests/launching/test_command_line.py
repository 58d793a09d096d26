"""A misspelt command line: one message, in words that can be typed, the nearest that there is first."""

import re
import shlex

import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cl_bench.launching import command_line, messages
from cl_bench.mergers import Ties
from cl_bench.runtime import setting_names
from cl_bench.runtime.errors import UserError
from cl_bench.trainers import Sequential
from tests.conftest import configuration


def told(folder, *overrides):
    with pytest.raises((HydraException, OmegaConfBaseException)) as refused:
        configuration(folder, *overrides)
    return messages.message(refused.value)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("merger.scalng=0.4", "merger.scaling=0.4"),
        ("lightning.device=2", "lightning.devices=2"),
        ("scenario.task=3", "scenario.tasks=3"),
        ("merger=lines merger.of.scalng=3", "merger.of.scaling=3"),
        ("mergr.scaling=1", "merger.scaling=1"),
        ("hydra.swep.dir=here", "hydra.sweep.dir=here"),
        ("mergers=ties", "merger=ties"),
        ("lr=1e-4", "optim.lr=1e-4"),
        ("scaling=0.4", "merger.scaling=0.4"),
        ("scenario.domain_order=3", "task_order=3"),
        ("scenario=eight_datasets scenario.class_order=[cars,mnist]", "'task_order=[cars,mnist]'"),
        ("seeed=3", "seed=3"),
    ],
)
def test_a_misspelt_setting_gets_the_one_that_there_is(tmp_path, typed, meant):
    *others, misspelt = typed.split()
    text = told(tmp_path, *others, misspelt)
    name = misspelt.partition("=")[0]
    assert text.startswith(f"There is no setting {name}; did you mean {meant}") and "_order" not in text.replace(
        "task_order", ""
    ).replace(name, "")
    assert "+" + misspelt not in text
    configuration(tmp_path, *others, *shlex.split(meant))  # which composes


def test_all_settings_of_the_place_are_named_nearest_first(tmp_path):
    assert "\nThe settings of lightning: devices, accelerator, nodes, " in told(tmp_path, "lightning.device=2")
    assert "\nGroups and settings: merger, " in told(tmp_path, "mergers=ties")
    assert "It is a setting of merger=lines." in told(tmp_path, "merger.beta=0.5")
    assert told(tmp_path, "dataset.root=here").endswith("It is a setting of dataset=folder, dataset=folder_domains.")


@pytest.mark.parametrize(
    ("typed", "advised"),
    [
        ("dataset.test=90", "+dataset.test=90"),  # an argument of the class that its file leaves at its default
        ("sweep=lambda", "+sweep=lambda"),
        ("method=cmm", "+method=cmm"),
        ("dataset.name=Käfer", "'dataset.name=\"Käfer\"'"),
        ("scenario=folder dataset.root=/images/Größe (2)", "'dataset.root=\"/images/Größe (2)\"'"),
        ("scenario=folder backbone.pretrained=/a/(1)/b", "'backbone.pretrained=\"/a/(1)/b\"'"),
        ("paths.data_dir=a=b", "'paths.data_dir=\"a=b\"'"),
        ("scenario=folder dataset.prompts=[a photo (x), b]", "'dataset.prompts=[\"a photo (x)\",b]'"),
        (r'+m={"digit 0\, digit 1": 3}', r"'+m={digit 0\, digit 1: 3}'"),
        (r'+m={"digit 0, digit 1": 3, "b": é}', "'+m={digit 0\\, digit 1: 3,b: \"é\"}'"),
        (r"+m={digit 0, digit 1: 3, 'a:b': 'c, d'}", r"""'+m={digit 0\, digit 1: 3,a\:b: '"'"'c, d'"'"'}'"""),
        ("scenario=folder dataset.class_names={n01: Käfer, 2: é}", '\'dataset.class_names={n01: "Käfer",2: "é"}\''),
    ],
)
def test_what_is_advised_can_be_pasted(tmp_path, typed, advised):
    *others, wrong = typed.split(" ", 1) if typed.startswith("scenario=") else [typed]
    text = told(tmp_path, *others, wrong)
    assert text.endswith(f": {advised}") and "Lexer" not in text and "hydra.cc" not in text
    if not wrong.startswith("dataset.name"):  # which the digits do not have
        configuration(tmp_path, *others, *shlex.split(advised))


def test_what_has_no_repair_is_said_in_words(tmp_path):
    assert told(tmp_path, "merger").startswith("merger: a setting is typed as name=value, without blanks around")
    assert told(tmp_path, "task_order=[a,b") == "task_order=[a,b: its bracket [ is not closed."
    keys = told(tmp_path, "+m={Käfer: 3}")
    assert "in a mapping, names have no quotes, but a backslash before signs that have a meaning" in keys
    assert r"""as in 'trainer.weights={digit 0\, digit 1: "them/(2)"}';""" in keys
    assert keys.endswith("names with letters outside ASCII cannot be typed there.")
    for half in ("+m={a b: [1,2], c: é}", "+m={é}", "+m={a: é, b}"):
        assert "as in 'trainer.weights=" in told(tmp_path, half)
    several = told(tmp_path, "merger.scaling=0.1,0.2")
    assert "-m merger.scaling=0.1,0.2\n" in several and "'merger.scaling=[0.1,0.2]'\n" in several
    assert told(tmp_path, "hydra.mode=foo").startswith("hydra.mode=foo does not fit: Invalid value 'foo'")


def test_a_misspelt_choice_gets_the_nearest_and_all_the_others(tmp_path, monkeypatch):
    text = told(tmp_path, "merger=tiess")
    assert text.startswith(
        "merger=tiess: there is no such choice; did you mean merger=ties?\nChoices of merger: ties, "
    )
    assert "magmax" in text and "\t" not in text
    assert "did you mean +sweep=optuna?" in told(tmp_path, "+sweep=optunna")
    monkeypatch.setattr("sys.argv", ["run.py", "merger=lines", "merger@merger.of=tiess"])
    assert "did you mean merger@merger.of=ties?" in told(tmp_path, "merger=lines", "merger@merger.of=tiess")
    assert "pip install" not in told(tmp_path, "hydra/launcher=jobli")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["--merger=ties"], "--merger=ties is no option; settings are typed without dashes: merger=ties"),
        (["-merger=ties"], "-merger=ties is no option; settings are typed without dashes: merger=ties"),
        (["--merger", "ties"], "--merger is no option; .*--help lists them"),
        (["-m", "merger.scaling=1,2", "--cfg", "job"], "leave -m and lists of values"),
        (["--multirun", "--cfg=job"], "leave -m and lists of values"),
    ],
)
def test_dashes_and_a_sweep_that_is_to_be_shown_are_refused(typed, message):
    with pytest.raises(HydraException, match=message):
        command_line.check(typed)


def test_options_of_hydra_are_left_to_it():
    command_line.check(
        ["--cfg", "job", "--resolve", "--config-dir=a", "-cd", "b", "--help", "merger=ties", "~optim.lr"]
    )


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("+mergers=ties", r"\+mergers is no setting, and nothing would read it; did you mean merger\?"),
        ("+sweeps=lambda", r"\+sweeps is no setting, .* did you mean \+sweep\?"),
        ("++seeed=3", "did you mean seed"),
        ("+paths.store=here", "paths.store is no setting; those of paths are: store_dir, "),
    ],
)
def test_what_a_plus_adds_and_nothing_reads_is_refused(configure, added, message):
    with pytest.raises(UserError, match=message):
        command_line.check_names(configure(added))


def test_a_note_of_ones_own_may_be_added(configure):
    command_line.check_names({**configure("+note=third try", "+method=cmm"), "choices": {}})


def test_the_command_line_answers_in_the_same_words(run_py, command, tmp_path):
    for typed in (["merger.scalng=0.4"], ["-m", "merger.scaling=0.1,0.2", "merger.scalng=3"]):
        run = run_py(*typed)
        assert run.returncode == 2 and "did you mean merger.scaling=" in run.stderr and "Traceback" not in run.stderr
    merge = command("-m", "cl_bench.merge", "merger.scalng=0.4", cwd=tmp_path)
    assert merge.returncode == 2 and "did you mean merger.scaling=0.4?" in merge.stderr
    merge = command("-m", "cl_bench.merge", "pretraind=a", cwd=tmp_path)
    assert merge.returncode == 2 and "did you mean pretrained=a?" in merge.stderr and "+sweep" not in merge.stderr
    for script in ([], ["-m"]):
        run = run_py(*script, "merger=tiess")
        assert run.returncode == 2 and "did you mean merger=ties?" in run.stderr
    assert not list(tmp_path.glob("*run/*/result.json"))


# Settings that are filled in from others.


def test_a_message_names_the_setting_that_was_typed():
    config = OmegaConf.create(
        {
            "task_order": 3,
            "paths": {"data_dir": "data"},
            "dataset": {"root": "${paths.data_dir}"},
            "scenario": {"class_order": "${task_order}", "datasets": {"a": {"root": "${paths.data_dir}"}}},
            "logger": {"save_dir": "${paths.data_dir}/log"},
        }
    )
    for text, renamed in {
        "scenario.class_order=-1: a seed is 0 or more": "task_order=-1: a seed is 0 or more",
        "dataset.root=3 does not fit": "paths.data_dir=3 does not fit",
        "scenario.datasets.a.root is missing": "paths.data_dir is missing",
        "logger.save_dir and my.dataset.root": "logger.save_dir and my.dataset.root",
        "dataset.roots": "dataset.roots",
    }.items():
        with pytest.raises(UserError, match=f"^{re.escape(renamed)}$"), setting_names.as_typed(config):
            raise UserError(text)
    config.scenario.class_order = 5  # typed as such
    with pytest.raises(UserError, match=r"^scenario\.class_order=-1$"), setting_names.as_typed(config):
        raise UserError("scenario.class_order=-1")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (["task_order=-1"], "Error: task_order=-1: "),
        (["task_order={a: 1}"], "Error: task_order={'a': 1} does not fit"),
        (["scenario=glyphs_domains", "task_order=[nowhere]"], "Error: task_order "),
        (["scenario=cifar100_5", "backbone=tiny_clip", "paths.data_dir=null"], "Error: paths.data_dir=None "),
    ],
)
def test_the_command_line_names_the_setting_that_was_typed(run_py, typed, message):
    run = run_py(*typed)
    assert (
        run.returncode == 2 and run.stderr.startswith(message) and "_order" not in run.stderr.replace("task_order", "")
    )


def test_a_choice_is_named_as_it_is_typed():
    assert setting_names.choice("merger", Ties) == "merger=ties"
    assert setting_names.choice("merger.of", Ties) == "merger@merger.of=ties"
    assert setting_names.choice("trainer", Sequential) == "trainer=sequential"
    own = type("Median", (Ties,), {"__module__": "my_package.mergers"})
    assert setting_names.choice("merger", own) == "merger._target_=my_package.mergers.Median"
