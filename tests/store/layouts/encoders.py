"""Image encoders of random weights: θ₀ in open_clip, and models of `transformers` of the same architecture."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
from torch import Tensor, nn

from cl_bench.backbones.tiny_clip import architecture
from cl_bench.store.layouts.reader import Read, read_like
from tests.store.clip_files import CONFIGURATION

TEXT = {
    "vocab_size": 100,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 20,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


class Architecture(NamedTuple):
    """One image encoder: as open_clip builds it, and what `transformers` calls its sizes."""

    tower: nn.Module
    sizes: dict[str, int | str]

    @property
    def theta_0(self) -> dict[str, Tensor]:
        return self.tower.state_dict()

    @property
    def images(self) -> Tensor:
        size = self.sizes["image_size"]
        return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(3))

    def features(self, weights: Mapping[str, Tensor]) -> Tensor:
        """open_clip's own, of weights by θ₀'s names."""
        with torch.inference_mode():
            return torch.func.functional_call(self.tower, dict(weights), self.images)

    def hugging_face(self, name: str) -> nn.Module:
        """A model of a class of `transformers`, with random weights."""
        import transformers

        if name in ("CLIPModel", "CLIPForImageClassification"):
            config = transformers.CLIPConfig(
                vision_config=self.sizes, text_config=TEXT, projection_dim=self.sizes["projection_dim"]
            )
        else:
            config = transformers.CLIPVisionConfig(**self.sizes)
        return shaken(getattr(transformers, name)(config))


def shaken(model: nn.Module, seed: int = 1) -> nn.Module:
    """Random changes of all parameters, so large that each of them matters for the features."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def small() -> Architecture:
    """Two layers, a few thousand weights."""
    vision = CONFIGURATION["vision_cfg"]
    sizes = {
        "hidden_size": vision["width"],
        "intermediate_size": int(vision["width"] * vision["mlp_ratio"]),
        "num_hidden_layers": vision["layers"],
        "num_attention_heads": vision["width"] // vision["head_width"],
        "image_size": vision["image_size"],
        "patch_size": vision["patch_size"],
        "projection_dim": CONFIGURATION["embed_dim"],
        "hidden_act": "quick_gelu",
    }
    return Architecture(shaken(open_clip.model.CLIP(**CONFIGURATION).visual, seed=0), sizes)


def tiny_clip() -> Architecture:
    """The embedded miniature's."""
    sizes = {
        "hidden_size": 96,
        "intermediate_size": 384,
        "num_hidden_layers": 4,
        "num_attention_heads": 3,
        "image_size": 32,
        "patch_size": 8,
        "projection_dim": 96,
        "hidden_act": "gelu",
    }
    return Architecture(shaken(architecture.create().visual, seed=0), sizes)


def vit_b_32() -> Architecture:
    """OpenAI's."""
    sizes = {
        "hidden_size": 768,
        "intermediate_size": 3072,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "image_size": 224,
        "patch_size": 32,
        "projection_dim": 512,
        "hidden_act": "quick_gelu",
    }
    return Architecture(open_clip.create_model("ViT-B-32-quickgelu").visual.eval(), sizes)


def own_features(model: nn.Module, images: Tensor, projection: Tensor) -> Tensor:
    """What a model of `transformers` itself computes; θ₀'s projection where it has none."""
    with torch.inference_mode():
        if hasattr(model, "text_model"):
            return model.visual_projection(model.vision_model(pixel_values=images).pooler_output)
        if hasattr(model, "visual_projection"):
            return model(pixel_values=images).image_embeds
        vision = getattr(model, "vision_model", model)
        return vision(pixel_values=images).pooler_output @ projection


def read(path: Path, architecture: Architecture) -> Read:
    found = read_like(path, architecture.theta_0)
    assert list(found.weights) == list(architecture.theta_0) and len(found.weights) == len(architecture.theta_0)
    return found


def assert_features(found: Read, architecture: Architecture, expected: Tensor) -> None:
    """Features equal to 1e-5, and other ones than θ₀'s."""
    features = architecture.features(found.weights)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(features, architecture.features(architecture.theta_0), rtol=0.1, atol=0.01)
