"""Any model of open_clip, by name and tag or with local weights."""

import logging
from pathlib import Path

import open_clip
from torch import nn

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.transforms import Resampling
from cl_bench.errors import UserError

log = logging.getLogger(__name__)


class OpenClip(Backbone):
    """A CLIP model of open_clip (Radford et al. 2021, arXiv 2103.00020).

    Args:
        model: Name in open_clip. OpenAI's weights need the `-quickgelu` variants: under the plain names open_clip
            runs another activation than the weights were trained with, which is refused here.
        pretrained: A tag of open_clip (downloaded once into its own cache), or the path of a weights file.
        resampling: See `transforms`.
        projection: Name of the layer from hidden states to features; some encoders have it elsewhere than in `proj`.

    Raises:
        UserError: Unknown model or tag, weights that cannot be had, an activation that does not fit them, or a layer
            that is not there.
    """

    def __init__(
        self, model: str, pretrained: str, resampling: Resampling = "batched", projection: str = "proj"
    ) -> None:
        if model not in open_clip.list_models():
            raise UserError(
                f"backbone.model={model} is not a model of open_clip; open_clip.list_models() names them all."
            )
        file = Path(pretrained).expanduser()
        if not file.is_file():
            _check_tag(model, pretrained)
        super().__init__(model, _create(model, str(file) if file.is_file() else pretrained), resampling, projection)


def _check_tag(model: str, tag: str) -> None:
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        known = ", ".join(tags) or "none"
        raise UserError(f"backbone.pretrained={tag} is neither a file nor a tag of {model}; its tags are: {known}.")
    trained_with = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    if trained_with != open_clip.get_model_config(model).get("quick_gelu", False):
        other = f"{model}-quickgelu" if trained_with else model.removesuffix("-quickgelu")
        raise UserError(f"backbone.model={model} runs another activation than {tag} was trained with; use {other}.")


def _create(model: str, pretrained: str) -> nn.Module:
    log.info("loading the weights %s of %s", pretrained, model)
    logging.disable(logging.ERROR)  # what goes wrong is told once, below
    try:
        return open_clip.create_model(model, pretrained=pretrained, require_pretrained=True)
    except Exception as error:  # open_clip raises whatever its download or its file reader raised
        raise UserError(
            f"The weights {pretrained} of {model} could not be loaded: {' '.join(str(error).split())[:500]}\n"
            "Without a network, bring the file here by other means and name it: backbone.pretrained=path/to/weights"
        ) from error
    finally:
        logging.disable(logging.NOTSET)
