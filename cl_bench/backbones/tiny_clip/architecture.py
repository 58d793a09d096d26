"""The model's shape, through open_clip's own factory."""

import logging
from functools import cache
from pathlib import Path

import torch

NAME = "tiny_clip"
MODEL_CONFIG = Path(__file__).with_name("tiny_clip.json")
# A configuration file of open_clip has no place for this; its factory takes it as an argument.
_PREPROCESSING = {"mean": (0.5, 0.5, 0.5), "std": (0.35, 0.35, 0.35)}


def create(seed: int = 0) -> torch.nn.Module:
    """An untrained model in fp32; torch's global random state stays as it was."""
    import open_clip

    register()
    with torch.random.fork_rng(devices=[]), _Quiet():
        torch.manual_seed(seed)
        return open_clip.create_model(NAME, force_preprocess_cfg=dict(_PREPROCESSING))


@cache
def register() -> None:
    """Makes the name known to open_clip, for models and tokenizers."""
    import open_clip

    open_clip.add_model_config(MODEL_CONFIG)


class _Quiet:
    """Silences open_clip's warning that the weights are random: they are, until they are read or trained."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
