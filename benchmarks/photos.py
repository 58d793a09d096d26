"""Writes docs/real_photographs.md: what merging does to a real pre-trained encoder on photographs.

`make photos ROOT=path/to/images` runs it as `python -m benchmarks.photos FOLDER SETTINGS OUT`.
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from benchmarks.documents import machine, mean, seeds, versions
from benchmarks.photo_settings import Tried, best, chosen_rate, mean_at, tried_in
from cl_bench.reports.names import method_of
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.scaling import all_chosen, scaling_of
from cl_bench.reports.tables.formats.markdown import grid
from cl_bench.runtime.errors import UserError
from cl_bench.store import atomic

_PAGE = """# Real photographs

{findings}

Made by `make photos ROOT=path/to/images` from the records of the sweeps `multirun_configs/sweep/photos.yaml` and
`photo_settings.yaml`; nothing here is typed by hand.

## What was run

- **Images**: {name}, {kind} in {tasks} tasks, {train} training and {test} test images; {sizes}
- **Encoder**: EfficientNet-Lite0 with ImageNet's weights (`backbone=efficientnet_lite0`, Apache-2.0), which an ordinary
  package brings, and class means as the head (`head=prototypes`): rows are set when a class arrives, from its training
  images and θ₀'s features, and are never trained. ImageNet's classes cover many photographs, so a good part of what the
  tasks need is there before any training.
- **Training**: {epochs} epochs in batches of {batch_size}; running statistics stay θ₀'s. Learning rates and λ were
  chosen on a fifth of the training images, below; test images chose nothing. CMM has its published α and refinement, of
  the last layer, since there is no projection. That is a normalization with weights above 2, and float32
  loses steps of the published 1e-7 in the rounding of such weights: here, refinement changes nothing. OPCM takes the
  kernels of convolutions as matrices, but for depthwise ones.
- **Runs**: {runs}, seeds {seeds}, each with its own order of arrival; {machine}, two runs at a time, one thread each;
  {hours} core hours of training for this table. Versions: {versions}.

## Accuracy

After the last task on all test images, in percent, mean ± standard deviation over seeds: among all classes, and among
the classes of the image's task. Methods are called as `+method=…` calls them; `simplecil` is `zero_shot` with class
means. *Seconds* are those of training a whole stream on one core; they vary where the machine had other work. The first
paragraph says yes or no where all seeds agree.

{table}
## How learning rates and λ were chosen

Accuracy on the validation images, in percent, seed {setting_seeds}: of each merger with its best λ, in parentheses, of
{grid}; `last` is the last task's weights as they are.

The rule: each trainer takes the rate with the best mean over its mergers, and each merger its best λ at this rate. So
all rules merge the same weights. CMM takes the rate of the tangent space; joint training and CMM without the tangent
space take that of sequential fine-tuning. Where a rate or λ is at an end of those tried, a better one may lie outside.

{rates}"""

_QUESTIONS = (
    ("Does merging keep what sequential fine-tuning loses", "sequential_magmax", "sequential_last"),
    ("Is MagMax better on sequential than on independent weights", "sequential_magmax", "independent_magmax"),
    ("Is MagMax better than a plain average of the same weights", "sequential_magmax", "sequential_average"),
    ("Is it better than TIES", "sequential_magmax", "sequential_ties"),
    ("Is it better than OPCM", "sequential_magmax", "sequential_opcm"),
    ("Is it better than class means without any training", "sequential_magmax", "simplecil"),
    ("Is it better than RanPAC, which trains no encoder either", "sequential_magmax", "ranpac"),
    ("Is CMM better than MagMax", "cmm", "sequential_magmax"),
    ("Is it better than CMM without the tangent space", "cmm", "cmm_without_tangent"),
    ("Is it better than CMM without second moments", "cmm", "cmm_without_second_moments"),
    ("Is it better than CMM without refinement", "cmm", "cmm_without_refinement"),
)
"""What the papers claim, as a method that they find better than another."""


def write(folder: Path, settings: Path, out: Path) -> None:
    """Writes the page from the result records below `folder`, and below `settings` those that rates and λ came from.

    Raises:
        UserError: There is no record, two of a method and seed differ in more than these, or they are not of the same
            images.
    """
    results = each_once(all_chosen(read_all(folder)), method_of)
    trials = read_all(settings)
    images = {data["images"] for result in results for data in result["datasets"]}
    if len(images) > 1:
        raise UserError(
            f"The runs in {folder} are of {len(images)} sets of images; keep those of one, and run it again."
        )
    tried, first = tried_in(trials), results[0]
    scenario, optim = first["scenario"], first["config"]["optim"]
    page = _PAGE.format(
        findings=_findings(results),
        name=", ".join(scenario["datasets"]),
        kind=scenario["kind"],
        tasks=scenario["tasks"],
        train=f"{sum(task['training_images'] for task in first['tasks']):,}",
        test=f"{sum(task['images'] for task in first['tasks']):,}",
        sizes=_sizes(first),
        epochs=optim["epochs"],
        batch_size=optim["batch_size"],
        runs=len(results),
        seeds=seeds(results),
        machine=machine(),
        hours=f"{sum(_seconds(result) for result in _trained_once(results)) / 3600:.1f}",
        versions=versions(results),
        table=_table(results),
        setting_seeds=seeds(trials),
        rates=_rates(tried),
        grid=", ".join(f"{scaling:g}" for scaling in sorted({scaling for by in tried.values() for scaling in by})),
    )
    atomic.write_text(out, page)


def _findings(results: Sequence[Result]) -> str:
    """The page's first paragraph: the references, and what the papers claim, in pairs of methods."""
    by_method = {method: _values(results, method) for method in dict.fromkeys(map(method_of, results))}
    references = [
        f"{what} {mean(list(by_method[method].values()))} %"
        for method, what in _REFERENCES.items()
        if method in by_method
    ]
    answers = [
        f"{question}? {_difference(by_method[better], by_method[other])}"
        for question, better, other in _QUESTIONS
        if by_method.get(better) and by_method.get(other)
    ]
    return " ".join([f"Accuracy after the last task: {', '.join(references)}." if references else "", *answers]).strip()


