"""The zero-shot head against its formula, and its cache."""

import numpy as np
import pytest
import torch

from cl_bench.backbones import TinyClip, zero_shot_head

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
