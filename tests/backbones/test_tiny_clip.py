import hashlib
import json
import shutil

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from cl_bench.backbones import tiny_clip
from cl_bench.backbones.tiny_clip import __main__ as script
from cl_bench.backbones.tiny_clip import architecture, pretraining, weights
from cl_bench.backbones.tiny_clip.world import World, draw_test
from cl_bench.datasets import digits
from cl_bench.datasets.rendering.captions import COLOR_NAMES, PROMPTS
from cl_bench.datasets.rendering.concepts import CONCEPTS, GROUPS, LETTERS
from cl_bench.datasets.rendering.fonts import held_out_fonts, pretraining_fonts
from cl_bench.runtime.errors import UserError

RECORD = json.loads(tiny_clip.WEIGHTS.with_name("weights.json").read_text())
CLASS_NAMES = [concept.names[0] for concept in CONCEPTS]
SOME_CAPTIONS = [prompt.format(name) for prompt in PROMPTS for name in CLASS_NAMES[::9]]


@pytest.fixture(scope="module")
def model():
    return tiny_clip.load()


@pytest.fixture(scope="module")
def short_training():
    losses = []
    trained, ids = pretraining.pretrain(seed=3, steps=12, report=lambda step, loss: losses.append((step, loss)))
    return trained, ids, losses


# What was shipped


def test_file_is_the_recorded_one():
    assert hashlib.sha256(tiny_clip.WEIGHTS.read_bytes()).hexdigest() == RECORD["sha256"]
    assert tiny_clip.WEIGHTS.stat().st_size < 4e6
    assert (RECORD["seed"], RECORD["steps"]) == (0, 1600)


def test_model_is_open_clips_in_fp32(model):
    assert type(model) is open_clip.CLIP
    assert not model.training
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert sum(p.numel() for p in model.visual.parameters()) == 477_120
    look = open_clip.get_model_preprocess_cfg(model)
    assert (look["size"], look["mean"], look["std"]) == ((32, 32), (0.5,) * 3, (0.35,) * 3)


def test_loading_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    tiny_clip.load()
    assert torch.equal(torch.get_rng_state(), before)


def test_parameters_are_those_of_the_file():
    stored = load_file(tiny_clip.WEIGHTS)
    ids = stored.pop("token_embedding.ids")
    assert tiny_clip.frozen_parameters() == sum(t.numel() for n, t in stored.items() if "visual" not in n)
    assert stored["token_embedding.rows"].shape == (len(ids), 64)
    assert tiny_clip.TinyClip().frozen_parameters == tiny_clip.frozen_parameters()


@pytest.mark.parametrize(
    ("fonts", "groups", "least"),
    [(pretraining_fonts, GROUPS, 0.93), (held_out_fonts, LETTERS, 0.75)],
    ids=["in distribution", "letters in held-out fonts"],
)
def test_zero_shot_over_all_concepts(model, fonts, groups, least):
    images, concepts = draw_test(fonts, groups, seed=17)
    assert pretraining.zero_shot_accuracy(model, images, concepts, CLASS_NAMES) > least


def test_test_images_are_of_the_groups_asked_for():
    images, concepts = draw_test(held_out_fonts, LETTERS, seed=17)
    assert {CONCEPTS[concept].group for concept in concepts.tolist()} == set(LETTERS)
    assert len(images) == len(concepts) == pytest.approx(4000 * 91 / 165, abs=150)


def test_zero_shot_on_real_digits_is_far_above_chance(model):
    data = digits.load()
    labels = torch.from_numpy(data.test.labels)
    assert pretraining.zero_shot_accuracy(model, data.test.pixels, labels, data.class_names) > 0.4


def test_any_text_can_be_encoded(model):
    tokenizer = open_clip.get_tokenizer("tiny_clip")
    texts = ["a photo of a submarine.", "", "zürich " * 40, "digit 7"]
    embeddings = model.encode_text(tokenizer(texts), normalize=True)
    assert embeddings.shape == (4, 96)
    assert embeddings.isfinite().all()


def test_unknown_words_change_little(model):
    """A template with words outside the captions still finds the digits."""
    tokenizer = open_clip.get_tokenizer("tiny_clip")
    known, unknown = (
        model.encode_text(tokenizer([template.format(i) for i in range(10)]), normalize=True)
        for template in ("a photo of the digit {}.", "a handwritten specimen of the digit {}.")
    )
    assert (unknown @ known.T).argmax(dim=1).tolist() == list(range(10))


def test_damaged_weights_are_refused(tmp_path):
    for source in (tiny_clip.WEIGHTS, tiny_clip.WEIGHTS.with_name("weights.json")):
        shutil.copy(source, tmp_path)
    copy = tmp_path / tiny_clip.WEIGHTS.name
    tiny_clip.load(copy)
    content = bytearray(copy.read_bytes())
    content[-1000] ^= 1
    copy.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        tiny_clip.load(copy)


# The compact token table