_REFERENCES = {
    "simplecil": "without any training (SimpleCIL)",
    "ranpac": "with RanPAC's regression on the same features",
    "sequential_last": "after plain sequential fine-tuning",
    "sequential_magmax": "with its weights merged by MagMax",
    "cmm": "with CMM",
    "joint": "after joint training on all tasks",
}


def _difference(better: Mapping[int, float], other: Mapping[int, float]) -> str:
    """By how many points the first method is above the second, over the seeds that both have."""
    points = [better[seed] - other[seed] for seed in sorted(better.keys() & other.keys())]
    above = sum(point > 0 for point in points)
    if not points:
        return "No seed has both."
    if len(points) == 1:
        return f"{points[0]:+.1f} points in its one seed, which proves little."
    spread = f"{statistics.mean(points):+.1f} ± {statistics.stdev(points):.1f} points"
    answer = "Yes" if above == len(points) else "No" if all(point < 0 for point in points) else "Undecided"
    return f"{answer}: {spread}, above in {above} of {len(points)} seeds."


def _values(results: Sequence[Result], method: str) -> dict[int, float]:
    """The headline of a method by seed."""
    return {result["seed"]: result["headline"]["value"] for result in results if method_of(result) == method}


def _table(results: Sequence[Result]) -> str:
    rows = []
    for method in sorted(dict.fromkeys(map(method_of, results)), key=lambda method: -_mean(results, method)):
        of = [result for result in results if method_of(result) == method]
        kinds = [[result["accuracy"][kind] for result in of] for kind in ("task_agnostic", "task_aware")]
        trained = any(task["steps"] for task in of[0]["training"])
        rate = f"{of[0]['config']['optim']['lr']:g}" if trained else ""
        scaling = scaling_of(of[0])
        seconds = mean([_seconds(result) for result in of]) if trained else ""
        shown = f"{scaling:g}" if trained and scaling is not None else ""
        rows.append([method, *map(mean, kinds), rate, shown, str(len(of)), seconds])
    return grid(["method", "all classes", "the task's classes", "learning rate", "λ", "seeds", "seconds"], rows)


def _mean(results: Sequence[Result], method: str) -> float:
    return statistics.mean(_values(results, method).values())


def _seconds(result: Result) -> float:
    seconds: float = result["seconds"]["training"]
    return seconds


def _trained_once(results: Sequence[Result]) -> list[Result]:
    """One result for each stream of trained weights, which several methods share."""
    return list({result["fingerprint"]: result for result in results}.values())


def _rates(tried: Tried) -> str:
    mergers, rows = sorted({merger for _, _, merger in tried}), []
    for trainer, rate in sorted({(trainer, rate) for trainer, rate, _ in tried}):
        cells = [_at_its_best(tried.get((trainer, rate, merger), {})) for merger in mergers]
        chosen = "chosen" if rate == chosen_rate(tried, trainer) else ""
        rows.append([trainer, f"{rate:g}", *cells, f"{mean_at(tried, trainer, rate):.1f}", chosen])
    return grid(["trainer", "learning rate", *mergers, "mean", ""], rows)


def _at_its_best(by_scaling: Mapping[float, float]) -> str:
    """The accuracy with the best λ, and this λ."""
    return f"{max(by_scaling.values()):.1f} ({best(by_scaling):g})" if by_scaling else ""


def _sizes(result: Result) -> str:
    """Says how large the files are and what becomes of them, from the images themselves where they are still there."""
    root, size = Path(result["config"]["dataset"]["root"]), result["config"]["backbone"]["size"]
    sides = [_short_side(path) for path in root.rglob("*") if path.is_file()]
    if not sides:
        return f"the encoder sees {size} × {size} pixels."
    low, high = min(sides), max(sides)
    shown = f"{low}" if low == high else f"{low} to {high}"
    enlarged = "enlarged to" if high < size else "brought to"
    return f"their short sides of {shown} pixels are {enlarged} the {size} × {size} pixels that the encoder sees."


def _short_side(path: Path) -> int:
    with Image.open(path) as image:
        return min(image.size)


if __name__ == "__main__":
    try:
        write(*map(Path, sys.argv[1:]))
    except UserError as error:
        sys.exit(f"Error: {error}")
