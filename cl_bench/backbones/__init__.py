"""Image encoders of open_clip, their transforms and the zero-shot head."""

from cl_bench.backbones.backbone import Backbone
from cl_bench.backbones.head import zero_shot_head
from cl_bench.backbones.open_clip import OpenClip
from cl_bench.backbones.tiny_clip import TinyClip

__all__ = ["Backbone", "OpenClip", "TinyClip", "zero_shot_head"]
