"""The miniature's architecture, built by open_clip."""

import logging
from functools import cache
from pathlib import Path

import torch

NAME = "tiny_clip"
MODEL_CONFIG = Path(__file__).with_name("tiny_clip.json")
# Not part of open_clip's configuration files, so `create_model` gets it as an argument.
_PREPROCESSING = {"mean": (0.5, 0.5, 0.5), "std": (0.35, 0.35, 0.35)}


def create(seed: int = 0) -> torch.nn.Module:
    """Makes an untrained model in fp32; torch's global random state does not change."""
    import open_clip

    register()
    with torch.random.fork_rng(devices=[]), _Quiet():
        torch.manual_seed(seed)
        model: torch.nn.Module = open_clip.create_model(NAME, force_preprocess_cfg=dict(_PREPROCESSING))
        return model


@cache
def register() -> None:
    """Registers the model with open_clip, under whose name it finds the tokenizer, too."""
    import open_clip

    open_clip.add_model_config(MODEL_CONFIG)


class _Quiet:
    """Silences open_clip's warning that the weights are random, which they are until they are loaded or trained."""

    def __enter__(self) -> None:
        self._before = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self._before)
