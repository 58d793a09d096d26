"""Any model of open_clip, with published or local weights."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
from open_clip.constants import OPENAI_DATASET_MEAN
from torch import nn

from cl_bench.backbones.clip import Clip
from cl_bench.backbones.not_loaded import not_loaded
from cl_bench.images.transforms import Resampling
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store.layouts import clip, torchscript
from cl_bench.store.layouts.files import model_file
from cl_bench.store.layouts.reader import read_whole
from cl_bench.store.models import read_model

log = logging.getLogger(__name__)

_LOOK = ("mean", "std", "resize_mode")  # of images, in open_clip's configurations of published weights


class OpenClip(Clip):
    """A CLIP model of open_clip (Radford et al. 2021, arXiv 2103.00020), or another one with words, such as SigLIP's.

    Images are normalized as the weights need it: a tag says how, and for a file it is what the model's published
    weights share. They are resized by their short side and cropped, also where open_clip would squash them (SigLIP);
    the log says so.

    Args:
        model: Name in open_clip. OpenAI's weights need a `-quickgelu` model: under the plain name, open_clip uses
            another activation than the weights were trained with, so that combination is refused.
        pretrained: A tag of open_clip, whose weights it downloads once into its own cache, or the path of the weights
            of a whole CLIP model, see `store.layouts.reader`, as written by open_clip, OpenAI (a TorchScript archive,
            whose code is not run), Hugging Face or Lightning.
        resampling: See `ImageTransform`.
        projection: Name of the layer from hidden states to features; in most encoders it is `proj`; None where there
            is none.

    Raises:
        UserError: The model, the tag or the projection does not exist, the weights cannot be loaded, or they were
            trained with another activation.
    """

    def __init__(
        self, model: str, pretrained: str, resampling: Resampling = "batched", projection: str | None = "proj"
    ) -> None:
        if model not in open_clip.list_models():
            raise UserError(
                f"backbone.model={model} is not a model of open_clip; all of them: "
                "python -c 'import open_clip; print(*open_clip.list_models())'"
            )
        path = Path(pretrained).expanduser()
        if path.is_file() or (path.is_dir() and pretrained not in open_clip.list_pretrained_tags_by_model(model)):
            net = _with_local_weights(model, path)
        else:
            _check_tag(model, pretrained)
            net = _create(model, pretrained)
        super().__init__(model, net, resampling, projection)
        if self.identity["preprocessing"]["resize_mode"] != "shortest":
            log.info(
                "%s: open_clip squashes images to squares; here they are resized by the short side and cropped.", model
            )


def _check_tag(model: str, tag: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        known = ", ".join(tags) or "none"
        raise UserError(f"backbone.pretrained={tag} is neither a file nor a tag of {model}; its tags are: {known}.")
    trained_with = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    if trained_with != open_clip.get_model_config(model).get("quick_gelu", False):
        other = f"{model}-quickgelu" if trained_with else model.removesuffix("-quickgelu")
        raise UserError(
            f"backbone.model={model} runs another activation than {tag} was trained with; use backbone.model={other}."
        )


def _with_local_weights(model: str, path: Path) -> nn.Module:
    if path.suffix in (".npz", ".npy"):
        return _create(model, str(path), _look(model))  # of big_vision, which open_clip reads itself
    with _explained(model, path):
        tensors, file = read_model(path), model_file(path)
        found = clip.find(tensors)
        has_text = found is None or clip.has_text_tower(found, tensors)
    if found is None and file.suffix != ".json" and not torchscript.is_archive(file):
        # Of another architecture, whose layouts open_clip alone knows.
        return _create(model, str(file), _look(model))
    if not has_text:
        raise UserError(
            f"backbone.pretrained={path} is an image tower alone, as a CLIPVisionModel is; a backbone needs the "
            "text tower, too, which makes the head. Name the file of the whole CLIP model."
        )
    _check_activation(model, path, found)
    net = _create(model, None, _look(model))
    with _explained(model, path):
        net.load_state_dict(tensors if found is None else read_whole(path, tensors, found, net.state_dict()))
    return net


@contextmanager
def _explained(model: str, path: Path) -> Iterator[None]:
    """Says what the user can do where the weights in a file cannot be used."""
    try:
        yield
    except (UserError, RuntimeError) as error:
        raise not_loaded(f"The weights {path} of {model}", error) from error


def _check_activation(model: str, path: Path, found: clip.Found | None) -> None:
    """Refuses weights of another activation: OpenAI's use QuickGELU; for Hugging Face's, `config.json` says which."""
    quick = None
    if path.is_file() and torchscript.is_archive(path):
        quick = True
    elif found is not None and found.layout == "hugging_face":
        quick = _configured_activation((path if path.is_dir() else path.parent) / "config.json")
    if quick is None or quick == bool(open_clip.get_model_config(model).get("quick_gelu", False)):
        return
    other = f"{model}-quickgelu" if quick else model.removesuffix("-quickgelu")
    raise UserError(
        f"backbone.model={model} runs another activation than {path} was trained with; use backbone.model={other}."
    )


def _configured_activation(path: Path) -> bool | None:
    """Whether a configuration of Hugging Face names QuickGELU; None where the file cannot be read."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return bool(config.get("vision_config", config).get("hidden_act", "quick_gelu") == "quick_gelu")
    except (OSError, ValueError, AttributeError):
        return None


def _look(model: str) -> dict[str, Any]:
    """How images have to look for all published weights of a model, for weights in a file, which do not say it."""
    tags = open_clip.list_pretrained_tags_by_model(model)
    looks = [tuple((key, open_clip.get_pretrained_cfg(model, tag)[key]) for key in _LOOK) for tag in tags]
    if len(set(looks)) > 1:
        others = [tag for tag, look in zip(tags, looks, strict=True) if dict(look)["mean"] != OPENAI_DATASET_MEAN]
        log.warning(
            "%s: a file of weights does not say how images are normalized; they are as for OpenAI's weights, which is "
            "wrong for %s: name such weights by their tag.",
            *(model, shortened(others)),
        )
    return dict(looks[0]) if len(set(looks)) == 1 else {}


def _create(model: str, pretrained: str | None, look: Mapping[str, Any] | None = None) -> nn.Module:
    if pretrained:
        log.info("loading the weights %s of %s", pretrained, model)
    logging.disable(logging.ERROR)  # the one message below replaces what open_clip logs
    try:
        required = pretrained is not None
        net: nn.Module = open_clip.create_model(
            model,
            pretrained=pretrained,
            require_pretrained=required,
            force_preprocess_cfg=dict(look or {}),
        )
        return net
    except Exception as error:  # open_clip passes on whatever its download or its file reader raises
        raise not_loaded(f"The weights {pretrained} of {model}", error) from error
    finally:
        logging.disable(logging.NOTSET)
