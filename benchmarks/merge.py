"""What merging costs: every merger, a plain memory copy, and the peers that install; `make bench-merge`.

All in one run, since machines differ and are noisy: every measurement is a process of its own, the ways take turns,
and medians are compared. The models are random, with the names and shapes of CLIP's ViT-B/16.
"""

import argparse
import contextlib
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
from safetensors.torch import load_file, save_file

from benchmarks.merge_once import anonymous_mib
from benchmarks.merge_operations import early_and_late, operations, rate, seconds_per_task
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.store.atomic import write_text

_ROOT = Path(__file__).resolve().parent.parent
_OURS = sorted(path.stem for path in (_ROOT / "conf" / "merger").glob("*.yaml"))
_PEERS = {
    "average": ("mergekit/linear", "fusion_bench/average"),
    "breadcrumbs": ("mergekit/breadcrumbs",),
    "dare": ("mergekit/dare_linear",),
    "della": ("mergekit/della_linear",),
    "dop": ("fusion_bench/dop",),
    "iso_c": ("fusion_bench/iso_c",),
    "magmax": ("fusion_bench/magmax",),
    "model_stock": ("mergekit/model_stock",),
    "opcm": ("fusion_bench/opcm",),
    "task_arithmetic": ("mergekit/task_arithmetic", "fusion_bench/task_arithmetic"),
    "ties": ("mergekit/ties", "fusion_bench/ties"),
    "tsv": ("fusion_bench/tsv",),
    "wudi": ("fusion_bench/wudi",),
}
_BLOCK = "transformer.resblocks.0."
_BLOCKS = 12
_STREAM = 50  # tasks
_INTERVAL = 0.005  # seconds between two looks at the memory
_SLOW = 10  # seconds from which one measurement has to do


class _Cost(NamedTuple):
    """Seconds and MiB of one measurement; or, without them, why there are none."""

    seconds: float = 0.0
    mib: float = 0.0
    failure: str = ""


