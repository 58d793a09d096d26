"""Words that a text tower never saw: their rows of its token table are zero, so to the tower they are all one word.

While a head is made, each unknown token of a class name gets a vector of its own, so that classes can at least be told
apart; what the vector means is left to training. The model itself stays as it is.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

RULE = "normal, seeded by the token, of the known rows' mean length"
"""Part of what heads and streams are known by: another rule makes other rows."""

_SEED = 17


Tokenizer: TypeAlias = Callable[[Sequence[str]], Tensor]


def unknown_tokens(table: Tensor, tokenizer: Tokenizer, names: Sequence[str], prompts: Sequence[str]) -> list[int]:
    """Tokens that class names bring into their prompts and whose rows of the (V, D) table are zero, in ascending order.

    A name may melt into one token with what stands beside it: `!!!` in `a photo of a {}.` is the token `!!!.`.
    """
    unknown = _unknown(table, tokenizer)
    if not unknown.any():
        return []
    texts = [prompt.replace("{}", name) for name in names for prompt in prompts]
    of_texts, of_names, of_prompts = (
        {token for token in tokenizer(some).unique().tolist() if unknown[token]}
        for some in (texts, names, [prompt.replace("{}", "") for prompt in prompts])
    )
    return sorted(of_names | (of_texts - of_prompts))


def unknown_words(table: Tensor, tokenizer: Tokenizer, names: Sequence[str]) -> list[str]:
    """Those words of the names that have an unknown token, each once, in order of appearance."""
    words = list(dict.fromkeys(word for name in names for word in name.split()))
    if not words:
        return []
    unknown = _unknown(table, tokenizer)[tokenizer(words)].any(dim=1)
    return [word for word, is_unknown in zip(words, unknown.tolist(), strict=True) if is_unknown]


def _unknown(table: Tensor, tokenizer: Tokenizer) -> Tensor:
    """(V,) bool; what also stands around an empty text (begin, end, padding) is no word."""
    unknown = ~table.any(dim=1)
    unknown[tokenizer([""])] = False
    return unknown


@contextlib.contextmanager
def lent_vectors(table: Tensor, tokens: Sequence[int]) -> Iterator[None]:
    """Gives each of the tokens a vector for a while: normal, seeded by the token, of the known rows' mean length.

    Args:
        table: (V, D), changed within and restored after.
        tokens: Whose rows are zero.
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
    """(size,) float64; NumPy promises that its legacy generator gives the same numbers in every version."""
    direction = np.random.RandomState([_SEED, token]).standard_normal(size)
    return torch.from_numpy(direction * (length / np.linalg.norm(direction)))
