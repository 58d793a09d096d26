"""Experts are held against θ₀ before anything is evaluated."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file

from cl_bench.experiment.experts import checked
from cl_bench.experiment.experts.located import Located
from cl_bench.runtime.errors import UserError
from tests.helpers import experts

START = experts.pretrained()


def check(folder, weights, task="dtd", start="θ₀"):
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "model.safetensors")
    return checked.check(Located(task, folder, "typed"), START, start, folder.parent / "store")


def test_what_an_expert_is_comes_from_its_files(tmp_path):
    (tmp_path / "dtd").mkdir()
    (tmp_path / "dtd" / "README.md").write_text("---\nlicense: mit\ntags: [a]\n---\n# card\n")
    expert = check(tmp_path / "dtd", experts.moved(1, 0.05))
    assert expert.relative_change == pytest.approx(0.05, rel=1e-4)
    assert (expert.task, expert.source, expert.licence, expert.ours) == ("dtd", "typed", "mit", False)
    (tmp_path / "dtd" / "cl_bench.json").write_text('{"our_split": true}')
    assert check(tmp_path / "dtd", experts.moved(1, 0.05)).ours


def test_what_was_found_once_is_not_read_again(tmp_path, monkeypatch):
    first = check(tmp_path / "a", experts.moved(1))
    monkeypatch.setattr(checked, "read_like", None)
    again = check(tmp_path / "b", experts.moved(1))
    assert again.relative_change == first.relative_change
    with pytest.raises(TypeError):
        check(tmp_path / "b", experts.moved(1), start="another θ₀")


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({name: tensor for name, tensor in START.items() if "ln_post" not in name}, "lacks 'ln_post.bias'"),
        ({**START, "proj": START["proj"][:, :-1].contiguous()}, "'proj' has shape"),
        ({name: tensor * torch.nan if name == "proj" else tensor for name, tensor in START.items()}, "NaN or infinite"),
        (experts.moved(1, 1.5), "as far from the pre-trained weights as another model (by 1.5 of their norm)"),
        ({"some": torch.ones(2)}, "layout"),
    ],
    ids=["missing", "shape", "nan", "far", "other"],
)
def test_what_was_not_fine_tuned_from_the_backbone_is_refused_by_the_tasks_name(tmp_path, weights, text):
    with pytest.raises(UserError, match=re.escape(text)) as caught:
        check(tmp_path / "dtd", weights)
    assert str(caught.value).startswith(f"dtd: {tmp_path}")


def test_what_is_suspicious_is_warned_of(tmp_path, caplog):
    plain, far = check(tmp_path / "a", experts.moved(1)), check(tmp_path / "b", experts.moved(2, 0.5), "far")
    itself, twin = check(tmp_path / "c", START, "itself"), check(tmp_path / "d", experts.moved(1), "twin")
    checked.warn([plain, far, itself])
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["far", "itself"]
    assert "by 0.5 of their norm" in caplog.text and "task vector is zero" in caplog.text
    caplog.clear()
    checked.warn([plain, twin])
    assert "dtd and twin have the same weights" in caplog.text
    caplog.clear()
    checked.warn([plain])
    assert not caplog.records


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\r\nlicense: cc0\r\n---\r\n", "cc0"),
        ("# license: mit\n", None),
        ("---\nlicense: mit\n", None),
        ("---\n[\n---\n", None),
        ("---\nlicense:\n---\n", None),
        ("---\n- a\n---\n", None),
        ("", None),
    ],
)
def test_a_licence_is_what_the_cards_front_matter_says(tmp_path, card, licence):
    (tmp_path / "README.md").write_bytes(card.encode())
    assert checked.model_card.read(tmp_path).licence == licence
    assert checked.model_card.read(tmp_path / "model.safetensors").licence == licence


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        (json.dumps({"our_split": True}), True),
        (json.dumps({"our_split": False}), False),
        (json.dumps({"our_split": "yes"}), False),
        (json.dumps({"a": 1}), False),
        ("{}", False),
        ("[]", False),
        ("{", False),
        ("", False),
    ],
)
def test_only_what_was_exported_counts_as_ours(tmp_path, content, ours):
    (tmp_path / "cl_bench.json").write_text(content)
    assert checked.model_card.read(tmp_path).ours is ours
