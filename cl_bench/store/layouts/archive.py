"""What PyTorch's zip archives share: `data.pkl` lists objects, and `data/0`, `data/1`, … hold the tensors' elements.

The list is a pickle, and a pickle is a program. Here, a name in it means one of a few stand-ins, or is refused; nothing
is imported, and nothing but the stand-ins is called. Elements are mapped, not copied.
"""

import io
import math
import pickle
import struct
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor


class StandIn:
    """What a name in a pickle means, where it is to be called.

    It has no attributes that a pickle could set, as a function would have.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        """What is made of the arguments."""
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Pickles set the state of what they have made; a stand-in was not made by one."""
        raise pickle.UnpicklingError("a function has no state")


class Archive:
    """A zip archive of PyTorch, mapped into memory.

    Args:
        archive: The open archive.
        path: Its path.
    """

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._folder = archive, archive.namelist()[0].partition("/")[0]
        self._whole = torch.from_file(str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8)

    def has(self, name: str) -> bool:
        """Whether there is an entry."""
        return f"{self._folder}/{name}" in self._archive.namelist()

    def read(self, name: str) -> bytes:
        """The content of an entry."""
        return self._archive.read(f"{self._folder}/{name}")

    def elements(self, key: str, dtype: torch.dtype, count: int) -> Tensor:
        """(count,) the elements of a tensor, where they lie in the file."""
        entry = self._archive.getinfo(f"{self._folder}/data/{key}")
        size = count * dtype.itemsize
        if entry.compress_type != zipfile.ZIP_STORED or not 0 <= size <= entry.file_size:
            raise pickle.UnpicklingError(f"{entry.filename} does not hold {count} elements")
        begin = self._begin(entry)
        part = self._whole[begin : begin + size]
        return (part if begin % dtype.itemsize == 0 else part.clone()).view(dtype)

    def _begin(self, entry: zipfile.ZipInfo) -> int:
        """Where an entry's content begins: after its header, its name, and what fills up to a round address."""
        header = bytes(self._whole[entry.header_offset : entry.header_offset + 30].tolist())
        name, extra = struct.unpack("<26xHH", header)
        return int(entry.header_offset + 30 + name + extra)


class Reader(pickle.Unpickler, ABC):
    """Reads the list of objects of an archive.

    Args:
        archive: The archive.
    """

    def __init__(self, archive: Archive) -> None:
        super().__init__(io.BytesIO(archive.read("data.pkl")))
        self._archive = archive

    @abstractmethod
    def stand_in(self, module: str, name: str) -> Any:
        """The stand-in for a name that is no tensor; None refuses it."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name."""
        if module == "torch" and name in _DTYPES:
            return _Elements(_DTYPES[name])
        if (module, name) in _TENSORS:
            return StandIn(_TENSORS[module, name])
        if (found := self.stand_in(module, name)) is None:
            raise pickle.UnpicklingError(f"{module}.{name} is neither a tensor nor a module")
        return found

    def persistent_load(self, pid: Any) -> Tensor:
        """The elements of a tensor, 1-D."""
        kind, elements, key, _, count = pid
        if kind != "storage" or not isinstance(elements, _Elements) or not isinstance(count, int):
            raise pickle.UnpicklingError("no elements of a tensor")
        return self._archive.elements(str(key), elements.dtype, count)


class _Elements(NamedTuple):
    """What stands for the type of a tensor's elements."""

    dtype: torch.dtype


class _Names(dict[str, Any]):
    """What stands for an ordered dictionary; what else was said about it does not matter."""

    def __setstate__(self, state: Any) -> None:
        pass


def first(value: Any, *_: Any) -> Any:
    """The first argument alone."""
    return value


def _tensor(elements: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> Tensor:
    """A view of elements; `as_strided` itself would look beyond them, at the rest of the file."""
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if (math.prod(size) and not (0 <= offset <= last < len(elements))) or min((*size, *stride, 0)) < 0:
        raise pickle.UnpicklingError("a tensor reaches beyond its elements")
    return elements[offset:].as_strided(tuple(size), tuple(stride))


def _names(*_: Any) -> _Names:
    return _Names()


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
_TENSORS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): first,
    ("torch._utils", "_rebuild_parameter_with_state"): first,
    ("collections", "OrderedDict"): _names,
}
