"""Reads an image encoder, or a whole CLIP model, from a file that any of several libraries wrote, by θ₀'s names."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.layouts import clip, lora
from cl_bench.store.layouts.converted import Converted, Place
from cl_bench.store.layouts.files import is_adapter
from cl_bench.store.models import read_model

_TEXT = re.compile(
    r"(?:transformer|token_embedding|ln_final|text|text_decoder)\..+"
    r"|positional_embedding|text_projection(?:\.weight|\.bias)?|logit_scale|logit_bias|attn_mask"
)


class Read(NamedTuple):
    """What a file holds of a model.

    Attributes:
        weights: Under θ₀'s names and in its order. Parts that the file lacks, such as a projection, are θ₀'s. Each
            tensor has the file's own type, is mapped, and is converted whenever it is read.
        layout: In words, for the record.
    """

    weights: Mapping[str, Tensor]
    layout: str


def read_like(path: Path, pretrained: Mapping[str, Tensor]) -> Read:
    """Read an image encoder.

    Args:
        path: As ``read_model`` takes it, or the folder of a LoRA expert of PEFT.
        pretrained: θ₀ as open_clip names an image tower, without a prefix.

    Raises:
        UserError: The file cannot be read, or holds something else than one encoder of θ₀'s architecture; names it.
    """
    path = path.expanduser()
    if is_adapter(path):
        expert = lora.read(path, pretrained)
        return Read(expert.weights, expert.layout)
    tensors = read_model(path)
    with explained(path):
        found = clip.find(tensors) or _under_own_names(tensors, pretrained)
        places, left_out = clip.places(found, tensors)
        for name in [name for name in left_out if _own_name(found, name) in pretrained]:
            left_out.remove(name)  # a projection that is called `head`, as EVA-02's is, is no classifier
            places[f"visual.{_own_name(found, name)}"] = Place((name,))
        image = {own.removeprefix("visual."): place for own, place in places.items() if own.startswith("visual.")}
        text = [own for own in places if not own.startswith("visual.")]
        if foreign := [own for own in text if not _TEXT.fullmatch(own)]:
            sources = shortened(repr(name) for own in foreign for name in places[own].names)
            raise UserError(f"nobody knows what {sources} stands for beside the image encoder; save the encoder alone")
        weights = _converted(tensors, image, pretrained, {"proj"})
    return Read(weights, _words(found, "proj" in image, bool(set(text) - {"logit_scale"}), left_out))


def read_whole(
    path: Path, tensors: Mapping[str, Tensor], found: clip.Found, pretrained: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """A whole CLIP model by open_clip's names.

    Args:
        path: For messages.
        tensors: What ``read_model`` found there.
        found: The model among their names.
        pretrained: A model of the same architecture, by open_clip's names.

    Raises:
        UserError: The file holds something else than one model of that architecture; names it.
    """
    with explained(path):
        return _converted(tensors, clip.places(found, tensors)[0], pretrained, set())


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Names the file in a message about what is in it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {str(error).removesuffix('.')}.") from error


def _own_name(found: clip.Found, name: str) -> str:
    """A name of an image tower, without what stands before all of its names."""
    return name.removeprefix(found.prefix if found.layout == "tower" else f"{found.prefix}visual.")


def _under_own_names(tensors: Mapping[str, Tensor], pretrained: Mapping[str, Tensor]) -> clip.Found:
    """Encoders of other architectures than CLIP's have one layout only, which is θ₀'s."""
    if adapters := [name for name in tensors if ".lora_A." in name]:
        raise UserError(f"{adapters[0]!r} is a LoRA expert's; name the folder with its adapter_config.json")
    names = [name for name in pretrained if name != "proj"]
    found = clip.only([clip.found_at(prefix) for prefix in clip.prefixes(tensors, names)])
    if found is None:
        raise UserError(
            f"its names ({shortened(list(tensors)[:3])}, …) are those of no layout of the pre-trained encoder "
            f"({shortened(list(pretrained)[:3])}, …)"
        )
    return found


def _converted(
    tensors: Mapping[str, Tensor], places: Mapping[str, Place], pretrained: Mapping[str, Tensor], optional: set[str]
) -> Mapping[str, Tensor]:
    """A model by θ₀'s names, once all names and shapes are known to fit."""
    unknown = [source for own in places.keys() - pretrained.keys() for source in places[own].names]
    missing = pretrained.keys() - places.keys() - optional
    if missing or unknown:
        parts = [f"lacks {shortened(map(repr, sorted(missing)))}"] * bool(missing)
        parts += [f"has the unknown {shortened(map(repr, sorted(unknown)))}"] * bool(unknown)
        raise UserError(f"it is no model of the pre-trained one's architecture: it {' and '.join(parts)}")
    for own, place in places.items():
        expected = place.source_shape(tuple(pretrained[own].shape))
        for source in place.names:
            if tuple(tensors[source].shape) != expected:
                raise UserError(
                    f"{source!r} has shape {tuple(tensors[source].shape)}, but {expected} in the pre-trained model"
                )
    return Converted(tensors, places, pretrained)


def _words(found: clip.Found, has_projection: bool, has_text: bool, left_out: list[str]) -> str:
    where = f", under {found.prefix!r}" if found.prefix else ""
    without = f", without its {shortened(left_out)}" if left_out else ""
    if found.layout != "hugging_face":
        return f"open_clip, {'whole model' if has_text else 'image tower'}{where}{without}"
    if has_text:
        kind = "CLIPModel"
    else:
        kind = "CLIPVisionModelWithProjection" if has_projection else "CLIPVisionModel"
    return f"Hugging Face {kind}{where}{without}"
