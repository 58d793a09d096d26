"""Reads pickles of arrays and words, as some releases have them, and runs no code that they contain."""

import pickle
from pathlib import Path
from typing import Any

_ARRAYS = {
    *(("numpy", name) for name in ("ndarray", "dtype")),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.numeric", "_frombuffer") for core in ("core", "_core")),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return str.encode  # how old protocols write bytes
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it wants {module}.{name} called, which is no array")
        return super().find_class(module, name)


def read(path: Path) -> Any:
    """Lists, dictionaries, words, numbers and NumPy arrays; text of Python 2 as Latin-1.

    Raises:
        pickle.UnpicklingError: The file holds something else or is damaged; damage may also raise what `pickle`
            documents.
    """
    with path.open("rb") as file:
        return _Unpickler(file, encoding="latin1").load()