def main() -> None:
    """Measures and writes a Markdown file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--peers", type=Path, help="the Python that has mergekit and fusion-bench")
    parser.add_argument("--tasks", type=int, nargs="+", default=[10])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=300, help="seconds after which a measurement is stopped")
    parser.add_argument("--only", nargs="+", default=_OURS, choices=_OURS, metavar="MERGER")
    parser.add_argument("--device", default="cpu", help="where cl_bench merges")
    parser.add_argument("--folder", type=Path, help="where 345 MB per model are free")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        models = _write_models(Path(temporary), max(args.tasks))
        blocks, tables = _write_blocks(models), list[str]()
        speed = rate()
        for tasks in sorted(args.tasks):
            of_block = _costs(args, blocks[: tasks + 1], {})
            tables.append(f"## One block, {tasks} models\n\n{_table(of_block)}{_products(of_block, tasks, speed)}")
            of_model = _costs(args, models[: tasks + 1], _extrapolated(of_block, args.limit))
            tables.append(f"## The whole model, {tasks} models\n\n{_table(of_model)}")
            write_text(args.path, _page(args, speed, tables))  # what is known so far
        write_text(args.path, _page(args, speed, [*tables, _stream(blocks[0])]))
    print(args.path.read_text(encoding="utf-8"))


def _page(args: argparse.Namespace, speed: float, tables: list[str]) -> str:
    left_out = ", ".join(f"`{merger}`" for merger in _OURS if merger not in args.only)
    machine = f"{torch.get_num_threads()} threads of an {platform.machine()} CPU, torch {torch.__version__}"
    if args.device != "cpu":
        machine += f"; cl_bench merges on an {torch.cuda.get_device_name(args.device)} (`--device`), where its MiB are"
    return _TEXT.format(
        machine=machine,
        speed=speed / 1e9,
        rounds=args.rounds,
        slow=_SLOW,
        limit=args.limit,
        left_out=f" Left out of this run by `--only`: {left_out}." if left_out else "",
        tables="\n".join(tables),
    )


def _write_models(folder: Path, tasks: int) -> list[Path]:
    """θ_0 to θ_T; the differences are as small, beside the weights, as those of fine-tuning."""
    pretrained = open_clip.create_model("ViT-B-16-quickgelu").visual.state_dict()
    paths = [folder / f"{task}.safetensors" for task in range(tasks + 1)]
    save_file(pretrained, paths[0])
    for task, path in enumerate(paths[1:], start=1):
        random = torch.Generator().manual_seed(task)
        save_file({k: v + 1e-4 * torch.randn(v.shape, generator=random) for k, v in pretrained.items()}, path)
    return paths


def _write_blocks(models: list[Path]) -> list[Path]:
    """The first block of each."""
    paths = [path.with_name(f"block_{path.name}") for path in models]
    for model, path in zip(models, paths, strict=True):
        save_file({name: part.clone() for name, part in load_file(model).items() if name.startswith(_BLOCK)}, path)
    return paths


def _extrapolated(of_block: Mapping[str, list[_Cost]], limit: float) -> dict[str, list[_Cost]]:
    """What need not be measured on the whole model: ways that take too long there, and those that fail."""
    known = {}
    for way, costs in of_block.items():
        if failure := next((cost.failure for cost in costs if cost.failure), ""):
            over = failure.removeprefix("over ")
            known[way] = [_Cost(failure=f"≈ over {_BLOCKS * int(over)}" if over != failure else failure)]
        elif (seconds := _BLOCKS * statistics.median(cost.seconds for cost in costs)) > limit:
            known[way] = [_Cost(failure=f"≈ {seconds:.0f}")]
    return known


def _products(of_block: Mapping[str, list[_Cost]], tasks: int, speed: float) -> str:
    """How long WUDI and DOP take beside their products."""
    said = []
    for merger in ("wudi", "dop"):
        costs = of_block.get(f"cl_bench/{merger}", [_Cost(failure="left out")])
        if not any(cost.failure for cost in costs):
            seconds = statistics.median(cost.seconds for cost in costs)
            flop = operations(merger, tasks)
            said.append(
                f"`{merger}` makes products of {flop / 1e12:.1f} TFLOP of one block. At the rate above that is "
                f"{flop / speed:.0f} s; it took {seconds * speed / flop:.2f} times as long.\n"
            )
    return "".join(f"\n{sentence}" for sentence in said)


def _stream(block: Path) -> str:
    """What each task of a long stream costs OPCM."""
    pretrained = load_file(block)

    def model(task: int) -> dict[str, torch.Tensor]:
        random = torch.Generator().manual_seed(task)
        return {name: part + 1e-4 * torch.randn(part.shape, generator=random) for name, part in pretrained.items()}

    early, late = early_and_late(seconds_per_task(pretrained, model, _STREAM))
    return (
        f"## A stream of {_STREAM} tasks\n\n`opcm` on one block, task by task: a task took {early:.2f} s "
        f"among tasks 2 to 11 and {late:.2f} s among the last ten, {late / early:.2f} times as long (medians).\n"
    )


def _costs(args: argparse.Namespace, models: list[Path], over: Mapping[str, list[_Cost]]) -> dict[str, list[_Cost]]:
    ways = ["copy"]
    for merger in args.only:
        ways += [f"cl_bench/{merger}", *(_PEERS.get(merger, ()) if args.peers else ())]
    _measure(args, "copy", models)  # reads the files from the disk
    costs: dict[str, list[_Cost]] = {way: list(over.get(way, [])) for way in ways}
    for _ in range(args.rounds):
        for way, known in costs.items():
            if not any(cost.failure or cost.seconds > _SLOW for cost in known):
                known.append(_measure(args, way, models))
    return costs


def _table(costs: Mapping[str, list[_Cost]]) -> str:
    limit = statistics.median(cost.seconds for cost in costs["copy"])
    return grid(["way", "seconds", "times the copy", "MiB"], [_row(way, known, limit) for way, known in costs.items()])


def _measure(args: argparse.Namespace, way: str, models: list[Path]) -> _Cost:
    folds = max(1, len(models) - 2) if way.endswith("/dop") else 1  # each as long as the others: one is measured
    models = models[:3] if folds > 1 else models
    python = sys.executable if way.startswith(("copy", "cl_bench/")) else args.peers
    command = [str(python), str(_ROOT / "benchmarks" / "merge_once.py"), way, args.device, *map(str, models)]
    print(way, end=" ", file=sys.stderr, flush=True)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        looks, status = _watch(subprocess.Popen(command, stdout=out, stderr=err), args.limit)
        out.seek(0)
        err.seek(0)
        lines, faults = ([line.strip() for line in file if line.strip()] for file in (out, err))
    if status is None:
        return _Cost(failure=f"over {folds * args.limit:.0f}")
    if status:
        return _Cost(failure=(faults or ["killed"])[-1][:80])
    measured = json.loads(lines[-1])
    begin, end, before = measured["begin"], measured["end"], measured["before"]
    print(f"{end - begin:.2f} s", file=sys.stderr, flush=True)
    peak = max((mib for when, mib in looks if begin <= when <= end), default=before)
    return _Cost(folds * (end - begin), measured.get("gpu", peak - before))


def _watch(process: subprocess.Popen[bytes], limit: float) -> tuple[list[tuple[float, float]], int | None]:
    """The anonymous memory of a process, moments and MiB, and how it ended: None is by us, since it took too long."""
    # From here, since a thread in there would take turns with what is measured.
    looks, end = [], time.monotonic() + limit
    try:
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError, IndexError):  # it has just ended
                looks.append((time.monotonic(), anonymous_mib(process.pid)))
            time.sleep(_INTERVAL)
        return looks, process.poll()
    finally:
        process.kill()
        process.wait()


def _row(way: str, costs: list[_Cost], limit: float) -> list[str]:
    name = "a plain memory copy" if way == "copy" else way
    if failure := next((cost.failure for cost in costs if cost.failure), ""):
        return [name, failure, "", ""]
    seconds, mib = (statistics.median(values) for values in zip(*[cost[:2] for cost in costs], strict=True))
    return [name, f"{seconds:.2f}", f"{seconds / limit:.1f}", f"{mib:.0f}"]


_TEXT = """# What merging costs

