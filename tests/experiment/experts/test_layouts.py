"""Experts in the layouts of several libraries, as a user names them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from cl_bench.store.layouts.clip_names import to_hugging_face
from cl_bench.store.layouts.converted import Converted
from tests.helpers.experts import SCENARIO, moved

Q = "base_model.model.vision_model.encoder.layers.0.self_attn.q_proj"


@pytest.fixture
def folder(tmp_path):
    """An expert of Hugging Face's layout, one of PEFT's and one of Lightning's, each another change of θ₀."""
    tuned = moved(1)
    whole = {f"visual.{name}": tensor for name, tensor in tuned.items()}
    theirs = Converted(whole, to_hugging_face(whole))
    (tmp_path / "lora").mkdir()
    save_file({name: t.clone() for name, t in theirs.items() if "projection" not in name}, tmp_path / "hf.safetensors")
    torch.save({"state_dict": {f"net.{name}": tensor for name, tensor in tuned.items()}}, tmp_path / "last.ckpt")
    change = {"A": torch.full((1, 96), 0.01), "B": torch.full((96, 1), 0.01)}
    save_file({f"{Q}.lora_{n}.weight": t for n, t in change.items()}, tmp_path / "lora" / "adapter_model.safetensors")
    (tmp_path / "lora" / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 1, "lora_alpha": 1}')
    return tmp_path


def weights(*paths: str) -> tuple[str, ...]:
    return (*SCENARIO, "trainer=imported", f"trainer.weights=[{','.join(paths)}]")


def test_the_record_says_what_was_read(run_py, folder):
    done = run_py(*weights("hf.safetensors", "lora", "last.ckpt"), "merger=tsv", "hydra.run.dir=run")
    assert done.returncode == 0, done.stderr
    layouts = [expert["layout"] for expert in json.loads((folder / "run" / "result.json").read_text())["experts"]]
    assert layouts == [
        "Hugging Face CLIPVisionModel",
        "PEFT LoRA of rank 1",
        "open_clip, image tower, under 'net.'",
    ]


def test_all_that_cannot_be_read_is_one_message_with_the_tasks(run_py, folder):
    config = folder / "lora" / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"use_dora": True}))
    state = torch.load(folder / "last.ckpt")["state_dict"]
    torch.save(state | {f"ema.{name}": tensor for name, tensor in state.items()}, folder / "two.pt")
    torch.save(state | {"net.ln_post.bias": torch.ones(1)}, folder / "shape.pt")
    refused = run_py(*weights("lora", "two.pt", "shape.pt"))
    assert refused.returncode == 2 and refused.stderr.count("\n") == 3
    for told in (
        "digits: lora/adapter_config.json: only plain LoRA matrices can be read, not use_dora=true.",
        "textures: two.pt: there are several image encoders, under 'ema.net.' (tower), 'net.' (tower)",
        "greek: shape.pt: 'net.ln_post.bias' has shape (1,), but (96,) in the pre-trained model.",
    ):
        assert told in refused.stderr
    assert not (folder / "outputs").exists() or not list((folder / "outputs").rglob("result.json"))
