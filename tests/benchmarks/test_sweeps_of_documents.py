"""The sweeps behind docs/mergers.md and docs/trainers.md find every merger and trainer by themselves."""

import re
from itertools import product

import pytest
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.override_parser.overrides_parser import OverridesParser

from cl_bench.experiment.check import check
from cl_bench.runtime.memo import Memo
from tests.conftest import ROOT

SWEEPS = {"merger": "mergers", "trainer": "trainers"}
BY_THE_MAKEFILE = {
    "merger": {"lines", "weight_weaving", "perturb_and_merge", "emr", "tall_masks", "adamerging"},
    "trainer": {"tangent", "cmm"},
}

# What reads weights learns nothing, RanPAC has another head, and rules by name are other rules.
LEFT_OUT = {"trainer": {"imported", "finished", "ranpac"}, "merger": {"by_name"}}


def swept(group, *folders):
    """The choices that the sweep of a group goes through, as Hydra expands them; folders are those of --config-dir."""
    sweep = yaml.safe_load((ROOT / f"multirun_configs/sweep/{SWEEPS[group]}.yaml").read_text())
    path = create_config_search_path(str(ROOT / "conf"))
    for folder in folders:
        path.append("command-line", f"file://{folder}")
    parser = OverridesParser.create(config_loader=ConfigLoaderImpl(path))
    (override,) = parser.parse_overrides([f"{group}={sweep['hydra']['sweeper']['params'][group]}"])
    return set(override.sweep_string_iterator())


@pytest.mark.parametrize("group", SWEEPS)
def test_a_sweep_has_every_choice_but_those_that_the_makefile_gives_a_setting(group):
    choices = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
    assert swept(group) == choices - BY_THE_MAKEFILE[group] - LEFT_OUT[group]
    assert BY_THE_MAKEFILE[group] | LEFT_OUT[group] < choices
    named = re.findall(rf" {group}=([\w,]+)", (ROOT / "Makefile").read_text())
    assert BY_THE_MAKEFILE[group] <= {name for names in named for name in names.split(",")}


@pytest.mark.parametrize("group", SWEEPS)
def test_a_choice_of_ones_own_is_swept_too(tmp_path, group):
    (tmp_path / group).mkdir()
    (tmp_path / group / "my_own.yaml").write_text("_target_: my_pkg.MyOwn\n")
    assert swept(group, tmp_path) == swept(group) | {"my_own"}


@pytest.mark.parametrize("typed", re.findall(r"\$\(MERGERS\) (.+?)(?: \\)?\n", (ROOT / "Makefile").read_text()))
def test_no_run_that_the_makefile_adds_is_refused(configure, typed):
    settings = [setting.partition("=") for setting in typed.replace("$$of", "magmax").split()]
    for overrides in product(*([f"{name}={value}" for value in values.split(",")] for name, _, values in settings)):
        check(configure("+sweep=mergers", *overrides), Memo())
