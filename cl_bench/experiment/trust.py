"""What the configuration in a record may name.

The user typed the `_target_` on the command line. Anybody may have written the one in a record, and instantiating it
calls it. So a record may name the project's own classes only, each in its place, and what the user trusts by name.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from torch.optim import Optimizer

from cl_bench.backbones import Backbone
from cl_bench.evaluation import Settings
from cl_bench.heads import HeadSettings
from cl_bench.images.images import ImageDataset
from cl_bench.mergers import BaseMerger
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.source_code import targets
from cl_bench.scenarios import Avalanche, Scenario
from cl_bench.trainers import Optimization, TaskTrainer


@dataclass(frozen=True)
class _Kind:
    """What a place of the configuration may name."""

    name: str  # for messages
    package: str  # where it is defined
    fits: Callable[[Any], bool]


def _class(name: str, base: type, package: str) -> _Kind:
    def fits(found: Any) -> bool:
        return inspect.isclass(found) and issubclass(found, base) and not inspect.isabstract(found)

    return _Kind(name, package, fits)


def _reads_images(found: Any) -> bool:
    function = inspect.unwrap(found)
    return inspect.isfunction(function) and get_type_hints(function).get("return") is ImageDataset


_DATASET = _Kind("data set", "cl_bench.datasets", _reads_images)
_MERGER = _class("merger", BaseMerger, "cl_bench.mergers")
_TOP = {
    "lightning": _class("setting of devices", Devices, "cl_bench.runtime.devices"),
    "evaluation": _class("setting of evaluation", Settings, "cl_bench.evaluation"),
    "merger": _MERGER,
    "optim": _class("optimization", Optimization, "cl_bench.trainers"),
    "scenario": _class("scenario", Scenario, "cl_bench.scenarios"),
    "backbone": _class("backbone", Backbone, "cl_bench.backbones"),
    "head": _class("head", HeadSettings, "cl_bench.heads"),
    "trainer": _class("trainer", TaskTrainer, "cl_bench.trainers"),
}
_WITHIN = {
    "merger": _MERGER,
    "optim": _class("optimizer", Optimizer, "torch.optim"),
    "scenario": _DATASET,
    "retention": _DATASET,
}
_UNPICKLES = (Avalanche,)  # their readers unpickle files of the data set unchecked


def check(config: Mapping[str, Any], origin: Path, trusted: Sequence[str] = ()) -> None:
    """Refuses a configuration that names anything but the project's own classes; imports none of it before.

    The logger is not checked, since nobody instantiates it again.

    Args:
        config: The configuration in a record.
        origin: The file of the record, for messages.
        trusted: Import paths, or packages, that the user trusts.

    Raises:
        UserError: Names the file, the setting, what it wants to call, and the remedy.
    """
    for group in _TOP:
        if not isinstance(config.get(group), Mapping) or "_target_" not in config[group]:
            raise UserError(f"{origin}: its configuration has no {group} with a _target_; it is damaged.")
    for where, target in targets(config):
        if where[:1] == ("logger",):
            continue
        if not isinstance(target, str):
            raise UserError(f"{origin}: {'.'.join(where)}._target_ is {target!r}, no import path; it is damaged.")
        if not any(target == name or target.startswith(f"{name}.") for name in trusted):
            _check_target(target, where, origin)


def _check_target(target: str, where: tuple[str, ...], origin: Path) -> None:
    group = where[0] if where else ""
    kind = _DATASET if where == ("dataset",) else (_TOP if len(where) == 1 else _WITHIN).get(group)
    if kind is None or not _is_own(target, kind):
        what = f"is no {kind.name} of {kind.package}" if kind else "is nothing that belongs there"
        raise _refused(target, where, origin, what)
    if _found(target) in _UNPICKLES:
        raise _refused(target, where, origin, "unpickles files, and with them runs what is in them")


def _is_own(target: str, kind: _Kind) -> bool:
    """Whether a target is defined in the kind's package and is of that kind; looks at its text before importing it."""
    module = target.rpartition(".")[0]
    inside = module == kind.package or module.startswith(f"{kind.package}.")
    if not inside or any(part.startswith("_") or not part.isidentifier() for part in target.split(".")):
        return False
    found = _found(target)
    defined = getattr(found, "__module__", None) or ""
    return f"{defined}.".startswith(f"{kind.package}.") and kind.fits(found)


def _found(target: str) -> Any:
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None


def _refused(target: str, where: tuple[str, ...], origin: Path, what: str) -> UserError:
    return UserError(
        f"{origin} wants {target!r} called as its {'.'.join(where) or 'configuration'}, which {what}. Nothing was "
        f"called. If you know that code and who wrote the record: --trust {target}"
    )
