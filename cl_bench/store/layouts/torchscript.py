"""Reads the tensors of TorchScript archives, such as OpenAI's CLIP models (`ViT-B-16.pt`), and runs none of their code.

Such an archive is a zip: `data.pkl` lists the attributes of the modules, `data/0`, `data/1`, … hold the tensors'
elements, and `code/` is the program. `torch.jit.load` would compile and run the program; here it is only text, from
which the names of parameters and buffers are taken.
"""

import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cl_bench.store.layouts.archive import Archive, Reader, StandIn, first

_TYPED = ("restore_type_tag", "build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")
_SETTINGS = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI stores among the weights; other libraries have them in the model's configuration."""


class _Module:
    """What stands for a module of whatever class: a name of the class, and attributes."""

    kind: str
    attributes: dict[str, Any]

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes if isinstance(attributes, dict) else {}


def is_archive(path: Path) -> bool:
    """Whether a file is a TorchScript archive; only such have constants beside their tensors."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())


def read(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers of an archive, mapped into memory, by the names that `state_dict` gives them.

    Of a model of OpenAI's, three numbers are left out that are no weights, and half precision becomes float32, as in
    open_clip.

    Raises:
        Exception: Whatever a damaged archive, or one that holds something else, leads to.
    """
    with zipfile.ZipFile(path) as file:
        archive = Archive(file, path)
        root = _Reader(archive).load()
        if not isinstance(root, _Module):
            raise pickle.UnpicklingError("the archive holds no module")
        tensors: dict[str, Tensor] = {}
        _collect(root, "", _Code(archive), tensors)
    if not set(_SETTINGS) <= tensors.keys():
        return tensors
    return {
        name: tensor.float() if tensor.dtype == torch.float16 else tensor
        for name, tensor in tensors.items()
        if name not in _SETTINGS
    }


def _collect(module: _Module, prefix: str, code: "_Code", tensors: dict[str, Tensor]) -> None:
    """Parameters and buffers of a module and those in it; other attributes are no part of a model's state."""
    state = code.state(module.kind)
    for name, value in module.attributes.items():
        if isinstance(value, _Module):
            _collect(value, f"{prefix}{name}.", code, tensors)
        elif isinstance(value, Tensor) and name in state:
            tensors[prefix + name] = value


class _Code:
    """The program of an archive, as text."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._texts: dict[str, str] = {}

    def state(self, kind: str) -> set[str]:
        """Names of parameters and buffers of a class, `__torch__.package.module.Class`."""
        module, _, name = kind.rpartition(".")
        if module not in self._texts:
            self._texts[module] = self._archive.read(f"code/{module.replace('.', '/')}.py").decode("utf-8")
        begin = rf"^class {re.escape(name)}\(Module\):\n((?:  __\w+__ = \[.*\]\n)*)"
        found = re.search(begin, self._texts[module], re.MULTILINE)
        lists = found.group(1).splitlines() if found else []
        wanted = [line for line in lists if line.lstrip().startswith(("__parameters__", "__buffers__"))]
        return {each for line in wanted for each in re.findall(r'"([^"]+)"', line)}


class _Reader(Reader):
    """Reads `data.pkl`."""

    def stand_in(self, module: str, name: str) -> Any:
        """What stands for a module of whatever class, or for a list with its type."""
        if module == "__torch__" or module.startswith("__torch__."):
            return type("Module", (_Module,), {"kind": f"{module}.{name}"})
        return StandIn(first) if module == "torch.jit._pickle" and name in _TYPED else None
