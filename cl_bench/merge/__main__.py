"""Merges checkpoint files that anything trained: `python -m cl_bench.merge --help`."""

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import hydra
from omegaconf import DictConfig, OmegaConf

from cl_bench.launching import composition
from cl_bench.runtime import tilde
from cl_bench.runtime.configurations import CONF
from cl_bench.runtime.quick_exit import quick_exit

if TYPE_CHECKING:
    from torch import Tensor

    from cl_bench.store.layouts.alike import Models

os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors on, for `main` to print
os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # threads that wait for long crawl where others want the cores, too
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # new tensors lie in huge pages: there in a fraction of the time


def merge(config: Mapping[str, Any]) -> None:
    """Reads the models, merges them and writes the result, as the configuration says; on a failure nothing is written.

    Args:
        config: Plain data, as in `conf/merge.yaml`.

    Raises:
        UserError: A setting, a file or a model that does not fit.
    """
    from pydantic import Field
    from safetensors import SafetensorError

    from cl_bench.experiment.user_parts import made
    from cl_bench.mergers import Merger
    from cl_bench.mergers.engine.running_statistics import RunningStatistics
    from cl_bench.runtime.cores import limit_threads
    from cl_bench.runtime.errors import UserError
    from cl_bench.runtime.instantiate import validated
    from cl_bench.runtime.setting_names import choice
    from cl_bench.runtime.user_code import explained
    from cl_bench.store.atomic import write_safetensors
    from cl_bench.store.layouts.alike import Models

    begin = time.perf_counter()
    limit_threads()
    for name in ("pretrained", "finetuned", "out"):
        if config.get(name, "???") == "???":
            raise UserError(f"{name} is missing; python -m cl_bench.merge --help shows an example.")
    merger = made(Merger, config.get("merger"), "merger")
    pretrained, out = validated(config["pretrained"], Path, "pretrained"), validated(config["out"], Path, "out")
    finetuned = validated(config["finetuned"], list[Path], "finetuned")
    running_statistics = validated(config.get("running_statistics"), RunningStatistics, "running_statistics")
    statistics = validated(config.get("statistics"), list[dict[str, Path]], "statistics")
    frozen = validated(config.get("frozen_parameters"), Annotated[int, Field(ge=0)], "frozen_parameters")
    if out.suffix != ".safetensors":
        raise UserError(f"out={out}: the merged model is written as safetensors; give the file that ending.")
    overwrite = validated(config["overwrite"], bool, "overwrite")
    _check_writable(out)
    read = (pretrained, *finetuned, *(path for of_task in statistics for path in of_task.values()))
    if out.resolve() in [path.resolve() for path in read]:
        raise UserError(f"out={out} is one of the files to be read, and would be lost; name another one.")
    if not overwrite:
        _check_new(out)
    if merger.requires and not statistics:
        kinds = sorted(merger.requires)
        each = ", ".join(f"{kind}: {kind}_a.safetensors" for kind in kinds)
        raise UserError(
            f"{choice('merger', type(merger))} needs the statistics {', '.join(map(repr, kinds))} of each model: "
            f"'statistics=[{{{each}}},…]'"
        )
    if statistics and len(statistics) != len(finetuned):
        raise UserError(f"statistics has {len(statistics)} entries; finetuned has {len(finetuned)} models.")
    try:
        models = Models(pretrained, finetuned)
        with explained(f"merger={type(merger).__name__}", type(merger), but=ValueError):
            merged = _merged(merger, models, frozen, statistics, running_statistics)
    except ValueError as error:
        raise UserError(f"{str(error).removesuffix('.')}.") from error
    if not merged:
        raise UserError(f"pretrained={pretrained} has no tensors: there is nothing to merge.")
    try:
        write_safetensors(out, models.whole(merged))
    except (OSError, SafetensorError) as error:
        raise UserError(f"out={out} cannot be written ({error}).") from error
    seconds = time.perf_counter() - begin
    if models.kept:
        print(f"{len(models.kept)} tensors that none of the models has are those of {pretrained}")
    print(f"{out}: {len(finetuned)} models merged by {type(merger).__name__} in {seconds:.1f} s")


def _check_writable(out: Path) -> None:
    """What cannot be written is better known before minutes of merging."""
    from cl_bench.runtime.errors import UserError

    there = next(folder for folder in out.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"out={out} cannot be written: {there} is no folder that you may write to.")


def _check_new(out: Path) -> None:
    """What took hours to merge or train is not replaced because a command was repeated."""
    from cl_bench.runtime.errors import UserError

    with contextlib.suppress(FileNotFoundError):
        there = out.stat()
        written = time.strftime("%Y-%m-%d %H:%M", time.localtime(there.st_mtime))
        raise UserError(
            f"out={out} is there already: {there.st_size:,} bytes, written {written}. "
            "Add overwrite=true to replace it, or name another file."
        )


def _merged(
    merger: Any, models: "Models", frozen: int, statistics: list[dict[str, Path]], running_statistics: str
) -> "dict[str, Tensor]":
    from rich import progress

    columns = (progress.TextColumn("merging"), progress.BarColumn(), progress.TaskProgressColumn())
    with progress.Progress(*columns, disable=not sys.stdout.isatty(), transient=True) as bar:
        task = bar.add_task("merging", total=1.0)
        return merger.merge(
            models.pretrained,
            models.finetuned,
            frozen + models.kept_elements,
            statistics,
            lambda share: bar.advance(task, share),
            running_statistics,
        )


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="merge")
def job(config: DictConfig) -> None:
    """One merge, from the composed configuration."""
    from cl_bench.runtime.errors import UserError

    try:
        merge(OmegaConf.to_container(config, resolve=True))
    except UserError as error:
        if config.debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Merges, and turns every mistake of the user's into one message and exit code 2."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from cl_bench.launching import command_line
    from cl_bench.runtime.errors import is_hydras

    mergers = ", ".join(sorted(path.stem for path in (CONF / "merger").glob("*.yaml")))
    sys.argv[1:] = map(tilde.expanded, sys.argv[1:])
    OmegaConf.register_new_resolver("mergers", lambda: mergers)
    composition.install()
    try:
        command_line.check(sys.argv[1:])
        job()
    except (HydraException, OmegaConfBaseException) as error:
        print(f"Error: {command_line.message(error)}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not is_hydras(error):
            raise
        print(f"Error: {command_line.message(error)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    with quick_exit():
        main()
