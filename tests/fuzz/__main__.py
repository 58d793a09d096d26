"""`python -m tests.fuzz [FIRST [LAST]]`: runs the draws of these numbers (0 to 499) and shows those that end badly."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from cl_bench.datasets import digits
from tests.conftest import ROOT
from tests.fuzz.draws import Draw, draw
from tests.fuzz.outcome import faults
from tests.helpers.commands import Commands


def main() -> None:
    """Runs them in a folder that is left for those that end badly."""
    first, last = (int(sys.argv[1]) if len(sys.argv) > 1 else 0), (int(sys.argv[-1]) if len(sys.argv) > 1 else 499)
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    write_images(folder)
    commands, ends = Commands(ROOT, folder), Counter()
    for number in range(first, last + 1):
        made = draw(number)
        done, found = run(commands, made, folder)
        ends["wrong" if found else done.returncode] += 1
        if found or first == last:
            print(told(made, done, found), flush=True)
    commands.close()
    print(f"{ends[0]} ended with a result, {ends[2]} with a message, {ends['wrong']} badly; outputs: {folder}")
    sys.exit(1 if ends["wrong"] else 0)


def run(commands: Commands, made: Draw, folder: Path) -> tuple[subprocess.CompletedProcess, list[str]]:
    """Runs a draw in a folder of its own below the images; how it ended, and what is wrong with that."""
    own = folder / f"draw_{made.number}"
    own.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = commands.begin(str(ROOT / "run.py"), *made.overrides, cwd=own, env=environment).completed()
    return done, list(faults(made, done, own))


def told(made: Draw, done: subprocess.CompletedProcess, found: list[str]) -> str:
    """What a person needs to see a draw's fault again."""
    return "\n".join(
        [
            f"--- draw {made.number}: {'; '.join(found) or 'well'} (python -m tests.fuzz {made.number})",
            f"python run.py {shlex.join(made.overrides)}",
            f"exit code {done.returncode}",
            done.stdout[-800:],
            done.stderr[-3000:],
        ]
    )


def write_images(folder: Path) -> None:
    """Real digits as files: `classes/<class>/…` and `domains/<domain>/<class>/…`."""
    data = digits.load().train
    for label in range(4):
        for number, row in enumerate(np.flatnonzero(data.labels == label)[:8]):
            image = Image.fromarray(data.pixels[row])
            for place, turn in (("classes", 0), ("domains/upright", 0), ("domains/lying", 90)):
                path = folder / place / ("zero", "one", "two", "three")[label] / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                image.rotate(turn).save(path)


if __name__ == "__main__":
    main()
