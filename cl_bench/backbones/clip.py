"""CLIP models: an image encoder, and a frozen text tower that makes the head."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache, cached_property
from typing import Any, cast

import open_clip
import torch
from torch import Tensor, nn

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.sha256 import sha256
from cl_bench.backbones.unknown_words import RULE, lent_vectors, unknown_tokens, unknown_words
from cl_bench.images.transforms import Resampling
from cl_bench.runtime.errors import Missing, UserError

_BATCH = 256  # texts


class Clip(Backbone):
    """A CLIP model of open_clip, split into its image encoder and its text tower.

    SigLIP's models add a learned bias to all logits, which is the same for all classes. It changes neither which class
    is the most likely one nor any share of a softmax, so it is left out.

    Args:
        model_name: The model's name in open_clip.
        clip: The model with its pre-trained weights.
        resampling: See `ImageTransform`.
        projection: Name of the layer from hidden states to features; None where there is none.

    Attributes:
        logit_scale: exp of the learned temperature.
        text_identity: Plain data that differ whenever the text tower encodes some tokens differently: the model's
            configuration (its activation, say), its weights, and the rule for unknown words. It is part of `identity`.

    Raises:
        UserError: The encoder has no parameter called `projection`. When texts are read: the tokenizer is not there.
    """

    def __init__(
        self, model_name: str, clip: nn.Module, resampling: Resampling = "batched", projection: str | None = "proj"
    ) -> None:
        self._clip = cast(Any, clip.eval().requires_grad_(False))  # open_clip's classes carry no types
        self.logit_scale = float(self._clip.logit_scale.exp())
        configuration = open_clip.get_model_config(model_name)
        self.text_identity = {
            "model": model_name,
            "configuration": configuration,
            "weights": sha256(clip),
            "unknown_words": RULE,
        }
        super().__init__(
            model_name,
            self._clip.visual,
            self.text_identity,
            open_clip.get_model_preprocess_cfg(clip),
            int(configuration["embed_dim"]),
            resampling,
            projection,
            _count(clip) - _count(self._clip.visual),
        )

    @cached_property
    def _tokenizer(self) -> Callable[[Sequence[str]], Tensor]:
        """Made when it is asked for: where a head is made of images, nobody needs one."""
        return _tokenizer(self.name)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """(N, L) int64: the token ids that the text tower reads; short texts are padded, long ones cut."""
        return self._tokenizer(list(texts))

    def unknown_words(self, names: Sequence[str]) -> list[str]:
        """Words of class names that the text tower was not trained on; none where its token table cannot be found."""
        return [] if self._token_table is None else unknown_words(self._token_table, self.tokens, names)

    def telling_apart(self, names: Sequence[str], prompts: Sequence[str]) -> AbstractContextManager[None]:
        """Within this context, each unknown token of the class names has its own vector, see `unknown_words`."""
        table = self._token_table
        if table is None:
            return nullcontext()
        return lent_vectors(table, unknown_tokens(table, self.tokens, names, prompts))

    @property
    def _token_table(self) -> Tensor | None:
        """(V, D); None for text towers of other libraries, which keep it elsewhere and were trained on every token."""
        embedding: nn.Embedding | None = getattr(getattr(self._clip, "text", self._clip), "token_embedding", None)
        return None if embedding is None else embedding.weight.detach()

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """(N, D) float32: the normalized embeddings of the texts."""
        batches = [texts[i : i + _BATCH] for i in range(0, len(texts), _BATCH)]
        return torch.cat([self._encode(self.tokens(batch)) for batch in batches]).float()

    def _encode(self, tokens: Tensor) -> Tensor:
        clip = self._clip
        is_causal = getattr(clip, "text_pool_type", None) == "argmax" and getattr(clip, "attn_mask", None) is not None
        # The embedding is read at the end-of-text token, which has the largest id. Since the mask is causal, the
        # padding behind that token does not count; without it, CLIP's 77 tokens become about fifteen.
        length = int(tokens.argmax(dim=1).max()) + 1 if is_causal else tokens.shape[1]
        if 2 * length >= tokens.shape[1]:  # cutting would save little
            embeddings: Tensor = clip.encode_text(tokens, normalize=True)
            return embeddings
        cut = {
            "positional_embedding": clip.positional_embedding[:length],
            "attn_mask": clip.attn_mask[:length, :length],
        }
        embeddings = torch.func.functional_call(clip, cut, kwargs={"text": tokens[:, :length]})[1]
        return embeddings


@cache
def _tokenizer(model_name: str) -> Callable[[Sequence[str]], Tensor]:
    """Kept, since reading a vocabulary takes a tenth of a second and a sweep makes a backbone for every job."""
    try:
        tokenizer: Callable[[Sequence[str]], Tensor] = open_clip.get_tokenizer(model_name)
    except Exception as error:  # of Hugging Face's hub, for models whose tokenizer lies there
        raise _no_tokenizer(model_name, error) from error
    return tokenizer


def _no_tokenizer(model_name: str, error: Exception) -> UserError:
    source = open_clip.get_model_config(model_name)["text_cfg"].get("hf_tokenizer_name", "its tokenizer")
    if isinstance(error, ImportError):
        return UserError(
            f"The tokenizer of {model_name} needs the package transformers, which is not installed: install it, or "
            "choose head=prototypes"
        )
    return Missing(
        f"The tokenizer {source} of {model_name} could not be loaded: {' '.join(str(error).split())[:500]}\n"
        f"Without a network, fetch it elsewhere (hf download {source}) and bring Hugging Face's cache here "
        "(HF_HOME=path/to/cache); or choose head=prototypes, which reads no words."
    )


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
