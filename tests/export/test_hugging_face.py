"""Image towers in the layout of `transformers`, which loads them and computes the same features."""

import json

import open_clip
import pytest
import torch
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from cl_bench.backbones import Clip, TinyClip
from cl_bench.export import hugging_face
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

TEXT = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
TOWER = {"image_size": 36, "layers": 2, "width": 64, "head_width": 16, "mlp_ratio": 2.0, "patch_size": 12}
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None}


def backbone(tmp_path, projection="proj", **configuration):
    """A random model of open_clip, whose weights are no round numbers, zeros or ones anywhere."""
    name = f"random_{tmp_path.name}"
    (tmp_path / f"{name}.json").write_text(json.dumps({"embed_dim": 24, "text_cfg": TEXT, **configuration}))
    open_clip.add_model_config(tmp_path / f"{name}.json")
    model = open_clip.create_model(name)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.visual.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return Clip(name, model, projection=projection)


def loaded(backbone, folder):
    atomic.write_safetensors(folder / "model.safetensors", hugging_face.tensors(backbone.encoder.state_dict()))
    atomic.write_json(folder / "config.json", hugging_face.config(backbone, torch.float32))
    atomic.write_json(folder / "preprocessor_config.json", hugging_face.preprocessing(backbone))
    model, said = CLIPVisionModelWithProjection.from_pretrained(folder, output_loading_info=True)
    assert not any(said.values()), said
    return model.eval()


def check_features(backbone, model):
    images = torch.randn(5, 3, backbone.transform.size, backbone.transform.size, generator=torch.manual_seed(1))
    with torch.no_grad():
        expected, found = backbone.encoder(images), model(pixel_values=images).image_embeds
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_embedded_model_has_the_same_features_and_images(tmp_path):
    backbone = TinyClip()
    check_features(backbone, loaded(backbone, tmp_path))
    pixels = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8, generator=torch.manual_seed(2))
    read = CLIPImageProcessor.from_pretrained(tmp_path)(images=[pixels[0].numpy()], return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(read, backbone.transform(pixels))


@pytest.mark.parametrize("quick_gelu", [True, False])
def test_a_random_tower_has_the_same_features(tmp_path, quick_gelu):
    made = backbone(tmp_path, vision_cfg=TOWER, quick_gelu=quick_gelu)
    hugging_face.check_held(made)
    model = loaded(made, tmp_path / "out")
    check_features(made, model)
    assert model.config.hidden_act == ("quick_gelu" if quick_gelu else "gelu")


@pytest.mark.parametrize("name", ["ViT-B-16-quickgelu", "ViT-B-32", "ViT-L-14"])
def test_published_towers_have_the_sizes_of_openais_on_the_hub(name, monkeypatch):
    configuration = open_clip.get_model_config(name)

    class Named:
        text_identity = {"configuration": configuration}  # noqa: RUF012
        transform = type("Transform", (), {"size": 224})

    found = hugging_face.config(Named, torch.float32)
    large = name == "ViT-L-14"
    assert (found["hidden_size"], found["intermediate_size"]) == ((1024, 4096) if large else (768, 3072))
    assert (found["num_hidden_layers"], found["num_attention_heads"]) == ((24, 16) if large else (12, 12))
    assert (found["projection_dim"], found["patch_size"]) == (768 if large else 512, int(name.split("-")[2]))
    assert found["hidden_act"] == ("quick_gelu" if "quick" in name else "gelu")


@pytest.mark.parametrize(
    ("tower", "projection", "named"),
    [
        (RESNET, "attnpool.c_proj.weight", "ModifiedResNet"),
        ({**TOWER, "ls_init_value": 0.1}, "proj", "built with ls_init_value"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused_in_one_line(tmp_path, tower, projection, named):
    with pytest.raises(UserError, match=f"^random_.*: its image tower is .*{named}.*cannot hold") as refused:
        hugging_face.check_held(backbone(tmp_path, projection, vision_cfg=tower))
    assert "\n" not in str(refused.value)
