"""PatchCamelyon (Veeling, Linmans, Winkens, Cohen and Welling 2018): 262,144 + 32,768 patches of lymph nodes, 96 × 96.

A patch is positive if its middle, 32 × 32 pixels, holds tumor tissue. The release's 32,768 patches for validation are
not used. Its files are HDF5, which the package h5py reads.
"""

import hashlib
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cl_bench.datasets.releases.reading import checked_labels
from cl_bench.datasets.releases.release import Archive, Release
from cl_bench.images.files import ImageFiles
from cl_bench.images.images import ImageDataset, Images
from cl_bench.runtime.commands import install_extra
from cl_bench.runtime.errors import UserError

_PART = "camelyonpatch_level_2_split_"
_ZENODO = "https://zenodo.org/records/2546921/files/"
_DRIVE = "https://drive.google.com/uc?id="
_FILES = {  # of Google Drive, the id; of both, the MD5
    "train_x": ("1Ka0XfEMiwgCYPdTI-vv6eUElOBnKFKQ2", "1571f514728f59376b705fc836ff4b63"),
    "train_y": ("1269yhu3pZDP8UYFQs-NYs3FPwuK-nGSG", "35c2d7259d906cfc8143347bb8e05be7"),
    "test_x": ("1qV65ZqZvWzuIVthK8eVDhIwrbnsJdbg_", "d8c2d60d490dbd479f8199bdfa0cf6ec"),
    "test_y": ("17BHrSrwWKjYsOgTMmoqrIjDy6Fa2o_gP", "60a7035772fbdb7f34eb86d4420cf66a"),
}

RELEASE = Release(
    name="pcam",
    title="PatchCamelyon",
    folder="pcam",
    classes=2,
    train=262_144,
    test=32_768,
    size=7_200_000_000,
    archives=tuple(
        Archive(
            f"{_PART}{file}.h5.gz",
            (f"{_ZENODO}{_PART}{file}.h5.gz?download=1", _DRIVE + drive),
            f"md5:{md5}",
            into="pcam",
        )
        for file, (drive, md5) in _FILES.items()
    ),
)

PROMPTS = ("this is a photo of {}",)
CLASS_NAMES = ("lymph node", "lymph node containing metastatic tumor tissue")

_SHAPE = (96, 96, 3)


@cache
def load(root: Path) -> ImageDataset:
    """Reads torchvision's layout: `root/pcam/camelyonpatch_level_2_split_{train,test}_{x,y}.h5`.

    Args:
        root: The folder of all data sets.

    Raises:
        UserError: Files are missing or damaged, or h5py is not installed.
    """
    return ImageDataset("pcam", CLASS_NAMES, PROMPTS, _read_split(root, "train"), _read_split(root, "test"))


def _read_split(root: Path, split: str) -> Images:
    parts = [f"pcam/{_PART}{split}_{letter}.h5" for letter in "xy"]
    images, answers = (RELEASE.find(root, part) for part in parts)
    try:
        with _opened(images) as file:
            shape, kind = tuple(file["x"].shape), file["x"].dtype
        with _opened(answers) as file:
            given = np.asarray(file["y"]).reshape(-1)
    except (OSError, KeyError, AttributeError) as error:
        raise RELEASE.error(root, f"{images} or {answers} is damaged ({error})") from error
    labels = checked_labels(RELEASE, root, parts[1], given)
    if shape != (len(labels), *_SHAPE) or kind != np.uint8:
        raise RELEASE.error(root, f"{images} is damaged: it holds {kind} of {shape} for {len(labels)} labels")
    return Images(_Patches(images, np.arange(len(labels)), RELEASE.remedy(root)), labels)


def _opened(path: Path) -> Any:
    """The HDF5 file; h5py is imported where it is needed, since nothing else needs it."""
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise UserError(f"PatchCamelyon's files are HDF5, which h5py reads: {install_extra('pcam')}") from error
    return h5py.File(path, "r")


class _Patches(ImageFiles):
    """Rows of the array `x` in one file, read one by one: all of them together take 7 GB.

    Each read opens the file, 0.5 ms, since processes that a loader forks would share the position in an open one.

    Args:
        path: The file.
        rows: (N,) which rows.
        remedy: As in `ImageFiles`.
    """

    def __init__(self, path: Path, rows: NDArray[np.int64], remedy: str) -> None:
        super().__init__(path.parent, (path.name,), remedy)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> NDArray[np.uint8]:
        """(96, 96, 3) RGB."""
        place = int(self._rows[row])
        try:
            with _opened(self.root / self.names[0]) as file:
                return np.array(file["x"][place])
        except (OSError, KeyError, IndexError) as error:
            raise self._problem(self.root / self.names[0], f"is missing or damaged ({error})") from error

    def select(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "_Patches":
        """The patches of these rows, or those where a mask is true."""
        selected = self._copy()
        assert isinstance(selected, _Patches)  # a copy keeps its class
        selected._rows = self._rows[rows]
        return selected

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of the file's content and of the rows."""
        return hashlib.sha256(super().identity.encode() + self._rows.tobytes()).hexdigest()