def test_ids_are_what_captions_need_and_keep_the_end_of_text_largest():
    ids = pretraining.caption_ids()
    tokenizer = open_clip.get_tokenizer("tiny_clip")
    _, captions, _ = World(pretraining_fonts, seed=0).draw(2000, torch.Generator().manual_seed(0))
    assert torch.isin(tokenizer(captions), ids).all()
    assert (ids.diff() > 0).all()
    assert ids[-1] == tokenizer.eot_token_id
    assert load_file(tiny_clip.WEIGHTS)["token_embedding.ids"].tolist() == ids.tolist()


def test_reading_restores_every_value_and_fills_the_table_with_zeros(short_training, tmp_path):
    trained, ids, _ = short_training
    path = tmp_path / "some.safetensors"
    weights.write(path, trained.state_dict(), ids, {"seed": 3})
    state = weights.read(path, vocabulary=49408)
    table = state.pop("token_embedding.weight")
    written = trained.state_dict()
    assert torch.equal(table[ids], written.pop("token_embedding.weight").half().float())
    others = torch.ones(49408, dtype=torch.bool)
    others[ids] = False
    assert table.shape == (49408, 64)
    assert (table[others] == 0).all()
    assert state.keys() == written.keys()
    assert all(torch.equal(state[name], written[name].half().float()) for name in state)
    assert json.loads((tmp_path / "weights.json").read_text())["seed"] == 3


@torch.inference_mode()
def test_text_head_survives_half_precision_and_the_whole_table(short_training, tmp_path):
    trained, ids, _ = short_training
    weights.write(tmp_path / "some.safetensors", trained.state_dict(), ids, {})
    tokens = open_clip.get_tokenizer("tiny_clip")(SOME_CAPTIONS)
    compact = trained.encode_text(torch.searchsorted(ids, tokens), normalize=True)
    whole = tiny_clip.load(tmp_path / "some.safetensors").encode_text(tokens, normalize=True)
    assert (whole - compact).abs().max() < 1e-3


# The pre-training


def test_script_end_to_end(tmp_path, capsys):
    out = tmp_path / "new" / "weights.safetensors"
    script.main(["--out", str(out), "--seed", "3", "--steps", "2"])
    record = json.loads((out.parent / "weights.json").read_text())
    assert record["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert record["versions"]["torch"] in torch.__version__
    assert set(record["zero_shot_accuracy"]) == {"in_distribution", "letters_in_held_out_fonts"}
    assert sorted(file.name for file in out.parent.iterdir()) == ["weights.json", "weights.safetensors"]
    printed = capsys.readouterr().out
    assert "step 2/2" in printed
    assert "zero-shot accuracy over 165 concepts, letters in held out fonts" in printed


def test_loss_falls(short_training):
    losses = [loss for _, loss in short_training[2]]
    assert [step for step, _ in short_training[2]] == list(range(1, 13))
    assert np.mean(losses[-3:]) < np.mean(losses[:3])


def test_training_repeats_itself_and_its_seed_matters():
    first, again, other = (pretraining.pretrain(seed, 1)[0].state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["visual.proj"], other["visual.proj"])


def test_contrastive_loss_is_the_naive_one():
    generator = torch.Generator().manual_seed(0)
    images, texts = (torch.nn.functional.normalize(torch.randn(5, 7, generator=generator), dim=1) for _ in range(2))
    captions, scale = ["a", "b", "a", "c", "a"], 14.3
    logits = scale * images.double().numpy() @ texts.double().numpy().T
    total = 0.0
    for matrix in (logits, logits.T):
        for i, row in enumerate(matrix):
            positives = [j for j in range(5) if captions[j] == captions[i]]
            total -= sum(row[j] - np.log(np.exp(row).sum()) for j in positives) / len(positives) / 5
    loss = pretraining.contrastive_loss(images, texts, torch.tensor(scale), captions)
    assert loss.item() == pytest.approx(total / 2, rel=1e-5)


def test_learning_rate_warms_up_and_falls_to_two_percent():
    shares = [pretraining.learning_rate_share(step, 1600) for step in range(1601)]
    assert shares[0] == pytest.approx(0.01)
    assert shares[49] == pytest.approx(0.5)
    assert shares[99] == shares[100] == pytest.approx(1.0)
    assert shares[850] == pytest.approx(0.51)
    assert shares[1600] == pytest.approx(0.02)
    assert np.argmax(shares) in (99, 100)


def test_world_draws_concepts_with_their_captions():
    world = World(pretraining_fonts, seed=0)
    images, captions, concepts = world.draw(500, torch.Generator().manual_seed(0))
    assert images.shape == (500, 32, 32, 3)
    for caption, concept in zip(captions, concepts.tolist(), strict=True):
        assert any(name in caption for name in CONCEPTS[concept].names)
    assert sum(f"{color} " in caption for caption in captions for color in COLOR_NAMES) > 200
    again = world.draw(500, torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(images, again[0])
    assert captions == again[1]


def test_name_is_known_to_open_clip():
    architecture.register()
    assert open_clip.get_model_config("tiny_clip") == json.loads(tiny_clip.MODEL_CONFIG.read_text())
