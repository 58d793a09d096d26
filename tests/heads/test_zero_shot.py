"""The zero-shot head against its formula, and its cache."""

import importlib
import json
import sys

import numpy as np
import open_clip
import pytest
import torch

from cl_bench.backbones import TinyClip
from cl_bench.backbones.clip import Clip
from cl_bench.backbones.tiny_clip import MODEL_CONFIG
from cl_bench.heads.zero_shot import head_key, zero_shot_head

NAMES, PROMPTS = ("digit 3", "capital letter q", "star"), ("a photo of a {}.", "{}", "a red {} on black")


@pytest.fixture(scope="module")
def backbone():
    return TinyClip()


def test_a_row_is_the_normalized_mean_of_normalized_embeddings_times_the_scale(backbone):
    head = zero_shot_head(backbone, NAMES, PROMPTS).double().numpy()
    for row, name in zip(head, NAMES, strict=True):
        embeddings = [backbone.encode_text([p.replace("{}", name)])[0].double().numpy() for p in PROMPTS]
        assert np.allclose([np.linalg.norm(e) for e in embeddings], 1, atol=1e-5)
        mean = np.mean(embeddings, axis=0)
        assert np.allclose(row, backbone.logit_scale * mean / np.linalg.norm(mean), atol=1e-3)


def test_no_prompt_is_encoded_twice(backbone, tmp_path, monkeypatch):
    head = zero_shot_head(backbone, NAMES, PROMPTS, tmp_path)
    monkeypatch.setattr(backbone, "encode_text", lambda texts: pytest.fail("encoded again"))
    assert torch.equal(zero_shot_head(backbone, NAMES, PROMPTS, tmp_path), head)


@pytest.mark.parametrize("change", ["names", "prompts", "damage"])
def test_the_cache_does_not_answer_for_other_words_nor_with_a_damaged_file(backbone, tmp_path, change):
    head = zero_shot_head(backbone, NAMES, PROMPTS, tmp_path)
    names, prompts = NAMES, PROMPTS
    if change == "names":
        names = ("digit 4", *NAMES[1:])
    elif change == "prompts":
        prompts = PROMPTS[:2]
    else:
        (file,) = tmp_path.glob("*.safetensors")
        file.write_bytes(file.read_bytes()[:40])
    other = zero_shot_head(backbone, names, prompts, tmp_path)
    assert torch.equal(other, zero_shot_head(backbone, names, prompts))
    assert torch.equal(other, head) == (change == "damage")


def test_the_heads_of_words_that_the_model_knows_keep_their_bits(backbone):
    """Another rule for unknown words is none for these."""
    texts = [prompt.replace("{}", name) for name in NAMES for prompt in PROMPTS]
    means = backbone.encode_text(texts).view(len(NAMES), len(PROMPTS), -1).mean(dim=1)
    expected = torch.nn.functional.normalize(means, dim=1) * backbone.logit_scale
    assert torch.equal(zero_shot_head(backbone, NAMES, PROMPTS), expected)


def sibling(tmp_path, name, weights, look=None, **text):
    """A model with the miniature's shape and given weights, but another configuration."""
    config = json.loads(MODEL_CONFIG.read_text())
    quick_gelu = text.pop("quick_gelu", False)
    config["text_cfg"] |= text
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({**config, "quick_gelu": quick_gelu}))
    open_clip.add_model_config(path)
    clip = open_clip.create_model(name, force_preprocess_cfg=look)
    clip.load_state_dict(weights)
    return Clip(name, clip)


def test_the_same_weights_under_another_configuration_have_heads_and_streams_of_their_own(backbone, tmp_path):
    weights = backbone._clip.state_dict()
    plain, quick = (sibling(tmp_path, "made_up_activation", weights, quick_gelu=on) for on in (False, True))
    assert plain.identity["weights"] == quick.identity["weights"] and plain.identity != quick.identity
    kept = [zero_shot_head(each, NAMES, PROMPTS, tmp_path / "heads") for each in (plain, quick)]
    fresh = [zero_shot_head(each, NAMES, PROMPTS) for each in (plain, quick)]
    assert all(map(torch.equal, kept, fresh)) and not torch.equal(*kept)
    assert len(list((tmp_path / "heads").glob("*.safetensors"))) == 2


def test_what_the_encoder_sees_is_part_of_the_backbone_but_not_of_the_head(backbone, tmp_path):
    weights = backbone._clip.state_dict()
    looks = [{"mean": (0.5, 0.5, 0.5)}, {"mean": (0.4, 0.5, 0.6)}, {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}]
    made = [sibling(tmp_path, "made_up_look", weights, look) for look in looks]
    assert len({json.dumps(each.identity) for each in made}) == 3
    assert len({head_key(each, NAMES, PROMPTS) for each in made}) == 1


def test_another_tokenizer_makes_another_key(backbone, monkeypatch):
    before = head_key(backbone, NAMES, PROMPTS)
    upper = open_clip.tokenizer.SimpleTokenizer(context_length=20, clean="whitespace")
    assert head_key(backbone, NAMES, PROMPTS) == before  # capitals would make a difference
    names = ("Digit 3", *NAMES[1:])
    lower = head_key(backbone, names, PROMPTS)
    monkeypatch.setattr(backbone, "_tokenizer", upper)
    assert head_key(backbone, names, PROMPTS) != lower


def test_another_rule_for_unknown_words_makes_another_key(backbone, monkeypatch):
    before = head_key(backbone, NAMES, PROMPTS)
    monkeypatch.setitem(backbone.text_identity, "unknown_words", "another")
    assert head_key(backbone, NAMES, PROMPTS) != before


def test_a_backbone_of_the_users_own_that_is_edited_makes_another_key(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    keys = []
    for template in ("a photo", "a drawing"):
        text = f"# {template}\nfrom cl_bench.backbones import TinyClip\nclass Mine(TinyClip): pass\n"
        (tmp_path / "my_backbone.py").write_text(text)
        importlib.invalidate_caches()
        keys.append(head_key(importlib.import_module("my_backbone").Mine(), NAMES, PROMPTS))
        del sys.modules["my_backbone"]
    assert keys[0] != keys[1]


def test_another_version_of_the_transform_is_another_backbone_and_the_same_head(backbone, monkeypatch):
    monkeypatch.setattr("cl_bench.backbones.backbone.VERSION", -1)
    other = TinyClip()
    assert other.identity != backbone.identity and head_key(other, NAMES, PROMPTS) == head_key(backbone, NAMES, PROMPTS)


def test_heads_of_earlier_versions_are_not_used_again(backbone, tmp_path, monkeypatch):
    before = head_key(backbone, NAMES, PROMPTS)
    monkeypatch.setattr("cl_bench.heads.zero_shot._SCHEMA", 1)
    assert head_key(backbone, NAMES, PROMPTS) != before
