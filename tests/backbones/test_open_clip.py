"""Which models and weights are accepted; no network is asked."""

import pytest

from cl_bench.backbones import OpenClip
from cl_bench.runtime.errors import UserError


@pytest.mark.parametrize(
    ("model", "pretrained", "named"),
    [
        ("ViT-B-99", "openai", "ViT-B-99"),
        ("ViT-B-16-quickgelu", "nope", "openai, dfn2b"),
        ("ViT-B-16", "openai", "use backbone.model=ViT-B-16-quickgelu"),
        ("ViT-B-32-quickgelu", "laion2b_e16", "neither a file nor a tag"),
    ],
)
def test_mistakes_are_named_before_anything_is_loaded(model, pretrained, named):
    with pytest.raises(UserError, match=named):
        OpenClip(model, pretrained)


def test_a_file_that_holds_no_weights_is_named(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"backbone\.pretrained=path/to/weights"):
        OpenClip("ViT-B-32-quickgelu", str(tmp_path / "weights.safetensors"))
