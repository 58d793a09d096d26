"""Words that the text tower was not trained on."""

import math

import pytest
import torch
from torch.nn import functional

from cl_bench.backbones import TinyClip
from cl_bench.backbones.sha256 import sha256
from cl_bench.backbones.unknown_words import lent_vectors, unknown_tokens
from cl_bench.heads.zero_shot import zero_shot_head

PROMPTS = ("a photo of a {}.",)
KNOWN = ("digit 3", "capital letter q", "star")


@pytest.fixture(scope="module")
def backbone():
    return TinyClip()


def distances(names, backbone, prompts=PROMPTS):
    rows = functional.normalize(zero_shot_head(backbone, names, prompts).double(), dim=1)
    return torch.pdist(rows)


@pytest.mark.parametrize(
    "names",
    [
        ("dog", "horse", "guitar", "house"),
        ("αγάπη", "σκύλος", "γάτα"),
        ("猫", "狗", "马"),
        ("🐶", "🐱", "🐴"),
        ("!!!", "???", "***", "--"),
        ("a dog", "two dogs", "dog star"),
    ],
    ids=["english", "greek", "chinese", "emoji", "punctuation", "words in common"],
)
def test_classes_of_unknown_words_are_told_apart(backbone, names):
    assert distances(names, backbone).min() > 0.05


def test_they_are_named_as_words_and_once(backbone):
    names = ("digit 3", "dog", "hot dog", "guitar_case", "Dog", "small star")
    assert backbone.unknown_words(names) == ["dog", "hot", "guitar_case", "Dog"]
    assert backbone.unknown_words(KNOWN) == [] == backbone.unknown_words(())


def test_vectors_are_as_long_as_those_that_were_trained_and_belong_to_the_token(backbone):
    table = backbone._token_table
    trained = table[table.any(dim=1)].norm(dim=1).mean()
    tokens = unknown_tokens(table, backbone.tokens, ["dog", "horse"], PROMPTS)
    with lent_vectors(table, tokens):
        both = table[tokens].clone()
    with lent_vectors(table, tokens[1:]):
        alone = table[tokens[1]].clone()
    assert torch.equal(alone, both[1]) and not torch.equal(both[0], both[1])
    assert both.norm(dim=1) == pytest.approx(float(trained), rel=1e-6)
    expected = [0.4153, -0.5417, -1.0908, -0.0622]  # on every machine: NumPy's legacy generator is frozen
    with lent_vectors(table, [2000]):
        start = table[2000, :4] * math.sqrt(table.shape[1]) / trained
    assert start.tolist() == pytest.approx(expected, abs=1e-3)


def test_the_model_stays_as_it_is_also_where_encoding_fails(backbone, monkeypatch):
    before, known = sha256(backbone._clip), zero_shot_head(backbone, KNOWN, PROMPTS)
    zero_shot_head(backbone, ("dog", "horse"), PROMPTS)
    with monkeypatch.context() as patched:
        patched.setattr(backbone, "encode_text", lambda texts: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            zero_shot_head(backbone, ("dog", "horse"), PROMPTS)
    assert sha256(backbone._clip) == before
    assert torch.equal(zero_shot_head(backbone, KNOWN, PROMPTS), known)


def test_a_head_does_not_depend_on_heads_before_it(backbone):
    alone = zero_shot_head(TinyClip(), ("dog", "star"), PROMPTS)
    zero_shot_head(backbone, ("horse", "dog"), ("a dog {}",))
    assert torch.equal(zero_shot_head(backbone, ("dog", "star"), PROMPTS), alone)


def test_words_of_prompts_alone_stay_without_a_vector(backbone):
    """They are the same for all classes, and heads of known class names keep their bits."""
    prompts = ("a satellite {}",)
    embeddings = backbone.encode_text(["a satellite star", "a satellite moon"])
    expected = functional.normalize(embeddings, dim=1) * backbone.logit_scale
    assert torch.equal(zero_shot_head(backbone, ("star", "moon"), prompts), expected)


def test_a_table_that_was_trained_as_a_whole_has_no_unknown_words():
    backbone = TinyClip()
    with torch.no_grad():
        backbone._token_table.add_(0.01)
    assert backbone.unknown_words(("dog", "猫", "!!!")) == []
    backbone._clip.token_embedding = None  # towers of other libraries have it elsewhere
    assert backbone.unknown_words(("dog",)) == []
    with backbone.telling_apart(("dog",), PROMPTS):
        pass


def test_padding_is_no_word():
    backbone = TinyClip()
    with torch.no_grad():
        backbone._token_table[0] = 0
    assert backbone.unknown_words(KNOWN) == []
