"""Writes the models of a run as folders, each of which appears when it is complete."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from cl_bench.analyses.opened_run import OpenedRun, open_run
from cl_bench.backbones import Clip
from cl_bench.export import hugging_face
from cl_bench.export.card import FACTS, card, facts
from cl_bench.export.models import ExportedModel, models
from cl_bench.runtime.errors import UserError, shortened
from cl_bench.store import atomic, permissions


def export(run_path: Path, out: Path, overwrite: bool = False, trusted: Sequence[str] = ()) -> Iterator[ExportedModel]:
    """Writes a folder for each model of a run, and yields each model when it is written.

    Args:
        run_path: The run's folder, or its `result.json`.
        out: The folder of all these folders.
        overwrite: Whether folders of an earlier export are replaced.
        trusted: See `open_run`.

    Raises:
        UserError: The run cannot be opened, its weights do not fit the layout, or folders are there already. Nothing
            is written then.
    """
    record = run_path / "result.json" if run_path.is_dir() else run_path
    run = open_run(record, trusted)
    backbone = hugging_face.check_held(run.parts.backbone)
    found = models(run, record)
    _check_free([out / model.folder for model in found], overwrite)
    with permissions.explained("another folder to write to"):
        for model in found:
            _write(run, backbone, model, out / model.folder)
            yield model


def _check_free(folders: Sequence[Path], overwrite: bool) -> None:
    there = [folder for folder in folders if folder.exists() or folder.is_symlink()]
    if there and not overwrite:
        raise UserError(f"There already: {shortened(there)}. Add --overwrite to replace them, or name another folder.")
    if others := [folder for folder in there if folder.is_symlink() or not (folder / FACTS).is_file()]:
        raise UserError(f"{shortened(others)}: no export of this command has written that; name another folder.")


def _write(run: OpenedRun, backbone: Clip, model: ExportedModel, folder: Path) -> None:
    dtype = next(iter(model.weights.values())).dtype
    with atomic.new_folder(folder, replace=True) as new:
        atomic.write_safetensors(new / "model.safetensors", hugging_face.tensors(model.weights))
        atomic.write_json(new / "config.json", hugging_face.config(backbone, dtype))
        atomic.write_json(new / "preprocessor_config.json", hugging_face.preprocessing(backbone))
        atomic.write_json(new / FACTS, facts(run, model))
        atomic.write_text(new / "README.md", card(run, model))
