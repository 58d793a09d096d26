"""How configurations are composed: as Hydra does it, but a class gets no settings that were written for another one.

`merger._target_=my_pkg.Median` changes a node that conf/merger/magmax.yaml has filled. What that file says of MagMax
says nothing of Median, so it is taken out again: Median runs with its own defaults, and is called by its own name.
What somebody has set for it stays: on the command line, in a sweep, or in any file of another group.
"""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import hydra._internal.hydra as hydra_internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from cl_bench.experiment import released

Where: TypeAlias = tuple[str, ...]  # a node of the configuration: ("merger", "of")

_NO_SETTINGS = ("_target_", "_partial_")
_MISSING = "???"
_ONE_OF = (
    "backbone",
    "dataset",
    "scenario",
    "trainer",
    "merger",
    "optim",
    "lightning",
    "evaluation",
    "logger",
    "paths",
)


@dataclass(frozen=True)
class _File:
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


def install() -> None:
    """From now on, Hydra composes in this way."""
    released.register()
    hydra_internals.ConfigLoaderImpl = Loader  # type: ignore[misc, attr-defined]


class Loader(ConfigLoaderImpl):
    """Hydra's loader; it goes along to the processes of other launchers."""

    _files: Sequence[_File] = ()

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """The composed configuration.

        Raises:
            ConfigCompositionException: As Hydra's; or a file is never read, since one of the project's own has its
                name; or a class needs a setting that was only written for another one.
        """
        parsed = OverridesParser.create().parse_overrides(overrides)
        _check_one_choice(parsed)
        config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        files, self._files = self._files, ()
        _separate(config, files, parsed)
        return config

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: Any) -> DictConfig:
        own = [default for default in defaults if default.config_path and not default.config_path.startswith("hydra/")]
        for default in own:
            _check_not_hidden(str(default.config_path), repo)
        self._files = [self._file(default, repo) for default in own]
        return super()._compose_config_from_defaults_list(defaults, repo)

    def _file(self, default: ResultDefault, repo: Any) -> _File:
        loaded = self._load_single_config(default, repo)
        content = OmegaConf.to_container(loaded.config, resolve=False)
        chosen = [entry for entry in loaded.defaults_list or () if hasattr(entry, "value")]
        others = {str(entry.group).strip("/"): str(entry.value) for entry in chosen}
        return _File(str(default.config_path), default.override_key or "", content, others)


def _check_one_choice(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.key_or_group in _ONE_OF and isinstance(override.value(), list):
            values = ",".join(map(str, override.value()))
            raise ConfigCompositionException(
                f"{override.input_line}: a run has one {override.key_or_group}; a run for each is "
                f"-m {override.key_or_group}={values}"
            )


def _check_not_hidden(path: str, repo: Any) -> None:
    """A file of the user's (`--config-dir`) that is called as one of the project's would be passed over in silence."""
    first, *others = [source for source in repo.get_sources() if source.is_config(path)]
    if first.provider != "main":
        return
    folder = Path(first.path).resolve()
    for source in others:
        if source.provider != "schema" and Path(source.path).resolve() != folder:
            group, _, name = path.rpartition("/")
            mine = f"{group or 'experiment'}/my_{name}"
            choice = f"{'' if group else '+'}{mine.replace('/', '=')}"
            raise ConfigCompositionException(
                f"{source.path}/{path}.yaml would not be read, since the project has a file of that name. Give yours "
                f"another one: {mine}.yaml, and {choice}."
            )


def _separate(config: DictConfig, files: Sequence[_File], overrides: Sequence[Override]) -> None:
    """Takes out what was written for other classes, and calls choices by the classes that are there."""
    plain = OmegaConf.to_container(config, resolve=False)
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


def _check_rate(
    config: DictConfig, renamed: Sequence[_Renamed], files: Sequence[_File], typed: Sequence[_File]
) -> None:
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


def _as_file(override: Override) -> _File:
    content: Any = override.value()
    for name in reversed(override.key_or_group.split(".")):
        content = {name: content}
    return _File("", "", content, {})


def _nodes(node: Any, where: Where = ()) -> Iterator[Where]:
    """All that have a class, those above first."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield where
        for name, value in node.items():
            yield from _nodes(value, (*where, name))


def _inherited(where: Where, files: Sequence[_File], typed: Sequence[_File], chosen: set[str]) -> dict[str, str]:
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


def _belongs_to(file: _File, where: Where) -> bool:
    return (bool(where) and file.path.startswith(f"{where[0]}/")) or _is_file_of(file, where)


def _is_file_of(file: _File, where: Where) -> bool:
    """Whether the file was chosen for just this node; one for a node above may speak of any class that stands here."""
    return file.choice.partition("@")[2] == ".".join(where) or file.path.rpartition("/")[0] == "/".join(where)


def _is_within(file: _File, where: Where, chosen: set[str]) -> bool:
    """Whether the user has chosen the file for a part of the node: `merger@merger.of=ties`."""
    return file.choice in chosen and file.choice.partition("@")[2].startswith(f"{'.'.join(where)}.")


def _target_of_group(where: Where, files: Iterable[_File]) -> str | None:
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


def _rename(config: DictConfig, renamed: Sequence[_Renamed], files: Sequence[_File]) -> None:
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
            from cl_bench.reports.methods import method_name

            config.method = method_name(choices["trainer"], choices["merger"])


def _same(one: Any, other: Any) -> bool:
    """Whether two import paths name one thing."""
    return one == other or (_found(one) is not None and _found(one) is _found(other))


def _found(path: Any) -> Any:
    """The class or function that an import path names; None if it cannot be had."""
    module, _, name = str(path).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
        inspect.signature(found)
    except Exception:  # whatever is wrong with it is told when it is to be called
        return None
    return found


def _select(node: Any, where: Where) -> Any:
    for name in where:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node
