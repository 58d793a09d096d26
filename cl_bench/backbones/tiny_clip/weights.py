"""The weights file: fp16, and of the token table only the rows that were trained.

Captions use about two hundred of the tokenizer's 49,408 tokens. The file holds these rows and their ids. Reading puts
them back into a table of zeros, so that any text can be encoded; a word that was never seen has a row of zeros.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load, save
from torch import Tensor

from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

WEIGHTS = Path(__file__).with_name("tiny_clip.safetensors")

TOKEN_TABLE = "token_embedding.weight"
_ROWS = "token_embedding.rows"
_IDS = "token_embedding.ids"
_NOT_PARAMETERS = {_IDS}


def write(path: Path, state: dict[str, Tensor], ids: Tensor, facts: dict[str, Any]) -> None:
    """Writes the weights, and beside them `weights.json` with their hash and how they were made.

    Args:
        path: The file, which is replaced as a whole or not at all.
        state: A model's state; its token table has one row per entry of `ids`.
        ids: (V,) the token ids of these rows.
        facts: What `weights.json` says beside the hash.
    """
    compact = {name: tensor.half().contiguous() for name, tensor in state.items() if name != TOKEN_TABLE}
    compact[_ROWS] = state[TOKEN_TABLE].half().contiguous()
    compact[_IDS] = ids.to(torch.int32)
    content = save(compact)
    atomic.write_bytes(path, content)
    record = {"sha256": hashlib.sha256(content).hexdigest(), **facts}
    atomic.write_json(_record_path(path), record)


def read(path: Path, vocabulary: int) -> dict[str, Tensor]:
    """Reads a model's state in fp32, with the whole token table.

    Args:
        path: The weights file; `weights.json` beside it holds its hash.
        vocabulary: Rows of the whole token table.

    Raises:
        UserError: The file is not the one whose hash was recorded.
    """
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != json.loads(_record_path(path).read_text())["sha256"]:
        raise UserError(
            f"The weights {path} are damaged: their SHA-256 is not the one in {_record_path(path).name}. "
            "Install cl_bench again, or make them anew with `python -m cl_bench.backbones.tiny_clip`."
        )
    state = load(content)
    ids, rows = state.pop(_IDS).long(), state.pop(_ROWS).float()
    table = torch.zeros(vocabulary, rows.shape[1]).index_copy(0, ids, rows)
    return {TOKEN_TABLE: table, **{name: tensor.float() for name, tensor in state.items()}}


def count_parameters(path: Path, tower: str) -> tuple[int, int]:
    """Counts the stored parameters inside a tower, by the prefix of their names, and outside it."""
    inside = outside = 0
    with safe_open(path, framework="pt") as file:
        for name in set(file.keys()) - _NOT_PARAMETERS:
            count = torch.Size(file.get_slice(name).get_shape()).numel()
            inside, outside = (inside + count, outside) if name.startswith(tower) else (inside, outside + count)
    return inside, outside


def _record_path(path: Path) -> Path:
    return path.with_name("weights.json")
