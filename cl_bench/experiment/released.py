"""Settings that depend on the scenario's kind: `${released:FOR CLASSES,FOR DOMAINS}` in the files of conf/.

The code released for CMM and EWC differs between classes and domains. The first value is also that of a merge without
a scenario.
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
    """Whether a scenario's `_target_` is `DomainIncremental` or derived from it."""
    if target.startswith("cl_bench.scenarios.") or "." not in target:
        return target.endswith(".DomainIncremental")
    from cl_bench.scenarios import DomainIncremental

    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception:  # the error is reported where the scenario is made
        return False
    return isinstance(found, type) and issubclass(found, DomainIncremental)
