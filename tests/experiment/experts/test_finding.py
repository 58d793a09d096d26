"""The experts of a run, from its configuration: all of them are checked, and each is read once."""

from dataclasses import replace

import pytest
from safetensors.torch import save_file

from cl_bench.backbones import TinyClip
from cl_bench.experiment.experts import finding
from cl_bench.experiment.experts.finding import find_experts
from cl_bench.experiment.scenario import make_scenario
from cl_bench.runtime.errors import Missing, UserError
from cl_bench.runtime.memo import Memo
from tests.helpers import experts
from tests.helpers.experts import SCENARIO, THREE


@pytest.fixture
def find(configure, tmp_path):
    """Finds the experts of a configuration."""
    experts.write(tmp_path / "experts", *THREE)

    def find(*overrides, memo=None):
        config = configure(*SCENARIO, f"trainer.weights={tmp_path}/experts/%s", *overrides)
        return find_experts(config, make_scenario(config), TinyClip(), tmp_path / "store", memo)

    return find


def test_they_come_in_the_order_of_tasks_and_are_read_once_for_all_jobs_of_a_sweep(find, monkeypatch):
    memo = Memo()
    first = find("trainer=imported", memo=memo)
    assert tuple(expert.task for expert in first) == THREE
    monkeypatch.setattr(finding, "check", None)
    again = find("trainer=imported", "task_order=[greek,textures,digits]", "merger=ties", "seed=3", memo=memo)
    assert again == first[::-1]


def test_a_trainer_that_learns_has_none(configure, tmp_path):
    config = configure(*SCENARIO)
    assert find_experts(config, make_scenario(config), TinyClip(), tmp_path / "store") == ()


def test_all_that_is_wrong_is_in_one_message(find, tmp_path):
    save_file(experts.moved(1, 2.0), tmp_path / "experts" / "greek" / "model.safetensors")
    (tmp_path / "experts" / "textures" / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match=r"greek: .*as far") as caught:
        find("trainer=imported")
    assert "textures: " in str(caught.value) and not isinstance(caught.value, Missing)


def test_published_experts_of_another_part_of_a_data_set_are_refused(find, monkeypatch, tmp_path):
    published = finding.published().model_copy(update={"owner": str(tmp_path), "classes": {"greek": 24, "digits": 26}})
    monkeypatch.setattr(finding, "published", lambda: published)
    with pytest.raises(UserError, match="digits: the published experts are for 26 classes, but here it has 10"):
        find("trainer=imported")
    monkeypatch.setattr(finding, "published", lambda: published.model_copy(update={"classes": {"digits": 10}}))
    assert len(find("trainer=imported")) == 3


def test_an_expert_of_ours_says_so_by_what_lies_beside_it(find, tmp_path):
    before = find("trainer=imported")
    (tmp_path / "experts" / "greek" / "cl_bench.json").write_text('{"our_split": true}')
    assert find("trainer=imported") == (*before[:2], replace(before[2], ours=True))
