"""How a sweep's folders name what is measured: `${measured:}` in `hydra.sweep.subdir`.

It is the chosen scenario, and after it whatever the command says of its data set or tasks: `digits_5`,
`folder,dataset.root=cars`, `digits_5,scenario.tasks=2`. So two data sets of one sweep, or of one sweep that is started
with one and then with the other, have folders of their own.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

from omegaconf import DictConfig, OmegaConf

_LONGEST = 60  # characters of a setting


def register() -> None:
    """Makes `${measured:}` known to OmegaConf."""
    OmegaConf.register_new_resolver("measured", measured, replace=True)


def measured(*, _root_: DictConfig) -> str:
    """The name of a job's folder, from the whole configuration with Hydra's own."""
    hydra = _root_.hydra
    return ",".join([hydra.runtime.choices.scenario, *_settings(hydra.overrides.task)])


def _settings(overrides: Sequence[str]) -> Iterator[str]:
    """What belongs to the data set and the tasks, as parts of a folder's name."""
    for override in overrides:
        setting = override.lstrip("+~")
        if re.match(r"dataset\b|scenario\.", setting):
            yield _as_name(setting)


def _as_name(setting: str) -> str:
    """The setting itself where it can be a folder's name, else what is left of it with a hash of it."""
    name = re.sub(r"[^\w.=+-]+", "_", setting)
    if name == setting and len(name) <= _LONGEST:
        return name
    return f"{name[:_LONGEST]}-{hashlib.sha256(setting.encode()).hexdigest()[:6]}"
