"""What lies beside a model and says where it comes from."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_OURS = "cl_bench.json"  # as `cl-bench export` writes it
_MOST = 2**16  # bytes of a card that are read


class ModelCard(NamedTuple):
    """What a model's folder says of it.

    Attributes:
        licence: Null where it says none.
        ours: Whether this project exported the model, so that it was trained on our split.
    """

    licence: str | None
    ours: bool


def read(path: Path) -> ModelCard:
    """Reads what lies in a model's folder, or beside its file."""
    folder = path if path.is_dir() else path.parent
    return ModelCard(_licence(folder / "README.md"), _is_ours(folder / _OURS))


def _licence(card: Path) -> str | None:
    """The licence in the front matter of a model card."""
    begin, _, rest = _text(card).partition("---\n")
    front, found, _ = rest.partition("\n---")
    if begin or not found:
        return None
    try:
        matter: Any = yaml.safe_load(front)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    licence = matter.get("license") if isinstance(matter, dict) else None
    listed = licence if isinstance(licence, list) else [licence]
    return ", ".join(str(one) for one in listed if one) or None


def _is_ours(facts: Path) -> bool:
    try:
        content = json.loads(_text(facts))
        return isinstance(content, dict) and content.get("our_split") is True
    except (ValueError, RecursionError):
        return False


def _text(file: Path) -> str:
    """The begin of a file; nothing where it cannot be read."""
    try:
        if not file.is_file():
            return ""
        with file.open("rb") as content:
            return content.read(_MOST).decode(errors="replace").replace("\r\n", "\n")
    except OSError:
        return ""
