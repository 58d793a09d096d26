"""Settings and choices as the user types them, such as `task_order` and `merger=ties`, for messages."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, Node, OmegaConf

from cl_bench.runtime import configurations
from cl_bench.runtime.errors import UserError

_CHOSEN_BY_CLASS = ("merger", "trainer", "dataset", "head")  # in the other groups, many choices share a class


def choice(where: str, target: object) -> str:
    """How the user chooses a class or function: `merger=ties`, or `merger._target_=my_package.MyMerger`.

    Args:
        where: Its place in the configuration, such as `merger`, or `merger.of`.
        target: The class or function.
    """
    module, name = str(getattr(target, "__module__", "")), str(getattr(target, "__qualname__", target))
    paths = {f"{module}.{name}", f"{module.rpartition('.')[0]}.{name}"}  # packages re-export what their modules define
    found = [file for file in configurations.all_files() if paths & set(_targets(file))]
    if not found:
        return f"{where}._target_={module}.{name}"
    group, word = found[0].parent.name, found[0].stem
    if len(found) > 1 or group not in _CHOSEN_BY_CLASS:
        return where
    return f"{group}={word}" if where == group else f"{group}@{where}={word}"


def _targets(file: Path) -> list[str]:
    return re.findall(r"^ *_target_: (\S+)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)


@contextmanager
def as_typed(config: DictConfig) -> Iterator[None]:
    """Makes errors within the block name the setting that the user typed, and not one that is filled in from it.

    Args:
        config: As it was composed, not resolved.

    Raises:
        UserError: The block raised it; its text may be another one.
    """
    try:
        yield
    except UserError as error:
        text = renamed(str(error), config)
        if text == str(error):
            raise
        raise UserError(text) from error


def renamed(text: str, config: DictConfig) -> str:
    """A message with `task_order` for `scenario.class_order`, where that is `${task_order}`."""
    for setting, source in _filled_in(config, ""):
        text = re.sub(rf"(?<![\w./]){re.escape(setting)}(?!\w)", source, text)
    return text


def _filled_in(node: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every setting that is filled in from another one, with that one."""
    if not isinstance(node, DictConfig | ListConfig):
        return
    keys: Iterable[Any] = node.keys() if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        name, child = f"{where}.{key}".lstrip("."), node._get_node(key)
        if isinstance(child, Node) and child._is_interpolation():
            if found := re.fullmatch(r"\$\{([a-z_.]+)\}", str(child._value())):
                yield name, found.group(1)
        elif not OmegaConf.is_missing(node, key):
            yield from _filled_in(child, name)
