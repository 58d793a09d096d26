"""Settings that were written for one class do not reach another one that stands in its place.

`merger._target_=my_pkg.Median` changes a node that `conf/merger/magmax.yaml` has filled. What that file says of MagMax
says nothing of Median, so it is taken out again: Median runs with its own defaults, and is called by its own name.
What somebody has set for it stays: on the command line, in a sweep, or in a file of another group.
"""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf, open_dict

Where: TypeAlias = tuple[str, ...]
"""A node of the configuration: `("merger", "of")`."""

_NO_SETTINGS = ("_target_", "_partial_")
_MISSING = "???"


@dataclass(frozen=True)
class File:
    """A file of a configuration.

    Attributes:
        path: Such as `merger/magmax`.
        choice: The key of the choice that it is, such as `merger` or `merger@merger.of`.
        content: What it says, placed where it belongs.
        others: What it chooses of other groups.
    """

    path: str
    choice: str
    content: Mapping[str, Any]
    others: Mapping[str, str]


@dataclass(frozen=True)
class _Renamed:
    """A node whose class is another one than that of the file that was chosen for it.

    Attributes:
        where: The node.
        target: Import path of the class.
    """

    where: Where
    target: str


def separate(config: DictConfig, files: Sequence[File], overrides: Sequence[Override]) -> None:
    """Takes out what was written for other classes, and calls choices by the classes that are there.

    Args:
        config: The composed configuration, which is changed.
        files: It was composed of these, in this order.
        overrides: What was typed.

    Raises:
        ConfigCompositionException: A class needs a setting that was only written for another one.
    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    typed = [_as_file(override) for override in overrides if _is_value(override)]
    chosen = {override.get_key_element().lstrip("+~") for override in overrides if not _is_value(override)}
    renamed = []
    for where in _nodes({name: node for name, node in plain.items() if name != "hydra"}):
        node = _select(plain, where)
        for name, former in _inherited(where, files, typed, chosen).items():
            if name in node and OmegaConf.select(config, ".".join(where)) is not None:  # it went with the one above
                _hand_on(config, where, name, node, former)
        target = _target_of_group(where, files)
        if target is not None and not _same(target, node["_target_"]):
            renamed.append(_Renamed(where, node["_target_"]))
    _check_rate(config, renamed, files, typed)
    _rename(config, renamed, files)


def _check_rate(config: DictConfig, renamed: Sequence[_Renamed], files: Sequence[File], typed: Sequence[File]) -> None:
    """A learning rate that belongs to a trainer does not reach another one in its place."""
    of_trainer = [file for file in files if file.path.startswith("trainer/optim/")]
    says_so = any("lr" in (_select(file.content, ("optim",)) or {}) for file in typed)
    if of_trainer and not says_so and (other := [one for one in renamed if one.where == ("trainer",)]):
        raise ConfigCompositionException(
            f"optim.lr={config.optim.lr} was chosen for trainer={config.hydra.runtime.choices.trainer}, not for "
            f"{other[0].target}: name one, optim.lr=…"
        )


def _is_value(override: Override) -> bool:
    """Whether it sets values; others choose files, or are for a sweeper."""
    if override.is_sweep_override() or override.is_delete() or override.package is not None:
        return False
    return "." in override.key_or_group or isinstance(override.value(), dict)


def _as_file(override: Override) -> File:
    content: Any = override.value()
    for name in reversed(override.key_or_group.split(".")):
        content = {name: content}
    return File("", "", content, {})


def _nodes(node: Any, where: Where = ()) -> Iterator[Where]:
    """All that have a class, those above first."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield where
        for name, value in node.items():
            yield from _nodes(value, (*where, name))


def _inherited(where: Where, files: Sequence[File], typed: Sequence[File], chosen: set[str]) -> dict[str, str]:
    """Settings of a node that files of its own group have made for another class, and which that is."""
    target: str | None = None
    made_for: dict[str, str] = {}
    of_group: dict[str, bool] = {}
    for file in (*files, *typed):
        node = _select(file.content, where)
        if not isinstance(node, Mapping):
            continue
        new = node.get("_target_", target)
        if target is not None and not _same(target, new):
            made_for |= {name: target for name, inherited in of_group.items() if inherited and name not in made_for}
        target = new
        for_class = _belongs_to(file, where) and (target is None or "_target_" in node or _is_file_of(file, where))
        for name in node.keys() - {*_NO_SETTINGS}:
            of_group[name] = for_class and not _is_within(file, where, chosen) and of_group.get(name, True)
            made_for.pop(name, None)
    return {name: former for name, former in made_for.items() if of_group[name]}


