"""Writes docs/learning_rates.md: how the learning rates of the embedded scenarios were chosen.

`make learning-rates` runs it as `python -m benchmarks.learning_rates FOLDER OUT`.
"""

import sys
from pathlib import Path

from benchmarks.documents import means_by_scenario, seeds
from cl_bench.reports.headline import headline_at
from cl_bench.reports.records import Result, read_all
from cl_bench.reports.runs import each_once
from cl_bench.reports.scaling import all_chosen
from cl_bench.store import atomic

_PAGE = """# Learning rates of the embedded scenarios

Made by `make learning-rates` from the records of the sweep `multirun_configs/sweep/learning_rates.yaml`: accuracy on a
fifth of the *training* images, set aside, in percent, mean ± standard deviation over seeds {seeds}, each with
its own order of arrival.

The rule: the rate with the best mean for sequential fine-tuning merged by MagMax. `glyphs_5` and `glyphs_20` take the
one of `glyphs_10`. `digits_5` departs from it: its three lowest rates are within a standard deviation of each other,
and of these 4e-4 was taken, at which sequential fine-tuning forgets as it does in the publications, because the
default run is there to show that. Its 10 epochs (the published number) were chosen over 5 on validation images, too,
after a run with 5 epochs and 2e-4 on the test images had not shown it. The other scenarios' 5 epochs, the batch size
(64) and the warm-up (10 % of a task's steps) were not tuned.

## sequential + MagMax

{merged}
## sequential, the last task's weights

{finetuned}"""


def write(folder: Path, out: Path) -> None:
    """Writes the page from all result records below `folder`.

    Raises:
        UserError: There is no record, nobody chose the λ of one, or two of a cell differ in more than their seeds.
    """
    results = sorted(each_once(all_chosen(read_all(folder)), _cell), key=lambda result: result["config"]["optim"]["lr"])
    page = _PAGE.format(
        seeds=seeds(results),
        merged=means_by_scenario(results, "lr", _lr, lambda result: result["headline"]["value"]),
        finetuned=means_by_scenario(results, "lr", _lr, _finetuned),
    )
    atomic.write_text(out, page)


def _cell(result: Result) -> tuple[str, str]:
    return _lr(result), result["choices"]["scenario"]


def _lr(result: Result) -> str:
    return f"{result['config']['optim']['lr']:g}"


def _finetuned(result: Result) -> float | None:
    return headline_at(result["finetuned"], result)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
