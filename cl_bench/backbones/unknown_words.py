"""Words that a text tower was not trained on: their rows of its token table are zero, so it cannot tell them apart.

While a head is made, each unknown token of a class name gets its own random vector. Classes can then at least be told
apart; training gives the vectors a meaning. The model itself does not change.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

RULE = "normal, seeded by the token, of the known rows' mean length"
"""In words, since it belongs to the identity of heads and streams: another rule makes other rows."""

_SEED = 17

Tokenizer: TypeAlias = Callable[[Sequence[str]], Tensor]


def unknown_tokens(table: Tensor, tokenizer: Tokenizer, names: Sequence[str], prompts: Sequence[str]) -> list[int]:
    """The tokens of class names whose rows of the (V, D) table are zero, in ascending order.

    A name and the text beside it may become one token, which counts, too: `!!!` in `a photo of a {}.` is the token
    `!!!.`.
    """
    unknown = _unknown(table, tokenizer)
    if not unknown.any():
        return []
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    bare_prompts = [prompt.replace("{}", "") for prompt in prompts]
    in_texts, in_names, in_prompts = (
        {token for token in torch.unique(tokenizer(some)).tolist() if unknown[token]}
        for some in (texts, names, bare_prompts)
    )
    return sorted(in_names | (in_texts - in_prompts))


def unknown_words(table: Tensor, tokenizer: Tokenizer, names: Sequence[str]) -> list[str]:
    """The words of the names that contain an unknown token, each once, in order of appearance."""
    words = list(dict.fromkeys(word for name in names for word in name.split()))
    if not words:
        return []
    unknown = _unknown(table, tokenizer)[tokenizer(words)].any(dim=1)
    return [word for word, is_unknown in zip(words, unknown.tolist(), strict=True) if is_unknown]


def _unknown(table: Tensor, tokenizer: Tokenizer) -> Tensor:
    """(V,) bool: which tokens are unknown; those around every text (begin, end, padding) are no words."""
    unknown = ~table.any(dim=1)
    unknown[tokenizer([""])] = False
    return unknown


@contextlib.contextmanager
def lent_vectors(table: Tensor, tokens: Sequence[int]) -> Iterator[None]:
    """Within this context, each of the tokens has a random vector: normal, seeded by the token.

    Its length is the mean length of the known rows.

    Args:
        table: (V, D), changed within the context and restored after it.
        tokens: Tokens whose rows are zero.
    """
    if not tokens:
        yield
        return
    length = float(table[table.any(dim=1)].double().norm(dim=1).mean())
    with torch.no_grad():
        table[tokens] = torch.stack([_vector(token, table.shape[1], length) for token in tokens]).to(table.dtype)
    try:
        yield
    finally:
        with torch.no_grad():
            table[tokens] = 0


def _vector(token: int, size: int, length: float) -> Tensor:
    """(size,) float64, from NumPy's legacy generator, whose numbers are the same in every version."""
    direction = np.random.RandomState([_SEED, token]).standard_normal(size)
    return torch.from_numpy(direction * (length / np.linalg.norm(direction)))
