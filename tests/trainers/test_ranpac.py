"""RanPAC against a naive regression in double precision, and whole runs."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from cl_bench.runtime import seeds
from cl_bench.trainers import RanPAC, ranpac
from tests.conftest import FEW_IMAGES, SHORT
from tests.helpers.small import TRANSFORM, SmallEncoder, head, pixels_at, scenario, small_given

SIZE, SEED = 40, 7
QUICK = (*SHORT, FEW_IMAGES, "trainer=ranpac", "trainer.projection_size=200")


def _hidden(samples):
    encoder, projection = (
        SmallEncoder().double(),
        torch.randn(head().shape[1], SIZE, generator=seeds.generator(SEED, "projection")),
    )
    images = TRANSFORM(pixels_at(samples, torch.arange(len(samples))), None).double()
    with torch.no_grad():
        return functional.relu(encoder(images) @ projection.double())


@pytest.mark.parametrize("per_class", [5, 30])  # fewer images than M, and more
def test_heads_are_those_of_a_naive_regression_on_all_images_so_far(per_class, monkeypatch):
    monkeypatch.setattr(ranpac, "_AT_ONCE", 16)  # so that sums are over several parts
    trainer, stream = RanPAC(small_given(head_arrives=True, seed=SEED), SIZE), scenario(per_class=per_class)
    seen, labels = [], []
    for number, experience in enumerate(stream.train_stream):
        samples = experience.samples
        trainer.begin_task(trainer.weights(), experience, 0)
        weights, statistics = trainer.end_task()
        trainer.remember(experience, weights, statistics)
        hidden, wanted = _hidden(samples), functional.one_hot(samples.labels, 6).double()
        order = torch.randperm(len(hidden), generator=seeds.generator(SEED, number, "ridge"))
        fit, rest = order[: int(0.8 * len(order))], order[int(0.8 * len(order)) :]
        errors = {}
        for power in range(-8, 9):
            kernel = hidden[fit] @ hidden[fit].T + 10.0**power * torch.eye(len(fit), dtype=torch.float64)
            dual = torch.linalg.solve(kernel, wanted[fit])
            errors[10.0**power] = float((hidden[rest] @ hidden[fit].T @ dual - wanted[rest]).square().mean())
        place = seeds.generator(SEED, number, "ridge")
        ridge = ranpac.chosen_ridge(
            hidden, samples.labels, lambda rows: rows, lambda some: functional.one_hot(some, 6).double(), place
        )
        assert errors[ridge] <= min(errors.values()) * (1 + 1e-6)
        seen.append(hidden)
        labels.append(wanted)
        every = torch.cat(seen)
        expected = torch.linalg.solve(
            every.T @ every + ridge * torch.eye(SIZE, dtype=torch.float64), every.T @ torch.cat(labels)
        ).T
        assert float((weights["head"] - expected).norm() / expected.norm()) < 1e-6
        assert statistics["features"]["features"].shape == (len(samples), head().shape[1])


def test_a_stopped_run_goes_on_from_stored_features_and_ends_alike(run_py, tmp_path):
    whole, again = tmp_path / "whole", tmp_path / "again"
    assert run_py(*QUICK, f"hydra.run.dir={whole}").returncode == 0
    for path in (tmp_path / "store").glob("streams/*/task_001*"):
        path.unlink()
    shown = run_py(*QUICK, f"hydra.run.dir={again}")
    assert shown.returncode == 0, shown.stderr
    assert "1 of 2 tasks reused" in shown.stdout
    first, second = (json.loads((folder / "result.json").read_text()) for folder in (whole, again))
    assert first["matrix"] == second["matrix"]
    assert first["matrix"]["task_agnostic"][0] == [None, None]
    assert first["accuracy"]["task_agnostic"] > 50


def test_seeds_draw_other_projections_and_are_one_row_of_a_table(run_py, tmp_path):
    shown = run_py("-m", *QUICK, "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.rstrip().count("±") >= 1 and "trainer.seed" not in shown.stdout
    heads = [load_file(path)["head"] for path in sorted(tmp_path.glob("store/streams/*/task_000.safetensors"))]
    assert len(heads) == 2 and not torch.allclose(*heads)


@pytest.mark.slow
def test_two_processes_find_what_one_finds(run_py, tmp_path):
    found = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        shown = run_py(*QUICK, f"lightning.devices={devices}", f"paths.store_dir={folder}", f"hydra.run.dir={folder}")
        assert shown.returncode == 0, shown.stderr
        found.append(json.loads((folder / "result.json").read_text())["matrix"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("options", "told"),
    [(("head=zero_shot",), "leave out head=zero_shot"), (("merger=magmax",), "leave out merger=magmax")],
)
def test_what_does_not_go_together_is_refused(run_py, options, told):
    refused = run_py(*SHORT, "trainer=ranpac", *options)
    assert refused.returncode == 2
    assert told in refused.stderr
