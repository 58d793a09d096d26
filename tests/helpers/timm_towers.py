"""Small models of open_clip whose image towers are timm's, built as those of SigLIP 2 and EVA-02 are."""

import json
from functools import partial

import open_clip
import timm
import torch
from timm.models.eva import _create_eva
from timm.models.vision_transformer import _create_vision_transformer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import PreTrainedTokenizerFast

TOWERS = ("small_siglip_tower", "small_eva02_tower")  # of timm
_SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 2}
_TEXT = {"context_length": 12, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1}
_WORDS = ["<pad>", "<unk>", ".", "a", "photo", "of", "digit", "the", "number", *"0123456789"]


@timm.models.register_model
def small_siglip_tower(pretrained=False, **options):
    own = {"class_token": False, "global_pool": "map", "act_layer": partial(torch.nn.GELU, approximate="tanh")}
    return _create_vision_transformer("small_siglip_tower", pretrained, **{**_SMALL, **own, **options})


@timm.models.register_model
def small_eva02_tower(pretrained=False, **options):
    attention = {"qkv_fused": False, "scale_attn_inner": True, "use_rot_pos_emb": True, "ref_feat_shape": (4, 4)}
    own = {**attention, "mlp_ratio": 2.0, "swiglu_mlp": True, "scale_mlp": True, "global_pool": "token"}
    return _create_eva("small_eva02_tower", pretrained, **{**_SMALL, **own, **options})


def siglip(folder, monkeypatch):
    """Registers `small-siglip`, with published weights that nobody has; returns its weights in a file."""
    vision = {"timm_pool": "map", "timm_proj": "none", "timm_model_name": "small_siglip_tower"}
    text = {"hf_tokenizer_name": str(_tokenizer(folder / "tokenizer")), "no_causal_mask": True, "pool_type": "last"}
    look = {
        "mean": (0.5,) * 3,
        "std": (0.5,) * 3,
        "interpolation": "bicubic",
        "resize_mode": "squash",
        "hf_hub": "x/y/",
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "small-siglip", {"webli": look})
    return _registered("small-siglip", 48, vision, text, folder, monkeypatch, init_logit_bias=-10)


def eva02(folder, monkeypatch):
    """Registers `small-eva02`; returns its weights in a file."""
    vision = {"timm_pool": "token", "timm_proj": None, "timm_model_name": "small_eva02_tower"}
    return _registered("small-eva02", 40, vision, {"vocab_size": 49408}, folder, monkeypatch)


def _registered(name, embed_dim, vision, text, folder, monkeypatch, **options):
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    vision = {"image_size": 32, "timm_model_pretrained": False, **vision}
    config = {"embed_dim": embed_dim, "custom_text": True, "vision_cfg": vision, "text_cfg": {**_TEXT, **text}}
    (folder / f"{name}.json").write_text(json.dumps({**config, **options}))
    open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(0)
    model = open_clip.create_model(name)
    for parameter in model.parameters():
        parameter.data.add_(0.05 * torch.randn(parameter.shape))
    torch.save(model.state_dict(), folder / f"{name}.pt")
    return folder / f"{name}.pt"


def _tokenizer(folder):
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(_WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", unk_token="<unk>").save_pretrained(folder)
    return folder
