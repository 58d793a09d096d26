"""Settings that follow the scenario's kind: `${released:classes,features}` in the files of conf/.

The code that was released for CMM and EWC on domains is not that on classes. The first value is that of classes, and of
a merge without any scenario; the second one that of domains.
"""

import importlib
from typing import Any

from omegaconf import DictConfig, OmegaConf


def register() -> None:
    """Makes `${released:…}` known to OmegaConf."""
    OmegaConf.register_new_resolver("released", _released, replace=True)


def _released(classes: Any, domains: Any, *, _root_: DictConfig) -> Any:
    return domains if _is_of_domains(str(OmegaConf.select(_root_, "scenario._target_"))) else classes


def _is_of_domains(target: str) -> bool:
    """Whether it names the scenario of domains, or one that was derived from it."""
    if target.startswith("cl_bench.scenarios.") or "." not in target:
        return target.endswith(".DomainIncremental")
    from cl_bench.scenarios import DomainIncremental

    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception:  # whatever is wrong with it is told when it is to be called
        return False
    return isinstance(found, type) and issubclass(found, DomainIncremental)
