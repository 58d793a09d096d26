"""Text embeddings without their padding are the text embeddings."""

import open_clip
import pytest
import torch

from cl_bench.backbones.clip import Clip

NAME = "ViT-B-32-quickgelu"
LONG = "a photo of a " + "very " * 50 + "long sentence"


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return open_clip.create_model(NAME, pretrained=None)


@pytest.mark.parametrize("texts", [["a dog", "a photo of two cats."], ["a dog", LONG]], ids=["short", "long"])
def test_leaving_out_the_padding_changes_nothing(clip, texts):
    with torch.inference_mode():
        expected = clip.encode_text(open_clip.get_tokenizer(NAME)(texts), normalize=True)
    assert torch.allclose(Clip(NAME, clip).encode_text(texts), expected, atol=1e-6)


def test_short_prompts_do_not_pay_for_the_whole_context(clip, monkeypatch):
    lengths = []
    clip.transformer.register_forward_pre_hook(lambda _, inputs: lengths.append(inputs[0].shape[1]))
    Clip(NAME, clip).encode_text(["a dog"])
    assert lengths == [4]  # start, a, dog, end
