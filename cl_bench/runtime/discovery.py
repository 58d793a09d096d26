"""Finds classes by the files that define them, so that a new one is in no list."""

import importlib
import pkgutil
import sys
from typing import TypeVar

T = TypeVar("T")


def classes(package: str, base: type[T]) -> dict[str, type[T]]:
    """Finds every class of a kind that a file of a package defines; not those of the packages in it.

    Args:
        package: Import path of the package, which may be in the middle of its own import.
        base: What the classes are derived from.

    Returns:
        The classes, by the names of their files.
    """
    names = sorted(module.name for module in pkgutil.iter_modules(sys.modules[package].__path__) if not module.ispkg)
    modules = {name: importlib.import_module(f"{package}.{name}") for name in names}
    return {
        name: found
        for name, module in modules.items()
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, base) and found.__module__ == module.__name__
    }
