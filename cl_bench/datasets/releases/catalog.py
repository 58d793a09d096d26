"""Finds the published data sets: each module of `datasets` that has a `RELEASE` and a `load` is one."""

import difflib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from cl_bench import datasets
from cl_bench.datasets.releases.release import Release
from cl_bench.images.images import ImageDataset
from cl_bench.runtime.errors import UserError


def releases() -> dict[str, Release]:
    """The release of each data set, by name."""
    names = [module.name for module in pkgutil.iter_modules(datasets.__path__)]
    return {name: _module(name).RELEASE for name in names if _has_release(name)}


def release(name: str) -> Release:
    """The release of one data set.

    Raises:
        UserError: There is no such data set; lists all.
    """
    known = releases()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        question = f" Did you mean {close[0]}?" if close else ""
        raise UserError(f"There is no data set {name!r}.{question} There are: {', '.join(known)}.")
    return known[name]


def load(name: str, root: Path) -> ImageDataset:
    """Reads a data set from its release's files.

    Args:
        name: Of the data set.
        root: The folder of all data sets.

    Raises:
        UserError: There is no such data set, or its files are missing or damaged.
    """
    dataset: ImageDataset = _module(release(name).name).load(Path(root))
    return dataset


def _has_release(name: str) -> bool:
    """Only reads the text: data sets that are drawn have no release, and importing them would load PyTorch."""
    spec = importlib.util.find_spec(f"{datasets.__name__}.{name}")
    if spec is None or spec.origin is None:
        return False
    return "\nRELEASE" in Path(spec.origin).read_text(encoding="utf-8")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{datasets.__name__}.{name}")
