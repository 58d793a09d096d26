"""The part of a folder's name that says what a job of a sweep measures: `${measured:}` in `hydra.sweep.subdir`.

It is the chosen scenario, followed by the settings of its data set and tasks on the command line: `digits_5`,
`folder,dataset.root=cars`, `digits_5,scenario.tasks=2`. So runs on two data sets never share a folder, be they of
one sweep or of two.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

from omegaconf import DictConfig, OmegaConf

_LONGEST = 60  # characters of a setting


def register() -> None:
    """Registers `${measured:}` with OmegaConf."""
    OmegaConf.register_new_resolver("measured", measured, replace=True)


def measured(*, _root_: DictConfig) -> str:
    """The name, from the whole configuration including Hydra's own part."""
    hydra = _root_.hydra
    return ",".join([hydra.runtime.choices.scenario, *_settings(hydra.overrides.task)])


def _settings(overrides: Sequence[str]) -> Iterator[str]:
    """The settings of the data set and the tasks, each as a part of a folder's name."""
    for override in overrides:
        setting = override.lstrip("+~")
        if re.match(r"dataset\b|scenario\.", setting):
            yield _as_name(setting)


def _as_name(setting: str) -> str:
    """The setting itself if it can be a folder's name; otherwise what is left of it, and its hash."""
    name = re.sub(r"[^\w.=+-]+", "_", setting)
    if name == setting and len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(setting.encode()).hexdigest()[:6]}"
