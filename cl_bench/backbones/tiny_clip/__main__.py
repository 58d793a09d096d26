"""Makes the miniature's weights: `python -m cl_bench.backbones.tiny_clip`, about six minutes on two cores."""

import argparse
import sys
import time
from importlib.metadata import version
from pathlib import Path

from cl_bench.backbones.tiny_clip import load, weights
from cl_bench.backbones.tiny_clip.pretraining import pretrain, zero_shot_accuracy
from cl_bench.backbones.tiny_clip.world import draw_test
from cl_bench.datasets.rendering.concepts import CONCEPTS, GROUPS, LETTERS
from cl_bench.datasets.rendering.fonts import held_out_fonts, pretraining_fonts

_STEPS_BETWEEN_LINES = 100


def main(arguments: list[str] | None = None) -> None:
    """Pre-trains the miniature, writes its weights and their record, and prints its zero-shot accuracies."""
    parser = argparse.ArgumentParser(prog="python -m cl_bench.backbones.tiny_clip", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("tiny_clip.safetensors"), help="weights.json goes beside it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1600)
    options = parser.parse_args(arguments)

    start = time.perf_counter()
    model, ids = pretrain(options.seed, options.steps, _Progress(options.steps))
    facts = {
        "seed": options.seed,
        "steps": options.steps,
        "seconds": round(time.perf_counter() - start),
        "versions": {name: version(name) for name in ("torch", "open_clip_torch", "matplotlib", "pillow", "numpy")},
    }
    weights.write(options.out, model.state_dict(), ids, facts)

    # Measured on the weights as users will load them: rounded to fp16, with the whole token table.
    shipped = load(options.out)
    class_names = [concept.names[0] for concept in CONCEPTS]
    tests = {
        "in_distribution": draw_test(pretraining_fonts, GROUPS, options.seed),
        "letters_in_held_out_fonts": draw_test(held_out_fonts, LETTERS, options.seed),
    }
    accuracy = {name: round(zero_shot_accuracy(shipped, *test, class_names), 4) for name, test in tests.items()}
    weights.write(options.out, model.state_dict(), ids, {**facts, "zero_shot_accuracy": accuracy})
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, {facts['seconds']} s")
    for test, share in accuracy.items():
        print(f"zero-shot accuracy over {len(CONCEPTS)} concepts, {test.replace('_', ' ')}: {share:.1%}")


class _Progress:
    """Prints the loss and the time left: in one line on a terminal, elsewhere a new line every 100 steps."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._start = time.perf_counter()

    def __call__(self, step: int, loss: float) -> None:
        left = (time.perf_counter() - self._start) / step * (self._steps - step)
        line = f"step {step}/{self._steps}  loss {loss:.3f}  {left:.0f} s left"
        if sys.stdout.isatty():
            print(f"\r{line:<60}", end="\n" if step == self._steps else "", flush=True)
        elif step % _STEPS_BETWEEN_LINES == 0 or step == self._steps:
            print(line, flush=True)


if __name__ == "__main__":
    main()