Made by `python -m benchmarks.merge`, as `make bench-merge` calls it, on {machine}, which
multiplied large float32 matrices at {speed:.0f} GFLOP/s. [Benchmarks](benchmarks.md) sums it up, and has a GPU.

Models are random, with the names and shapes of CLIP's ViT-B/16 (86,192,640 parameters in float32,
329 MiB), or of its first block (7,087,872), in safetensors files that are in the system's cache. Medians of {rounds}
rounds in one run; each measurement is a process of its own, and the ways take turns; where one takes over {slow}
seconds, it is the only one, and after {limit:.0f} seconds (`--limit`) it is stopped.{left_out}
Settings are the defaults of `conf/merger`, and the same for the peers where they have them. ≈ is twelve times one
block, for what would take over {limit:.0f} seconds on the whole model. DOP does the same for each task from the second
on, so it is measured with two models, times T - 1. `adamerging` merges with coefficients that are given; how long it
takes to learn them is not measured. *Killed*: the system ended the process, for lack of memory as a rule.

Seconds: from the paths of the files to the merged weights in memory, without importing packages. The copy reads every
file once, into the memory of one model. MiB: the peak of anonymous memory beyond what the process had before; the pages
of mapped files are not in it, since the system may drop them at any time. mergekit is called as a library
(`merge_state_dicts`, on mapped files), which leaves out what its command adds (planning, and writing the result);
fusion-bench through its algorithms' `run`, on a pool of such mapped models.

{tables}"""


if __name__ == "__main__":
    main()