def _belongs_to(file: File, where: Where) -> bool:
    return (bool(where) and file.path.startswith(f"{where[0]}/")) or _is_file_of(file, where)


def _is_file_of(file: File, where: Where) -> bool:
    """Whether the file was chosen for just this node; one for a node above may speak of any class that stands here."""
    return file.choice.partition("@")[2] == ".".join(where) or file.path.rpartition("/")[0] == "/".join(where)


def _is_within(file: File, where: Where, chosen: set[str]) -> bool:
    """Whether the user has chosen the file for a part of the node: `merger@merger.of=ties`."""
    return file.choice in chosen and file.choice.partition("@")[2].startswith(f"{'.'.join(where)}.")


def _target_of_group(where: Where, files: Iterable[File]) -> str | None:
    """The class that the chosen file of the group names."""
    nodes = [_select(file.content, where) for file in files if _belongs_to(file, where)]
    targets = [node["_target_"] for node in nodes if isinstance(node, Mapping) and "_target_" in node]
    return targets[-1] if targets else None


def _hand_on(config: DictConfig, where: Where, name: str, node: Mapping[str, Any], former: str) -> None:
    """Leaves a setting that was made for another class only where it fits this one; else the class's default holds.

    It fits if the class takes it and it is no value, but a part, or the name of another setting (`${dataset}`); and
    if the class has the setting from that other class.
    """
    from cl_bench.runtime.instantiate import owner, parameters

    target, value = _found(node["_target_"]), node[name]
    if target is None:
        return  # which is told when it is to be called
    parameter = parameters(target).get(name)
    if parameter is not None:
        if _is_link_or_part(value) or _is_of(owner(target, name), target, _found(former)):
            return
        if parameter.default is parameter.empty and value != _MISSING:
            setting = ".".join((*where, name))
            raise ConfigCompositionException(
                f"{setting} is missing: {node['_target_']} needs it, and what it is set to, {value}, was chosen for "
                f"{former}. If that is right here, too: {setting}={value}"
            )
    with open_dict(config):
        del OmegaConf.select(config, ".".join(where))[name]


def _is_link_or_part(value: Any) -> bool:
    if isinstance(value, str):
        return "${" in value and not re.match(r"\$\{(oc\.select|released):", value)  # which have values beside the name
    return any(True for _ in _nodes(value))


def _is_of(owner: Any, target: Any, former: Any) -> bool:
    return all(isinstance(one, type) for one in (owner, target, former)) and (
        issubclass(target, former) and issubclass(former, owner)
    )


def _rename(config: DictConfig, renamed: Sequence[_Renamed], files: Sequence[File]) -> None:
    choices = config.hydra.runtime.choices
    names = {"optim.optimizer": "optim"}  # whose choices are optimizers
    names |= {key.partition("@")[2] or key: key for key in choices if not key.startswith("hydra/")}
    with open_dict(config.hydra):
        for one in reversed(renamed):  # so that those above come last
            if key := names.get(".".join(one.where)):
                choices[key] = one.target
    for file in files:
        its_own = {group: name for group, name in file.others.items() if group in ("trainer", "merger")}
        if "method" in file.content and any(choices[group] != name for group, name in its_own.items()):
            from cl_bench.reports.names import method_id

            config.method = method_id(choices["trainer"], choices["merger"])


def _same(one: Any, other: Any) -> bool:
    """Whether two import paths name one thing."""
    return one == other or (_found(one) is not None and _found(one) is _found(other))


def _found(path: Any) -> Any:
    """The class or function that an import path names; None if it cannot be had."""
    module, _, name = str(path).rpartition(".")
    try:
        found: Any = getattr(importlib.import_module(module), name, None)
        inspect.signature(found)
    except Exception:  # whatever is wrong with it is told when it is to be called
        return None
    return found


def _select(node: Any, where: Where) -> Any:
    for name in where:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
