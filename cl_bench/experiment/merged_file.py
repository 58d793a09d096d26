"""The file of a run's merged model: the image tower in open_clip's layout, beside `result.json`."""

import itertools
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cl_bench.experiment.state import Run
from cl_bench.mergers.engine.result_type import converted
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic
from cl_bench.store.file_hashes import sha256

NAME = "merged.safetensors"


def write_merged(run: Run, reported: int, result: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Writes the merged model whose numbers the record reports; its header says what it is.

    Args:
        run: The finished run.
        reported: The index of its λ.
        result: The record.
        folder: Of the run.

    Returns:
        The file's name and SHA-256, for the record.

    Raises:
        UserError: A value does not fit into the type that is asked for.
    """
    model = next(itertools.islice(run.merged.with_each_scaling(), reported, None))
    if isinstance(dtype := run.parts.save_merged, str):
        try:
            model = converted(model, dtype)
        except ValueError as error:
            raise UserError(f"save_merged={dtype}: {error}; choose bfloat16 or float32.") from error
    header = {
        "cl_bench": version("cl_bench"),
        "backbone": run.parts.backbone.name,
        "scenario": result["scenario"]["name"],
        "merger": str(result["choices"].get("merger") or run.config["merger"].get("_target_")),
        "scaling": repr(result["scaling"]),
        "fingerprint": result["fingerprint"],
        **({"notes": " ".join(result["notes"])} if result["notes"] else {}),
    }
    atomic.write_safetensors(folder / NAME, {name: tensor.cpu() for name, tensor in model.items()}, header)
    return {"file": NAME, "sha256": sha256(folder / NAME)}


def is_as_asked(result: Mapping[str, Any], config: Mapping[str, Any], folder: Path) -> bool:
    """Whether what a configuration asks for lies in the folder of a record: nothing, or the model in the same type."""
    asked = config.get("save_merged")
    return not asked or (is_there(result, folder) and result["config"].get("save_merged") == asked)


def is_there(result: Mapping[str, Any], folder: Path) -> bool:
    """Whether the merged model of a record lies in its folder, unchanged."""
    known = result.get("merged_model")
    path = folder / NAME
    return isinstance(known, Mapping) and path.is_file() and sha256(path) == known.get("sha256")


def find_merged(result: Mapping[str, Any], folder: Path) -> Path | None:
    """The file of a record's merged model; None where none was written.

    Raises:
        UserError: It is gone, or is not the one that the record speaks of.
    """
    if not result.get("merged_model"):
        return None
    if not is_there(result, folder):
        raise UserError(
            f"{folder / NAME} is missing, or has another SHA-256 than result.json says. Do the run again, with "
            "save_merged=true."
        )
    return folder / NAME
