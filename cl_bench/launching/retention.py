"""`evaluation.retention=[dtd]`: the settings of data sets that are named, as those of `dataset=dtd`."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from cl_bench.runtime import configurations
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.spelling import nearest_first


def settings(config: DictConfig) -> dict[str, Any]:
    """The settings of each data set that `evaluation.retention` names, by name; empty where it names none.

    Args:
        config: As Hydra composed it; the files of data sets refer to its paths.

    Raises:
        UserError: It is no list, or a name is no choice of the group `dataset`, or stands there twice.
    """
    names = OmegaConf.select(config, "evaluation.retention")
    if names is None:
        return {}
    if not OmegaConf.is_list(names):
        raise UserError(f"evaluation.retention={names} is no list of data sets; type evaluation.retention=[{names}].")
    return {str(name): _node(str(name), config) for name in _checked([str(name) for name in names])}


def _checked(names: Sequence[str]) -> Sequence[str]:
    known = configurations.choices("dataset")
    for name in names:
        if name not in known:
            listed = ", ".join(nearest_first(name, known))
            raise UserError(f"evaluation.retention names {name!r}, which is no data set; there are: {listed}.")
    if len(set(names)) < len(names):
        raise UserError(f"evaluation.retention names a data set twice: {', '.join(names)}.")
    return names


def _node(name: str, config: DictConfig) -> Any:
    file = next(file for file in configurations.files("dataset") if file.stem == name)
    node = OmegaConf.load(file)
    if "defaults" in node or file.read_text(encoding="utf-8").startswith("# @package"):
        raise UserError(f"evaluation.retention={name}: {file} is made of several files; name one that stands alone.")
    node._set_parent(config)
    return OmegaConf.to_container(node, resolve=True)
