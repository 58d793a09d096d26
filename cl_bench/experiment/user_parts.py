"""Makes parts of a run from classes that users may have written, and checks that each fits its place."""

import inspect
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from cl_bench.mergers import BaseMerger, Merger
from cl_bench.runtime.errors import UserError
from cl_bench.runtime.instantiate import instantiate, located
from cl_bench.runtime.user_code import is_from_outside

T = TypeVar("T")

# Attributes that the constructors of base classes set: where one is missing, the constructor was not called.
_MADE = {
    "BaseMerger": ("scaling",),
    "TaskTrainer": ("encoder", "head", "optimization", "starts_from", "keep", "steps"),
    "Scenario": ("streams", "datasets", "labels"),
    "Backbone": ("encoder", "transform", "identity", "feature_size"),
}
_TO_DERIVE_FROM: dict[type, type] = {BaseMerger: Merger}  # what people derive from, where it is not the base itself
_MADE_BY_FUNCTIONS = ("ImageDataset",)
_CALLED_OTHERWISE = ("__init__", "training_step")  # Lightning looks at what a training step takes


def made(kind: type[T], node: Mapping[str, Any], where: str, **given: Any) -> T:
    """Instantiates a part, and checks that it is of the right kind.

    Args:
        kind: The base class.
        node: See `instantiate`.
        where: See `instantiate`.
        **given: See `instantiate`.

    Raises:
        UserError: See `instantiate`; or the class has another base, lacks a method, has a method that takes other
            arguments, or does not call its base's constructor.
    """
    target = located(node, where)
    what = f"{where}._target_={node['_target_']}"
    if inspect.isclass(target) and kind.__name__ not in _MADE_BY_FUNCTIONS:
        _check_class(target, kind, what)
        for name, value in given.items():
            _check_takes(target, name, value, what)
    base = _TO_DERIVE_FROM.get(kind, kind)
    part = instantiate(node, where, **given)
    if not isinstance(part, kind):
        raise UserError(f"{where}={reprlib.repr(part)} does not fit: {what} has to make a {_path(base)}.")
    missing = [name for name in _MADE.get(kind.__name__, ()) if not hasattr(part, name)]
    if missing:
        raise UserError(
            f"{what} has no {', '.join(missing)}: its constructor has to call that of {base.__name__}, "
            f"super().__init__(…)."
        )
    return part


def _check_class(target: type, kind: type, what: str) -> None:
    if not issubclass(target, kind):
        base = _TO_DERIVE_FROM.get(kind, kind)
        raise UserError(
            f"{what} is no {base.__name__}: derive the class from {_path(base)}, "
            f"class {target.__name__}({base.__name__})."
        )
    nearest = next(each for each in target.__mro__ if not is_from_outside(each))  # of the project's classes
    if lacking := sorted(getattr(target, "__abstractmethods__", ())):
        raise UserError(f"{what} lacks {', '.join(lacking)}: every {_path(nearest)} has its own.")
    if is_from_outside(target):
        for name, method in inspect.getmembers(nearest, inspect.isfunction):
            own = getattr(target, name, method)
            if own is not method and name not in _CALLED_OTHERWISE and is_from_outside(own):
                _check_arguments(own, method, f"{what}: {name}")


def _check_takes(target: type, name: str, value: Any, what: str) -> None:
    """Checks that a constructor takes the one object that the run hands over, instead of its fields one by one."""
    known = inspect.signature(target).parameters
    parts = [field.name for field in fields(value)]
    open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    if (name in known or open_ended) and not any(part in known for part in parts):
        return
    kind = type(value).__name__
    raise UserError(
        f"{what}: its constructor takes ({', '.join(known)}), but a run hands over one object, {name}. Let it take "
        f"that first: def __init__(self, {name}: {kind}, …): super().__init__({name}, …), with {_path(type(value))}; "
        f"{name}.{', .'.join(parts)} are in it."
    )


def _check_arguments(own: Callable[..., Any], method: Callable[..., Any], what: str) -> None:
    """Checks that a method takes the arguments of the method that it overrides."""
    positional = [p for p in inspect.signature(method).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    try:
        inspect.signature(own).bind(*positional)
    except TypeError as error:
        needed = ", ".join(p.name for p in positional)
        raise UserError(f"{what}{inspect.signature(own)} does not fit: it has to take ({needed}).") from error


def _path(kind: type) -> str:
    """The path to import a class from: the package that exports it, or its module."""
    parts = kind.__module__.split(".")
    packages = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next(
        f"{package}.{kind.__name__}"
        for package in packages
        if getattr(sys.modules.get(package), kind.__name__, None) is kind
    )
