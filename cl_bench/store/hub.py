"""Models on the Hugging Face hub, as `owner/name` or `owner/name@revision`.

`huggingface_hub` fetches and keeps them. Its own environment variables say where (`HF_HOME`), from which server
(`HF_ENDPOINT`) and whether at all (`HF_HUB_OFFLINE`).
"""

import re
from pathlib import Path
from typing import NamedTuple

from cl_bench.runtime.errors import Missing

_NAME = re.compile(r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(@(?P<revision>[\w./-]+))?", flags=re.ASCII)
_OF_FILES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".json", ".pkl")
_SAFE = ["*.safetensors", "*.json", "README.md"]
_PICKLED = ["*.bin", "*.pt", "*.pth", "*.ckpt"]


class Fetched(NamedTuple):
    """A repository as it lies in the hub's cache."""

    folder: Path
    commit: str


def is_name(text: str) -> bool:
    """Whether a text may be the name of a model on the hub; it may be a relative path as well."""
    return _NAME.fullmatch(text) is not None and not text.endswith(_OF_FILES)


def fetch(name: str, offline: bool = False) -> Fetched:
    """Fetch a model, or find it in the hub's cache; goes on where an earlier fetch was broken off.

    Safetensors are fetched where there are any, and PyTorch files only where there are none.

    Args:
        name: As ``is_name`` takes it.
        offline: Whether to look in the cache alone.

    Raises:
        Missing: It is not there and cannot be fetched; says why in one line.
    """
    from huggingface_hub import snapshot_download

    found = _NAME.fullmatch(name)
    assert found is not None  # the caller has asked `is_name`
    repository, revision = found["repository"], found["revision"]
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=_SAFE, local_files_only=offline))
        if not any(folder.glob("*.safetensors")):
            patterns = _SAFE + _PICKLED
            snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=offline)
    except Exception as error:  # the hub's client passes on whatever its HTTP library raises
        reason = next(iter(str(error).strip().splitlines()), "")
        raise Missing(f"{name}: {type(error).__name__}{f', {reason}' if reason else ''}") from error
    return Fetched(folder, folder.name)


def cache_folder(name: str) -> Path:
    """Where the hub's cache keeps, or would keep, a model."""
    from huggingface_hub import constants

    repository = name.partition("@")[0]
    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def is_unreachable(error: BaseException) -> bool:
    """Whether the server could not be reached, so that asking it for another model is in vain."""
    cause = error.__cause__
    return type(cause).__name__ in ("LocalEntryNotFoundError", "ConnectError", "OfflineModeIsEnabled")
