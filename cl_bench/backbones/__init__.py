"""Backbones: CLIP models of open_clip, image models of timm, and the embedded miniature."""

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.clip import Clip
from cl_bench.backbones.efficientnet_lite0 import EfficientNetLite0
from cl_bench.backbones.open_clip import OpenClip
from cl_bench.backbones.timm import Timm
from cl_bench.backbones.tiny_clip import TinyClip

__all__ = ["Backbone", "Clip", "EfficientNetLite0", "OpenClip", "Timm", "TinyClip"]
