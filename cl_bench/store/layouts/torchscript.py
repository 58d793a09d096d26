"""Reads the tensors of TorchScript archives, such as OpenAI's CLIP models (`ViT-B-16.pt`), and runs none of their code.

Such an archive is a zip: `data.pkl` lists the attributes of the modules, `data/0`, `data/1`, … hold the tensors'
elements, and `code/` is the program. `torch.jit.load` would compile and run the program; here it is only text, from
which the names of parameters and buffers are taken.
"""

import math
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

_SETTINGS = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI stores among the weights; other libraries have them in the model's configuration."""


class _Module:
    """What stands for a module of whatever class: a name of the class, and attributes."""

    kind: str
    attributes: dict[str, Any]

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        self.attributes = attributes if isinstance(attributes, dict) else {}


class _Elements(NamedTuple):
    """What stands for the type of a tensor's elements."""

    dtype: torch.dtype


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
    whole = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)
    with zipfile.ZipFile(path) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        root = _Reader(archive, folder, whole).load()
        if not isinstance(root, _Module):
            raise pickle.UnpicklingError("the archive holds no module")
        code = _Code(archive, folder)
        tensors: dict[str, Tensor] = {}
        _collect(root, "", code, tensors)
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

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        self._archive, self._folder = archive, folder
        self._texts: dict[str, str] = {}

    def state(self, kind: str) -> set[str]:
        """Names of parameters and buffers of a class, `__torch__.package.module.Class`."""
        module, _, name = kind.rpartition(".")
        if module not in self._texts:
            path = f"{self._folder}/code/{module.replace('.', '/')}.py"
            self._texts[module] = self._archive.read(path).decode("utf-8")
        begin = rf"^class {re.escape(name)}\(Module\):\n((?:  __\w+__ = \[.*\]\n)*)"
        found = re.search(begin, self._texts[module], re.MULTILINE)
        lists = found.group(1).splitlines() if found else []
        wanted = [line for line in lists if line.lstrip().startswith(("__parameters__", "__buffers__"))]
        return {each for line in wanted for each in re.findall(r'"([^"]+)"', line)}


class _Reader(pickle.Unpickler):
    """Reads `data.pkl`. A name in it means one of the stand-ins here, or is refused: nothing is imported or called."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, whole: Tensor) -> None:
        super().__init__(archive.open(f"{folder}/data.pkl"))
        self._archive, self._folder, self._whole = archive, folder, whole

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name."""
        if module == "__torch__" or module.startswith("__torch__."):
            return type("Module", (_Module,), {"kind": f"{module}.{name}"})
        if module == "torch" and name.endswith("Storage"):
            return _Elements(_DTYPES[name])
        if (module, name) in _STAND_INS:
            return _STAND_INS[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is neither a tensor nor a module")

    def persistent_load(self, pid: Any) -> Tensor:
        """The elements of a tensor, 1-D, where they lie in the file."""
        kind, elements, key, _, count = pid
        if kind != "storage" or not isinstance(elements, _Elements) or not isinstance(count, int):
            raise pickle.UnpicklingError("no elements of a tensor")
        entry = self._archive.getinfo(f"{self._folder}/data/{key}")
        size = count * elements.dtype.itemsize
        if entry.compress_type != zipfile.ZIP_STORED or not 0 <= size <= entry.file_size:
            raise pickle.UnpicklingError(f"{entry.filename} does not hold {count} elements")
        begin = self._begin(entry)
        part = self._whole[begin : begin + size]
        return (part if begin % elements.dtype.itemsize == 0 else part.clone()).view(elements.dtype)

    def _begin(self, entry: zipfile.ZipInfo) -> int:
        """Where an entry's content begins: after its header, its name, and what fills up to a round address."""
        header = bytes(self._whole[entry.header_offset : entry.header_offset + 30].tolist())
        name, extra = struct.unpack("<26xHH", header)
        return int(entry.header_offset + 30 + name + extra)


def _tensor(elements: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    """A view of elements; `as_strided` itself would look beyond them, at the rest of the file."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if (math.prod(size) and not (0 <= offset <= last < len(elements))) or min((*size, *stride, 0)) < 0:
        raise pickle.UnpicklingError("a tensor reaches beyond its elements")
    return elements[offset:].as_strided(tuple(size), tuple(stride))


def _first(value: Any, *_: Any) -> Any:
    return value


def _empty(*_: Any) -> dict[str, Any]:
    return {}


_DTYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): _empty,
    ("torch.jit._pickle", "restore_type_tag"): _first,
    **{("torch.jit._pickle", f"build_{kind}list"): _first for kind in ("int", "double", "bool", "tensor")},
}
