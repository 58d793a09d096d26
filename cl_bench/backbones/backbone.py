"""What every backbone is: an image encoder to fine-tune, and a frozen text tower that makes the head."""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import open_clip
import torch
from torch import Tensor, nn

from cl_bench.backbones.unknown_words import RULE, lent_vectors, unknown_tokens, unknown_words
from cl_bench.images.transforms import VERSION, ImageTransform, Resampling
from cl_bench.runtime.errors import UserError

_TEXTS_AT_ONCE = 256


class Backbone:
    """A CLIP model of open_clip, taken apart.

    Attributes:
        encoder: The image tower with its pre-trained weights θ₀; (B, 3, size, size) to (B, D) features.
        logit_scale: exp of the learned temperature.
        transform: From 8-bit images to what the encoder reads.
        frozen_parameters: How many parameters of the whole model are not the encoder's.
        name: The model's name in open_clip.
        text_identity: Plain data that differ whenever what the text tower makes of some tokens does: the model's
            configuration (its activation, say), its weights, and the rule for unknown words.
        identity: The same, and what the encoder sees of an image.

    Raises:
        UserError: The encoder has no parameter of the name that `projection` gives to its last layer.
    """

    def __init__(
        self, model_name: str, clip: nn.Module, resampling: Resampling = "batched", projection: str = "proj"
    ) -> None:
        self.name = model_name
        self._clip = clip.eval().requires_grad_(False)
        self._tokenizer = _tokenizer(model_name)
        self.encoder: nn.Module = clip.visual
        if projection not in dict(self.encoder.named_parameters()):
            raise UserError(f"backbone.projection={projection} is no parameter of the image encoder of {model_name}.")
        self.logit_scale = float(clip.logit_scale.exp())
        look = open_clip.get_model_preprocess_cfg(clip)
        size = look["size"] if isinstance(look["size"], int) else look["size"][0]
        self.transform = ImageTransform(size, look["mean"], look["std"], resampling)
        self.frozen_parameters = self._count_frozen()
        self.text_identity = {
            "model": model_name,
            "configuration": open_clip.get_model_config(model_name),
            "weights": _sha256(clip),
            "unknown_words": RULE,
        }
        seen = {"preprocessing": dict(look), "resampling": resampling, "transform": VERSION}
        self.identity = {**self.text_identity, **seen}

    def _count_frozen(self) -> int:
        return sum(p.numel() for p in self._clip.parameters()) - sum(p.numel() for p in self.encoder.parameters())

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """(N, L) int64: what the text tower reads, padded, and cut where a text is too long."""
        return self._tokenizer(list(texts))

    def unknown_words(self, names: Sequence[str]) -> list[str]:
        """Words of the names that the text tower was not trained on; none where its token table is not at hand."""
        return [] if self._token_table is None else unknown_words(self._token_table, self.tokens, names)

    def telling_apart(self, names: Sequence[str], prompts: Sequence[str]) -> AbstractContextManager[None]:
        """Within, each token of the names that is unknown has a vector of its own, see `unknown_words`."""
        table = self._token_table
        if table is None:
            return nullcontext()
        return lent_vectors(table, unknown_tokens(table, self.tokens, names, prompts))

    @property
    def _token_table(self) -> Tensor | None:
        """(V, D); towers of other libraries have it elsewhere, and trained as a whole."""
        embedding = getattr(getattr(self._clip, "text", self._clip), "token_embedding", None)
        return None if embedding is None else embedding.weight.detach()

    @torch.inference_mode()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Normalized embeddings of the texts, (N, D) float32."""
        batches = [texts[i : i + _TEXTS_AT_ONCE] for i in range(0, len(texts), _TEXTS_AT_ONCE)]
        return torch.cat([self._encode(self.tokens(batch)) for batch in batches]).float()

    def _encode(self, tokens: Tensor) -> Tensor:
        clip = self._clip
        if getattr(clip, "text_pool_type", None) != "argmax" or getattr(clip, "attn_mask", None) is None:
            return clip.encode_text(tokens, normalize=True)
        # What follows the end-of-text token, the largest id, cannot be seen from there: the mask is causal. Without
        # the padding, CLIP's 77 tokens become some fifteen.
        length = int(tokens.argmax(dim=1).max()) + 1
        if 2 * length >= tokens.shape[1]:
            return clip.encode_text(tokens, normalize=True)  # little would be saved
        cut = {
            "positional_embedding": clip.positional_embedding[:length],
            "attn_mask": clip.attn_mask[:length, :length],
        }
        return torch.func.functional_call(clip, cut, kwargs={"text": tokens[:, :length]})[1]


@cache
def _tokenizer(model_name: str) -> Callable[[Sequence[str]], Tensor]:
    """Made once: reading its vocabulary takes a tenth of a second, and a sweep makes a backbone per job."""
    return open_clip.get_tokenizer(model_name)


def _sha256(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
