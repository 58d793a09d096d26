"""Reads weights from pickles that hold other objects, too, and runs nothing that is in them.

task_vectors and tall_masks have published whole `ImageEncoder` objects; Lightning's checkpoints may have
hyperparameters of any class beside their `state_dict`. To unpickle such a file in the ordinary way, one needs the
classes, and runs whatever the file asks for. Here, stand-ins take the place of all classes and functions: they keep
what they are given, and the tensors are found in it.
"""

import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from cl_bench.store.layouts.archive import Archive, Reader, StandIn

_ENCODER = "ImageEncoder"
_VISUAL = "model.visual."  # beside it lie remains of the text tower

_STANDARD = {
    "argparse": ("Namespace",),
    "collections": ("OrderedDict", "defaultdict", "Counter"),
    "functools": ("partial",),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"),
    "builtins": (
        "set",
        "frozenset",
        "dict",
        "list",
        "int",
        "float",
        "str",
        "bool",
        "object",
        "getattr",
    ),  # getattr: of an enumeration
    "copyreg": ("_reconstructor",),
    "typing": ("Any",),
}
"""What an honest file has of Python's standard library, in which everything lies that could do harm."""

_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}  # the names that PyTorch's protocol writes


class OtherObject(ValueError):
    """The file holds another object, which the message names."""


class _Object:
    """What stands for an object of whatever class, and for what a function returns."""

    kind: str
    state: Mapping[str, Any]

    def __new__(cls, *_: Any, **__: Any) -> "_Object":
        made = super().__new__(cls)
        made.state = {}
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def __setitem__(self, key: Any, value: Any) -> None:
        """An object may be a dictionary; its entries are no weights."""

    def append(self, value: Any) -> None:
        """An object may be a list; its entries are no weights."""

    def extend(self, values: Any) -> None:
        """The same for several."""


class _Reader(Reader):
    """Reads `data.pkl`; every name means an object that does nothing."""

    def stand_in(self, module: str, name: str) -> Any:
        """A class of its own for each name; those of the standard library are refused where no model needs them."""
        package = _PYTHON_2.get(module, module.partition(".")[0])
        if package in sys.stdlib_module_names and name not in _STANDARD.get(package, ()):
            raise OtherObject(f"such as {module}.{name}")
        if name == "set" and package == "builtins":
            return StandIn(_strings)
        return type("Object", (_Object,), {"kind": f"{module}.{name}"})


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint's `state_dict`, or a pickled encoder's image tower by such names.

    They are mapped into memory.

    Raises:
        OtherObject: The file holds an object of another class.
        Exception: Whatever a damaged file, or one that holds something else, leads to.
    """
    with zipfile.ZipFile(path) as file:
        archive = Archive(file, path)
        if archive.has("byteorder") and archive.read("byteorder") != b"little":
            raise OtherObject("numbers of another byte order")
        root = _Reader(archive).load()
    state = root.get("state_dict") if isinstance(root, dict) else None
    if isinstance(state, dict) and all(isinstance(tensor, Tensor) for tensor in state.values()):
        return dict(state)
    if not isinstance(root, _Object) or root.kind.rpartition(".")[2] != _ENCODER:
        raise OtherObject(f"such as {root.kind}" if isinstance(root, _Object) else "in a collection")
    return {name: tensor for name, tensor in _tensors(root, "") if name.startswith(_VISUAL)}


def _strings(values: Any) -> frozenset[str]:
    return frozenset(value for value in values if isinstance(value, str))


def _tensors(module: _Object, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Of a module and those in it, as `torch.nn.Module.state_dict` finds them."""
    passing = module.state.get("_non_persistent_buffers_set", ())
    for kind in ("_parameters", "_buffers"):
        for name, tensor in module.state[kind].items():
            if isinstance(tensor, Tensor) and not (kind == "_buffers" and name in passing):
                yield f"{prefix}{name}", tensor
    for name, child in module.state["_modules"].items():
        if isinstance(child, _Object):
            yield from _tensors(child, f"{prefix}{name}.")
