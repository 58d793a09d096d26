"""Any image model of timm, with published or local weights, and no words."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import timm
import torch
from pydantic import Field
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.not_loaded import not_loaded
from cl_bench.backbones.sha256 import sha256
from cl_bench.images.transforms import Resampling
from cl_bench.runtime.errors import UserError
from cl_bench.store.models import read_model

log = logging.getLogger(__name__)


class Timm(Backbone):
    """An image model of timm (PyTorch Image Models) up to its pooled features, without its classifier.

    Size, mean and standard deviation of images are those of the model's own data configuration. The rest is as for
    every backbone here, whatever timm's evaluation does: the short side becomes `size` pixels by bicubic resampling,
    and evaluation sees the central square. The log says so where timm's own evaluation differs.

    Args:
        model: Name in timm, such as `vit_base_patch16_224.augreg_in21k`; what follows the dot says which weights.
        pretrained: True: published weights, which timm downloads once into its cache. Or the path of a file with the
            names that timm gives them, see `store.models.read_model`; a classifier in it is left out.
        size: Side of the images in pixels, to which timm fits position embeddings; None: the model's own.
        resampling: See `ImageTransform`.
        projection: Name of the parameter from hidden states to features; None where there is none.

    Raises:
        UserError: The model or its tag does not exist, the weights cannot be loaded or are those of another
            architecture, or the model does not turn an image of that size into one vector.
    """

    def __init__(
        self,
        model: str,
        pretrained: bool | str,
        size: Annotated[int, Field(ge=1)] | None = None,
        resampling: Resampling = "batched",
        projection: str | None = None,
    ) -> None:
        _check_name(model)
        if not pretrained:
            raise UserError(
                f"backbone.pretrained={str(pretrained).lower()}: an encoder has to know something before any task; "
                "name the path of a file of weights, or true for those that timm publishes."
            )
        options = {} if size is None or not _has_fixed_size(model) else {"img_size": size}
        net = (
            _published(model, options) if pretrained is True else _local(model, Path(pretrained).expanduser(), options)
        )
        look: dict[str, Any] = resolve_model_data_config(net)
        if pretrained is not True:
            _warn_of_other_looks(model, look)
        side = size or int(look["input_size"][-1])
        super().__init__(
            model,
            net,
            {"model": model, "weights": sha256(net)},
            {"size": side, "mean": look["mean"], "std": look["std"]},
            _feature_size(model, net.eval(), side),
            resampling,
            projection,
        )
        if (look["interpolation"], look["crop_pct"]) != ("bicubic", 1.0):
            log.info(
                "%s: timm evaluates the central %g %% of an image's short side, resized by %s resampling; here all of "
                "the short side is seen, resized by bicubic resampling.",
                *(model, 100 * look["crop_pct"], look["interpolation"]),
            )


def _check_name(model: str) -> None:
    name = model.partition(".")[0]
    if not timm.is_model(name):
        raise UserError(
            f"backbone.model={model} is not a model of timm; all of them: "
            "python -c 'import timm; print(*timm.list_models())'"
        )
    tags = timm.list_models(f"{name}.*", pretrained=True)
    if model != name and model not in tags:
        known = ", ".join(tag.partition(".")[2] for tag in tags) or "none"
        raise UserError(f"backbone.model={model}: timm has no such weights of {name}; it has: {known}.")


def _has_fixed_size(model: str) -> bool:
    """Whether the model is built for one size of images, as those with position embeddings are."""
    return bool(_configuration(model).get("fixed_input_size", False))


def _configuration(model: str) -> Mapping[str, Any]:
    found = timm.get_pretrained_cfg(model)
    return {} if found is None else cast(Mapping[str, Any], found.to_dict())


def _published(model: str, options: Mapping[str, Any]) -> nn.Module:
    """Loads the classifier, too, and takes it off: to a model without one, timm loads without looking for gaps."""
    log.info("loading timm's weights of %s", model)
    try:
        net: Any = timm.create_model(model, pretrained=True, **options)
        net.reset_classifier(0)
    except Exception as error:  # timm passes on whatever its download or its reader raises
        raise not_loaded(f"timm's weights of {model}", error) from error
    return cast(nn.Module, net)


def _local(model: str, path: Path, options: Mapping[str, Any]) -> nn.Module:
    """The overlay says that the weights have no classifier, so timm compares all names; it also fits positions."""
    try:
        tensors = _without_classifier(read_model(path), _configuration(model).get("classifier"))
        source = {"state_dict": tensors, "num_classes": 0, "label_offset": 0}
        net: Any = timm.create_model(model, pretrained=True, pretrained_cfg_overlay=source, num_classes=0, **options)
    except Exception as error:  # timm's fitting of positions may fail in any way where shapes are others
        raise not_loaded(f"The weights {path} of {model}", error) from error
    del net.pretrained_cfg["state_dict"]  # which every copy of the encoder would copy, too
    own = net.state_dict()
    for name, tensor in tensors.items():  # timm would resample patches of another size, too
        if "patch_embed" in name and name in own and own[name].numel() != tensor.numel():
            raise UserError(
                f"The weights {path} are not those of {model}: {name} has the shape {tuple(tensor.shape)} there, and "
                f"{tuple(own[name].shape)} in the model; see backbone.model and backbone.pretrained."
            )
    return cast(nn.Module, net)


def _warn_of_other_looks(model: str, look: Mapping[str, Any]) -> None:
    """Warns where the name stands for several pre-trainings, whose images were normalized differently."""
    if "." in model:
        return
    tags = timm.list_models(f"{model}.*", pretrained=True)
    others = [tag for tag in tags if any(tuple(_configuration(tag)[key]) != look[key] for key in ("mean", "std"))]
    if others:
        log.warning(
            "timm's %s has several weights, of which these take images that are normalized differently: %s. Here the "
            "mean is %s, and the standard deviation %s. If your file is one of these, name it as backbone.model.",
            *(model, ", ".join(others), look["mean"], look["std"]),
        )


def _without_classifier(tensors: Mapping[str, Tensor], classifiers: str | tuple[str, ...] | None) -> dict[str, Tensor]:
    names = (classifiers,) if isinstance(classifiers, str) else classifiers or ()
    prefixes = tuple(f"{name}." for name in names)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}


def _feature_size(model: str, net: nn.Module, size: int) -> int:
    try:
        with torch.inference_mode():
            features = net(torch.zeros(1, 3, size, size))
    except Exception as error:  # the model's own checks of an image's size are assertions as often as not
        raise UserError(
            f"backbone.model={model} cannot encode images of {size} x {size} pixels: {' '.join(str(error).split())}; "
            "name another backbone.size."
        ) from error
    if not isinstance(features, Tensor) or features.dim() != 2:
        raise UserError(
            f"backbone.model={model} makes no vector of an image, so it cannot be a backbone; name another."
        )
    return int(features.shape[1])
